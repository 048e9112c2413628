// SPDX-License-Identifier: GPL-2.0
/* Symbols that fabric modules use and that Rust defines: EXPORT_SYMBOL is a C macro. */
#include <linux/export.h>
#include <target/target_core_base.h>
#include <target/target_core_fabric.h>

EXPORT_SYMBOL(core_tmr_alloc_req);
