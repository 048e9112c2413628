// SPDX-License-Identifier: GPL-2.0
//
// When a connection is made, ended and freed becomes Rust. C keeps the queue pair, memory
// regions, addresses and routes, and is told when.

// rule include deletes 0, adds 1
@include@
@@
  #include "iscsi_iser.h"
+ #include "conn/conn.h"

// rule device deletes 1, adds 1
@device@
expression d, i;
@@
- d->ib_device->node_guid == i->device->node_guid
+ d->ib_device == i->device

// rule release_work deletes 18
@release_work@
identifier w;
@@
- void iser_release_work(struct work_struct *w) { ... }

// rule free deletes 1, adds 1
@free@
identifier c, d;
@@
- static
  void iser_free_ib_conn_res(struct iser_conn *c, bool d) { ... }

// rule release deletes 35
@release@
identifier c;
@@
- void iser_conn_release(struct iser_conn *c) { ... }

// rule terminate deletes 43
@terminate@
identifier c;
@@
- int iser_conn_terminate(struct iser_conn *c) { ... }

// rule connect_error deletes 12
@connect_error@
identifier i;
@@
- static void iser_connect_error(struct rdma_cm_id *i) { ... }

// rule addr_type deletes 1, adds 1
@addr_type@
identifier i;
@@
- static void
+ int
  iser_addr_handler(struct rdma_cm_id *i) { ... }

// rule addr_last deletes 4, adds 2
@addr_last@
identifier i, ret;
@@
  iser_addr_handler(struct rdma_cm_id *i)
  {
  ...
  ret = rdma_resolve_route(i, 1000);
- if (ret) {
+ if (ret)
  iser_err(...);
- iser_connect_error(i);
- return;
- }
+ return ret;
  }

// rule addr_error deletes 2, adds 1
@addr_error@
identifier i;
@@
  iser_addr_handler(struct rdma_cm_id *i)
  {
  <...
- iser_connect_error(i);
- return;
+ return -ENOMEM;
  ...>
  }

// rule addr_bail deletes 1, adds 1
@addr_bail@
identifier i;
@@
  iser_addr_handler(struct rdma_cm_id *i)
  {
  <...
- return;
+ return 0;
  ...>
  }

// rule route_type deletes 1, adds 1
@route_type@
identifier i;
@@
- static void
+ int
  iser_route_handler(struct rdma_cm_id *i) { ... }

// rule route_error deletes 1, adds 1
@route_error@
identifier i, ret;
@@
  iser_route_handler(struct rdma_cm_id *i)
  {
  ...
  int ret;
  <...
- iser_connect_error(i);
+ return ret;
  ...>
  }

// rule route_return deletes 2, adds 2
@route_return@
identifier i;
@@
  iser_route_handler(struct rdma_cm_id *i)
  {
  <...
- return;
+ return 0;
  ...>
  }

// rule connected deletes 5, adds 2
@connected@
identifier i, p, c;
@@
- static void iser_connected_handler(struct rdma_cm_id *i, const void *p)
+ void iser_connected_handler(struct rdma_cm_id *i, const void *p)
  {
  ...
- c->state = ISER_CONN_UP;
- complete(&c->up_completion);
  }

// rule cleanup deletes 25
@cleanup@
identifier i, d;
@@
- static void iser_cleanup_handler(struct rdma_cm_id *i, bool d) { ... }

// rule handler deletes 60
@handler@
identifier i, e;
@@
- static int iser_cma_handler(struct rdma_cm_id *i, struct rdma_cm_event *e) { ... }

// rule connect_wait deletes 8
@connect_wait@
identifier n;
@@
  iser_connect(..., int n)
  {
  <...
- if (!n) { ... }
  ...>
  }

// rule connect_state deletes 3
@connect_state@
identifier c;
expression e;
@@
  iser_connect(struct iser_conn *c, ...)
  {
  <...
- c->state = e;
  ...>
  }

// rule connect_release deletes 3
@connect_release@
identifier c;
@@
  iser_connect(struct iser_conn *c, ...)
  {
  <...
- connect_failure:
- mutex_unlock(&c->state_mutex);
- iser_conn_release(c);
  ...>
  }

// rule connect_lock deletes 6
@connect_lock@
expression m;
@@
  iser_connect(...)
  {
  <...
(
- mutex_lock(m);
|
- mutex_unlock(m);
)
  ...>
  }

// rule connect_list deletes 1
@connect_list@
@@
  iser_connect(...)
  {
  <...
- list_add(...);
  ...>
  }

// rule failed deletes 3, adds 1
@failed@
identifier c;
@@
  iser_err_comp(...)
  {
  <...
- if (c->iscsi_conn)
- 	iscsi_conn_failure(c->iscsi_conn, ISCSI_ERR_CONN_FAILED);
+ iser_conn_failed(c, ISCSI_ERR_CONN_FAILED);
  ...>
  }
