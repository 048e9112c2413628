/* SPDX-License-Identifier: GPL-2.0 */
/* Static inline functions; the bindings have them without the prefix. */
#ifndef _NET_SUNRPC_XPRTRDMA_BAD_COMPLETION_HELPERS_H
#define _NET_SUNRPC_XPRTRDMA_BAD_COMPLETION_HELPERS_H

#include <linux/tracepoint.h>

struct tracepoint *rust_helper_tracepoint_ptr_deref(tracepoint_ptr_t *p);
void rust_helper_tracepoint_synchronize_unregister(void);

#endif
