/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the C files of rpcrdma and the Rust sources beside this file: what is
 * static in C otherwise, and what there is in Rust only. xprt_rdma.h has the
 * prototypes of the rest.
 */
#ifndef _NET_SUNRPC_XPRTRDMA_SENDCTX_H
#define _NET_SUNRPC_XPRTRDMA_SENDCTX_H

#include <linux/types.h>

struct rpcrdma_ep;
struct rpcrdma_sendctx;
struct rpcrdma_xprt;

/* Rust, called by verbs.c and frwr_ops.c */
int rpcrdma_sendctxs_create(struct rpcrdma_xprt *r_xprt);
void rpcrdma_sendctxs_destroy(struct rpcrdma_xprt *r_xprt);
void rpcrdma_sendctx_put_locked(struct rpcrdma_xprt *r_xprt,
				struct rpcrdma_sendctx *sc);
bool rpcrdma_sendctx_post_locked(struct rpcrdma_xprt *r_xprt,
				 struct rpcrdma_sendctx *sc,
				 unsigned int num_wrs);

/* C, called by Rust: verbs.c */
struct rpcrdma_sendctx *rpcrdma_sendctx_create(struct rpcrdma_ep *ep);

#endif
