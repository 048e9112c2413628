// SPDX-License-Identifier: GPL-2.0
//
// Rust decides which Sends are signalled, and learns that one is about to be posted.

// rule include deletes 0, adds 1
@include@
@@
  #include "xprt_rdma.h"
+ #include "sendctx/sendctx.h"

// rule signal deletes 6, adds 2
@signal@
identifier ep, req, send_wr, num_wrs, r_xprt;
expression batch;
@@
  frwr_send(struct rpcrdma_xprt *r_xprt, struct rpcrdma_req *req)
  {
  <...
- if (req->rl_sendctx->sc_unmap_count || num_wrs > ep->re_send_count) {
- 	send_wr->send_flags |= IB_SEND_SIGNALED;
- 	ep->re_send_count = batch;
- } else {
- 	send_wr->send_flags &= ~IB_SEND_SIGNALED;
- 	ep->re_send_count -= num_wrs;
- }
+ if (rpcrdma_sendctx_post(r_xprt, req->rl_sendctx, num_wrs, bc_prealloc(&req->rl_slot)))
+ 	send_wr->send_flags |= IB_SEND_SIGNALED;
+ else
+ 	send_wr->send_flags &= ~IB_SEND_SIGNALED;
  ...>
  }
