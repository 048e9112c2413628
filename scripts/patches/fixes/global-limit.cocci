// SPDX-License-Identifier: GPL-2.0
//
// More MiB than fit into a number of pages.

// rule overflow deletes 0, adds 4
@overflow@
identifier mb;
@@
 tcmu_set_global_max_data_area(...)
 {
 ...
 if (mb <= 0) { ... }
+ if (mb > TCMU_PAGES_TO_MBS(INT_MAX)) {
+ 	pr_err("global_max_data_area is too large.\n");
+ 	return -EINVAL;
+ }
 tcmu_global_max_pages = TCMU_MBS_TO_PAGES(mb);
 ...
 }
