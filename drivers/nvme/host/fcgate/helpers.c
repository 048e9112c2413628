// SPDX-License-Identifier: GPL-2.0
/* What the gates of LLDD ports need of C. */
#include <linux/module.h>
#include <linux/stringify.h>
#include <linux/wait_bit.h>
#include "../../../../rust/ext/helpers.c"
#include "nvme.h"
#include "fcgate/fcgate.h"

long rust_helper_wait_while(atomic_t *word, int value, long timeout)
{
	return wait_var_event_timeout(word, atomic_read_acquire(word) != value, timeout);
}

struct device *rust_helper_nvme_ctrl_device(struct nvme_ctrl *ctrl)
{
	return ctrl->device;
}

/* The external form only: how people and dkms(8) tell it from the stock module. */
#ifdef LIO_RUST_VERSION
MODULE_VERSION(__stringify(LIO_RUST_VERSION));
#endif
