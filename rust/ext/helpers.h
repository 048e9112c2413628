/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C macros and static inline functions that this folder calls and that the kernel
 * crate's helpers do not have. Each function of helpers.c wraps just one; the
 * bindings have it without the prefix.
 */
#ifndef _RUST_EXT_HELPERS_H
#define _RUST_EXT_HELPERS_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct kref;
struct module;
struct page;
struct vm_area_desc;

bool rust_helper_kref_get_unless_zero(struct kref *kref);
void rust_helper_list_del_init(struct list_head *entry);
void rust_helper_init_delayed_work(struct delayed_work *work, work_func_t run);
unsigned int rust_helper_memalloc_noio_save(void);
void rust_helper_memalloc_noio_restore(unsigned int flags);
void rust_helper_get_page(struct page *page);
void rust_helper_put_page(struct page *page);
void rust_helper_lock_page(struct page *page);
void rust_helper_flush_dcache_page(struct page *page);
/* inline if modules cannot be unloaded */
bool rust_helper_try_module_get(struct module *module);
/* vma_desc_set_flags() with what a mapping of shared memory needs */
void rust_helper_vma_desc_set_shared_memory(struct vm_area_desc *desc);

#endif /* _RUST_EXT_HELPERS_H */
