/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what the low-level driver for tests needs besides rust/ext. */
#include "../../../../rust/ext/bindings.h"

#include <linux/module.h>
#include <linux/scatterlist.h>
#include <uapi/scsi/fc/fc_fs.h>
#include <uapi/scsi/fc/fc_els.h>
#include <linux/nvme-fc-driver.h>
