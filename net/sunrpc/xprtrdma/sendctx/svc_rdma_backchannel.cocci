// SPDX-License-Identifier: GPL-2.0
//
// The transport of a server's callbacks is given back. In C it has a reference that nobody puts:
// it stays, and names strings of the module after the module has gone.

// rule reference deletes 1
@reference@
expression xprt;
@@
  xprt_setup_rdma_bc(...)
  {
  ...
  	xprt->bc_xprt = args->bc_xprt;
- 	xprt_get(xprt);
  ...
  }
