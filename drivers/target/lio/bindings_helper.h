/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input of bindgen: the target, UIO and uapi headers that the kernel's own
 * bindings do not have. Kbuild beside this directory runs it.
 */
#include <linux/blk_types.h>
#include <linux/completion.h>
#include <linux/configfs.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/scatterlist.h>
#include <linux/semaphore.h>
#include <linux/uio_driver.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
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
