/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what Send contexts need besides rust/ext. */
#include "../../../../rust/ext/bindings.h"

#include <linux/sunrpc/svc_rdma.h>

#include "xprt_rdma.h"
#include "sendctx/sendctx.h"

/* What bindgen does not say: a value of an enum without a name. */
const unsigned int SENDCTX_BC_REQUESTS = RPCRDMA_MAX_BC_REQUESTS;
