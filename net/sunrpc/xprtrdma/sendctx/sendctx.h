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

/* Rust, called by verbs.c, frwr_ops.c and module.c */
int rpcrdma_sendctxs_create(struct rpcrdma_xprt *r_xprt);
void rpcrdma_sendctxs_destroy(struct rpcrdma_xprt *r_xprt);
void rpcrdma_sendctx_put_locked(struct rpcrdma_xprt *r_xprt,
				struct rpcrdma_sendctx *sc);
bool rpcrdma_sendctx_post(struct rpcrdma_xprt *r_xprt,
			  struct rpcrdma_sendctx *sc, unsigned int num_wrs,
			  bool must_signal);
void rpcrdma_sendctx_init(void);
void rpcrdma_sendctx_exit(void);

/* C, called by Rust: verbs.c */
struct rpcrdma_sendctx *rpcrdma_sendctx_create(struct rpcrdma_ep *ep);

#endif
