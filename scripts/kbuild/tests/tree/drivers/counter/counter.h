/* SPDX-License-Identifier: GPL-2.0 */
/* A header that the kernel crate's bindings do not have. */
#ifndef COUNTER_H
#define COUNTER_H

enum counter_step {
	COUNTER_STEP_ONE = 1,
	COUNTER_STEP_TEN = 10,
};

#endif
