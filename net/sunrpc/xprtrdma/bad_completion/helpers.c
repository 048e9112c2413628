// SPDX-License-Identifier: GPL-2.0
/* See helpers.h. */
#include "helpers.h"

struct tracepoint *rust_helper_tracepoint_ptr_deref(tracepoint_ptr_t *p)
{
	return tracepoint_ptr_deref(p);
}

void rust_helper_tracepoint_synchronize_unregister(void)
{
	tracepoint_synchronize_unregister();
}
