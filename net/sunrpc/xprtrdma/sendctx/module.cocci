// SPDX-License-Identifier: GPL-2.0
//
// The file in debugfs comes and goes with the module.

// rule include deletes 0, adds 1
@include@
@@
  #include "xprt_rdma.h"
+ #include "sendctx/sendctx.h"

// rule cleanup deletes 0, adds 1
@cleanup@
@@
  rpc_rdma_cleanup(void)
  {
  ...
+ 	rpcrdma_sendctx_exit();
  }

// rule init deletes 0, adds 1
@init@
@@
  rpc_rdma_init(void)
  {
  ...
+ 	rpcrdma_sendctx_init();
  	return 0;
  ...
  }
