// SPDX-License-Identifier: GPL-2.0
/* What task management in Rust needs of C macros and static inline functions. */
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/stringify.h>
#include <target/lio_rust.h>

bool lio_tmr_kref_get_unless_zero(struct kref *kref)
{
	return kref_get_unless_zero(kref);
}

void lio_tmr_list_move_tail(struct list_head *entry, struct list_head *head)
{
	list_move_tail(entry, head);
}

void lio_tmr_list_del_init(struct list_head *entry)
{
	list_del_init(entry);
}

bool lio_tmr_ratelimit(void)
{
	static DEFINE_RATELIMIT_STATE(rs, DEFAULT_RATELIMIT_INTERVAL,
				      DEFAULT_RATELIMIT_BURST);

	return __ratelimit(&rs);
}

/* The external form only: how people and dkms(8) tell it from the stock module. */
#ifdef LIO_RUST_VERSION
MODULE_VERSION(__stringify(LIO_RUST_VERSION));
#endif
