// SPDX-License-Identifier: GPL-2.0
//
// Seconds that are more milliseconds than fit.

// rule commands deletes 0, adds 2
@commands@
identifier udev, val;
@@
 tcmu_cmd_time_out_store(...)
 {
 ...
+ if (val > INT_MAX / MSEC_PER_SEC)
+ 	return -ERANGE;
 udev->cmd_time_out = val * MSEC_PER_SEC;
 ...
 }

// rule space deletes 0, adds 2
@space@
identifier udev, val;
@@
 tcmu_qfull_time_out_store(...)
 {
 ...
 if (val >= 0) {
+ 	if (val > INT_MAX / MSEC_PER_SEC)
+ 		return -ERANGE;
 	udev->qfull_time_out = val * MSEC_PER_SEC;
 } else { ... }
 ...
 }
