// SPDX-License-Identifier: GPL-2.0
/* What connections need of C. */
#include <linux/module.h>
#include <linux/stringify.h>
#include <linux/wait_bit.h>
#include <scsi/libiscsi.h>
#include "../../../../../rust/ext/helpers.c"
#include "conn/conn.h"
#include "conn/helpers.h"

void rust_helper_wait_until_zero(atomic_t *word)
{
	wait_var_event(word, !atomic_read_acquire(word));
}

void rust_helper_dec_and_wake(atomic_t *word)
{
	atomic_dec_and_wake_up(word);
}

void rust_helper_iscsi_lock_barrier(struct iscsi_conn *conn)
{
	spin_lock_bh(&conn->session->frwd_lock);
	spin_unlock_bh(&conn->session->frwd_lock);
	spin_lock_bh(&conn->session->back_lock);
	spin_unlock_bh(&conn->session->back_lock);
}

void rust_helper_iser_unmap_tasks(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	struct iscsi_task *task;
	int i;

	/* under this lock a task that has a command has its memory, too */
	spin_lock_bh(&session->back_lock);
	for (i = 0; i < session->cmds_max; i++) {
		task = session->cmds[i];
		if (task->conn == conn)
			iscsi_iser_cleanup_task(task);
	}
	spin_unlock_bh(&session->back_lock);
}

/* The external form only: how people and dkms(8) tell it from the stock module. */
#ifdef LIO_RUST_VERSION
MODULE_VERSION(__stringify(LIO_RUST_VERSION));
#endif
