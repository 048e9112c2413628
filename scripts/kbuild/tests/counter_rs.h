/* SPDX-License-Identifier: GPL-2.0 */
/* What counter.c calls in Rust. */
#ifndef COUNTER_RS_H
#define COUNTER_RS_H

#include <linux/types.h>

struct counter;

u32 counter_next(struct counter *c);

#endif
