// SPDX-License-Identifier: GPL-2.0
//
// Messages that an initiator can cause at will.

// rule messages deletes 6, adds 7
@messages@
expression list es;
@@
 core_tmr_abort_task(...)
 {
 <...
(
- pr_err(es);
+ pr_err_ratelimited(es);
|
- printk(es);
+ pr_err_ratelimited(es);
)
 ...>
 }
