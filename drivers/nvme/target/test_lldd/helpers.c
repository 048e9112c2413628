// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. */
#include <linux/delay.h>
#include <linux/slab.h>
#include "../../../../rust/ext/helpers.c"
#include "helpers.h"

void rust_helper_mdelay(unsigned int msecs)
{
	mdelay(msecs);
}

/* As nvmet_fc_rcv_fcp_req() of C: its struct nvmet_fc_defer_fcp_req is that large. */
void rust_helper_allocate_as_receiver(void)
{
	struct {
		struct list_head list;
		void *request;
	} *memory = kmalloc(sizeof(*memory), GFP_KERNEL);

	/* Not optimised away. */
	OPTIMIZER_HIDE_VAR(memory);
	kfree(memory);
}

unsigned long rust_helper_probed_return_address(struct pt_regs *regs)
{
#if defined(CONFIG_X86)
	return *(unsigned long *)kernel_stack_pointer(regs);
#elif defined(CONFIG_ARM64)
	return regs->regs[30];
#else
	return 0;
#endif
}

unsigned long rust_helper_regs_get_kernel_argument(struct pt_regs *regs,
						   unsigned int n)
{
	return regs_get_kernel_argument(regs, n);
}
