// SPDX-License-Identifier: GPL-2.0
//
// The ring of Send contexts becomes Rust. A single context is still made here, because its
// completion handler is, and released in rpc_rdma.c.

// rule include deletes 0, adds 1
@include@
@@
  #include "xprt_rdma.h"
+ #include "sendctx/sendctx.h"

// rule create_declaration deletes 2
@create_declaration@
identifier x;
@@
- static int rpcrdma_sendctxs_create(struct rpcrdma_xprt *x);

// rule destroy_declaration deletes 1
@destroy_declaration@
identifier x;
@@
- static void rpcrdma_sendctxs_destroy(struct rpcrdma_xprt *x);

// rule next_declaration deletes 2
@next_declaration@
identifier b, i;
@@
- static unsigned long rpcrdma_sendctx_next(struct rpcrdma_buffer *b, unsigned long i);

// rule put_declaration deletes 2
@put_declaration@
identifier x, s;
@@
- static void rpcrdma_sendctx_put_locked(struct rpcrdma_xprt *x, struct rpcrdma_sendctx *s);

// rule destroy deletes 49
@destroy@
identifier x;
@@
- static void rpcrdma_sendctxs_destroy(struct rpcrdma_xprt *x) { ... }

// rule create deletes 30
@create@
identifier x;
@@
- static int rpcrdma_sendctxs_create(struct rpcrdma_xprt *x) { ... }

// rule create_one deletes 1, adds 1
@create_one@
identifier e;
@@
- static
  struct rpcrdma_sendctx *rpcrdma_sendctx_create(struct rpcrdma_ep *e) { ... }

// rule next deletes 10
@next@
identifier b, i;
@@
- static unsigned long rpcrdma_sendctx_next(struct rpcrdma_buffer *b, unsigned long i) { ... }

// rule prev deletes 6
@prev@
identifier b, i;
@@
- static unsigned long rpcrdma_sendctx_prev(struct rpcrdma_buffer *b, unsigned long i) { ... }

// rule get deletes 56
@get@
identifier x;
@@
- struct rpcrdma_sendctx *rpcrdma_sendctx_get_locked(struct rpcrdma_xprt *x) { ... }

// rule unget deletes 23
@unget@
identifier x, s;
@@
- void rpcrdma_sendctx_unget_locked(struct rpcrdma_xprt *x, struct rpcrdma_sendctx *s) { ... }

// rule put deletes 40
@put@
identifier x, s;
@@
- static void rpcrdma_sendctx_put_locked(struct rpcrdma_xprt *x, struct rpcrdma_sendctx *s) { ... }
