// SPDX-License-Identifier: GPL-2.0
//
// A block of no pages, by whose size is divided.

// rule zero deletes 0, adds 4
@zero@
identifier udev, arg, val;
@@
 tcmu_set_data_pages_per_blk(struct tcmu_dev *udev, substring_t *arg)
 {
 ...
+ if (val <= 0) {
+ 	pr_err("Invalid data_pages_per_blk %d.\n", val);
+ 	return -EINVAL;
+ }
 if (val > TCMU_MBS_TO_PAGES(udev->data_area_mb)) { ... }
 ...
 }
