/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input of bindgen: headers of the target and its uapi that the kernel's own
 * bindings do not have. Makefile.bindgen says what is taken of them.
 */
#include <linux/blk_types.h>
#include <linux/configfs.h>
#include <scsi/scsi_common.h>
#include <scsi/scsi_proto.h>
#include <target/target_core_base.h>
#include <target/target_core_backend.h>
#include <target/target_core_fabric.h>
#include <linux/target_core_user.h>

#include "target_core_internal.h"
#include "target_core_alua.h"
#include "target_core_pr.h"

#include <target/lio_rust.h>

#include "../../rust/ext/bindings.h"
