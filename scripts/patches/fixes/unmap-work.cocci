// SPDX-License-Identifier: GPL-2.0
//
// A parameter can be set before the module's init function runs.

// rule prototype deletes 0, adds 1
@prototype@
symbol tcmu_unmap_work;
@@
+ static void tcmu_unmap_work_fn(struct work_struct *work);
  static struct delayed_work tcmu_unmap_work;

// rule definition deletes 1, adds 1
@definition@
declarer name DECLARE_DELAYED_WORK;
symbol tcmu_unmap_work, tcmu_unmap_work_fn;
@@
- static struct delayed_work tcmu_unmap_work;
+ static DECLARE_DELAYED_WORK(tcmu_unmap_work, tcmu_unmap_work_fn);

// rule late deletes 2
@late@
symbol tcmu_unmap_work, tcmu_unmap_work_fn;
@@
 tcmu_module_init(...)
 {
 ...
- INIT_DELAYED_WORK(&tcmu_unmap_work, tcmu_unmap_work_fn);
 ...
 }
