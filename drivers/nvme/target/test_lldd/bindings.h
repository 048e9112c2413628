/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what the LLDD needs besides rust/ext. */
#include "../../../../rust/ext/bindings.h"

#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/scatterlist.h>
#include <uapi/scsi/fc/fc_fs.h>
#include <uapi/scsi/fc/fc_els.h>

#include "nvmet.h"
#include <linux/nvme-fc-driver.h>
#include <linux/nvme-fc.h>
#include "../test_lldd/helpers.h"

/* What bindgen does not say: an enum by way of a macro. */
const unsigned char LLDD_CMD_FC_ID = NVME_CMD_FC_ID;
