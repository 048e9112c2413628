/* SPDX-License-Identifier: GPL-2.0 */
/* Static inline functions and macros; the bindings have them without the prefix. */
#ifndef _NVME_TARGET_TEST_LLDD_HELPERS_H
#define _NVME_TARGET_TEST_LLDD_HELPERS_H

#include <linux/kprobes.h>

void rust_helper_mdelay(unsigned int msecs);
/* Allocates what an LLDD's command needs in C that waits for a job, and frees it. */
void rust_helper_allocate_as_receiver(void);
/* Where the function that a probe is at the beginning of returns to; 0: not known. */
unsigned long rust_helper_probed_return_address(struct pt_regs *regs);
/* One of its arguments. */
unsigned long rust_helper_regs_get_kernel_argument(struct pt_regs *regs,
						   unsigned int n);

#endif
