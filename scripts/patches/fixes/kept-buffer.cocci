// SPDX-License-Identifier: GPL-2.0
//
// The entry that the table keeps for itself.

// rule zero deletes 1, adds 1
@zero@
identifier cmd, xas;
@@
 tcmu_free_kept_buf_store(...)
 {
 ...
 cmd = xas_load(&xas);
- if (!cmd)
+ if (!cmd || xa_is_zero(cmd))
 { ... }
 ...
 }
