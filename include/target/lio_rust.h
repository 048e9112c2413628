/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust needs of C macros and static inline functions that the kernel
 * crate's helpers do not have. Each function wraps exactly one of them.
 *
 * The functions of lio_tmr_*() are defined in drivers/target/lio/exports.c
 * (target_core_mod), those of tcmu_shim_*() in drivers/target/tcmu/shim.c
 * (target_core_user).
 */
#ifndef _TARGET_LIO_RUST_H
#define _TARGET_LIO_RUST_H

#include <linux/types.h>

#endif /* _TARGET_LIO_RUST_H */
