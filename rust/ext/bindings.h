/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what rust/ext needs besides the kernel crate's bindings. */
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/scatterlist.h>
#include <linux/uio_driver.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>

#include "helpers.h"
