/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what bad completions need besides rust/ext. */
#include "../../../../rust/ext/bindings.h"

#include <linux/sunrpc/svc_rdma.h>

#include "xprt_rdma.h"
#include "../bad_completion/helpers.h"
