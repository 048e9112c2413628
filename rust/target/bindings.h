/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what rust/target needs besides rust/ext. */
#include "../ext/bindings.h"

#include <linux/blk_types.h>
#include <linux/configfs.h>
#include <linux/semaphore.h>
#include <scsi/scsi_common.h>
#include <scsi/scsi_proto.h>
#include <target/target_core_base.h>
#include <target/target_core_backend.h>
#include <target/target_core_fabric.h>
