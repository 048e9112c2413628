/* SPDX-License-Identifier: GPL-2.0 */
/* Macros and static inline functions; the bindings have them without the prefix. */
#ifndef _NVME_TARGET_FCQ_HELPERS_H
#define _NVME_TARGET_FCQ_HELPERS_H

#include <linux/dma-mapping.h>
#include <linux/workqueue.h>

void rust_helper_init_work(struct work_struct *work, work_func_t run);
void rust_helper_dma_sync_single_for_cpu(struct device *dev, dma_addr_t addr,
					 size_t size,
					 enum dma_data_direction dir);

#endif
