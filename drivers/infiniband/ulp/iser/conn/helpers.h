/* SPDX-License-Identifier: GPL-2.0 */
/* Macros and static inline functions; the bindings have them without the prefix. */
#ifndef _INFINIBAND_ISER_CONN_HELPERS_H
#define _INFINIBAND_ISER_CONN_HELPERS_H

#include <linux/atomic.h>
#include <linux/workqueue.h>

struct iscsi_conn;

/* as wait_var_event() and wake_up_var() have it */
void rust_helper_wait_until_zero(atomic_t *word);
void rust_helper_dec_and_wake(atomic_t *word);
/* waits until nobody has the session's frwd_lock or back_lock who has it now */
void rust_helper_iscsi_lock_barrier(struct iscsi_conn *conn);
/* unmaps what tasks have of the connection that this one is bound to */
void rust_helper_iser_unmap_tasks(struct iscsi_conn *conn);

#endif
