// SPDX-License-Identifier: GPL-2.0
/* What target queues need of C. */
#include <linux/module.h>
#include <linux/stringify.h>
#include "../../../../rust/ext/helpers.c"
#include "fcq/helpers.h"

void rust_helper_init_work(struct work_struct *work, work_func_t run)
{
	INIT_WORK(work, run);
}

void rust_helper_dma_sync_single_for_cpu(struct device *dev, dma_addr_t addr,
					 size_t size,
					 enum dma_data_direction dir)
{
	dma_sync_single_for_cpu(dev, addr, size, dir);
}

/* The external form only: how people and dkms(8) tell it from the stock module. */
#ifdef LIO_RUST_VERSION
MODULE_VERSION(__stringify(LIO_RUST_VERSION));
#endif
