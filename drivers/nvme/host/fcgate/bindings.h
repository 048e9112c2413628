/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what the gates of LLDD ports need besides rust/ext. */
#include "../../../../rust/ext/bindings.h"

#include <linux/wait_bit.h>
#include <uapi/scsi/fc/fc_fs.h>
#include <uapi/scsi/fc/fc_els.h>
#include <linux/nvme-fc-driver.h>

#include "nvme.h"
#include "fcgate/fcgate.h"
