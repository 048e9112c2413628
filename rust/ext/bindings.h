/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Input of bindgen: headers of the generic layer that the kernel crate's own
 * bindings do not have. The bindings.h of a subsystem includes this file.
 */
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/scatterlist.h>
#include <linux/semaphore.h>
#include <linux/uio_driver.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
