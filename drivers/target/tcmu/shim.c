// SPDX-License-Identifier: GPL-2.0
/* C macros and static inline functions that target_core_user needs. */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/stringify.h>
#include <linux/workqueue.h>
#include <target/lio_rust.h>

void tcmu_shim_init_delayed_work(struct delayed_work *work, work_func_t run)
{
	INIT_DELAYED_WORK(work, run);
}

unsigned int tcmu_shim_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void tcmu_shim_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

void tcmu_shim_get_page(struct page *page)
{
	get_page(page);
}

void tcmu_shim_put_page(struct page *page)
{
	put_page(page);
}

void tcmu_shim_lock_page(struct page *page)
{
	lock_page(page);
}

static DECLARE_DELAYED_WORK(reclaim_work, tcmu_reclaim);

void tcmu_shim_schedule_reclaim(unsigned int ms)
{
	schedule_delayed_work(&reclaim_work, msecs_to_jiffies(ms));
}

void tcmu_shim_cancel_reclaim(void)
{
	cancel_delayed_work_sync(&reclaim_work);
}

void tcmu_shim_flush_dcache_page(struct page *page)
{
	flush_dcache_page(page);
}

void tcmu_shim_vma_desc_set_flags(struct vm_area_desc *desc)
{
	vma_desc_set_flags(desc, VMA_DONTEXPAND_BIT, VMA_DONTDUMP_BIT);
}

module_param_cb(global_max_data_area_mb, &tcmu_max_data_area_ops, NULL, 0644);
MODULE_PARM_DESC(global_max_data_area_mb,
		 "Max MBs of the data areas of all devices, and of each one.");

module_param_cb(block_netlink, &tcmu_block_netlink_ops, NULL, 0644);
MODULE_PARM_DESC(block_netlink, "Block new netlink commands.");

module_param_cb(reset_netlink, &tcmu_reset_netlink_ops, NULL, 0200);
MODULE_PARM_DESC(reset_netlink, "Reset netlink commands.");

/* The external form only: how people and dkms(8) tell it from the stock module. */
#ifdef LIO_RUST_VERSION
MODULE_VERSION(__stringify(LIO_RUST_VERSION));
#endif
