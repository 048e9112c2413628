/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Rust needs of C macros and static inline functions that the kernel
 * crate's helpers do not have. Each function wraps exactly one of them.
 *
 * The functions of lio_tmr_*() are defined in drivers/target/lio/tmr_shim.c
 * (target_core_mod), those of tcmu_shim_*() in drivers/target/tcmu/shim.c
 * (target_core_user).
 */
#ifndef _TARGET_LIO_RUST_H
#define _TARGET_LIO_RUST_H

#include <linux/types.h>
#include <linux/workqueue.h>

struct kref;
struct kernel_param_ops;
struct page;
struct se_cmd;
struct se_device;
struct vm_area_desc;

/* kref_get_unless_zero() */
bool lio_tmr_kref_get_unless_zero(struct kref *kref);
/* list_move_tail() */
void lio_tmr_list_move_tail(struct list_head *entry, struct list_head *head);
/* list_del_init() */
void lio_tmr_list_del_init(struct list_head *entry);
/* __ratelimit(), at the default rate for all callers together */
bool lio_tmr_ratelimit(void);

/* Tracepoints of task management, see drivers/target/lio/tmr_trace.h */
void lio_tmr_trace_received(struct se_cmd *cmd, u8 function);
void lio_tmr_trace_abort(struct se_cmd *cmd);
bool lio_tmr_trace_notify_enabled(void);
void lio_tmr_trace_notify(struct se_device *dev, u8 function,
			  unsigned int commands);
void lio_tmr_trace_done(struct se_device *dev, u8 function, u64 tag,
			u8 response);

/* Module parameters of target_core_user, defined in Rust */
extern const struct kernel_param_ops tcmu_max_data_area_ops;
extern const struct kernel_param_ops tcmu_block_netlink_ops;
extern const struct kernel_param_ops tcmu_reset_netlink_ops;

/* INIT_DELAYED_WORK() */
void tcmu_shim_init_delayed_work(struct delayed_work *work, work_func_t run);
/* memalloc_noio_save() */
unsigned int tcmu_shim_memalloc_noio_save(void);
/* memalloc_noio_restore() */
void tcmu_shim_memalloc_noio_restore(unsigned int flags);
/* get_page() */
void tcmu_shim_get_page(struct page *page);
/* put_page() */
void tcmu_shim_put_page(struct page *page);
/* lock_page() */
void tcmu_shim_lock_page(struct page *page);
/* Reclaim of data pages, defined in Rust: what DECLARE_DELAYED_WORK() refers to */
void tcmu_reclaim(struct work_struct *work);
/* schedule_delayed_work() of it; nothing if it is queued */
void tcmu_shim_schedule_reclaim(unsigned int ms);
/* cancel_delayed_work_sync() of it */
void tcmu_shim_cancel_reclaim(void);
/* flush_dcache_page() */
void tcmu_shim_flush_dcache_page(struct page *page);
/* vma_desc_set_flags() with what a mapping of a ring needs */
void tcmu_shim_vma_desc_set_flags(struct vm_area_desc *desc);

#endif /* _TARGET_LIO_RUST_H */
