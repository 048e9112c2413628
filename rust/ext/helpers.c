// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. Included by one C file of each module. */
#include <linux/highmem.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>
#include "helpers.h"

__weak bool rust_helper_kref_get_unless_zero(struct kref *kref)
{
	return kref_get_unless_zero(kref);
}

__weak void rust_helper_list_del_init(struct list_head *entry)
{
	list_del_init(entry);
}

__weak void rust_helper_init_delayed_work(struct delayed_work *work, work_func_t run)
{
	INIT_DELAYED_WORK(work, run);
}

__weak unsigned int rust_helper_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

__weak void rust_helper_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

__weak void rust_helper_get_page(struct page *page)
{
	get_page(page);
}

__weak void rust_helper_put_page(struct page *page)
{
	put_page(page);
}

__weak void rust_helper_lock_page(struct page *page)
{
	lock_page(page);
}

__weak void rust_helper_flush_dcache_page(struct page *page)
{
	flush_dcache_page(page);
}

__weak bool rust_helper_try_module_get(struct module *module)
{
	return try_module_get(module);
}

__weak void rust_helper_vma_desc_set_shared_memory(struct vm_area_desc *desc)
{
	vma_desc_set_flags(desc, VMA_DONTEXPAND_BIT, VMA_DONTDUMP_BIT);
}
