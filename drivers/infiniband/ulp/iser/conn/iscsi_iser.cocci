// SPDX-License-Identifier: GPL-2.0
//
// The operations of the iSCSI transport class that make, bind, end or stop a connection become
// Rust. A task may outlive the connection that it was given to, which has unmapped it then: when it
// is cleaned up it looks whether it is bound to that one still.

// rule include deletes 0, adds 1
@include@
@@
  #include "iscsi_iser.h"
+ #include "conn/conn.h"

// rule workqueue deletes 1, adds 1
@workqueue@
@@
- static struct workqueue_struct *release_wq;
+ struct workqueue_struct *iser_release_wq;

// rule workqueue_uses deletes 5, adds 5
@workqueue_uses@
@@
- release_wq
+ iser_release_wq

// rule mutex deletes 1
@mutex@
declarer name DEFINE_MUTEX;
@@
- static DEFINE_MUTEX(unbind_iser_conn_mutex);

// rule recv deletes 1, adds 1
@recv@
identifier conn;
expression rc;
@@
  iscsi_iser_recv(struct iscsi_conn *conn, ...)
  {
  <...
- iscsi_conn_failure(conn, rc);
+ iser_conn_failed(conn->dd_data, rc);
  ...>
  }

// rule headers deletes 2, adds 3
@headers@
identifier c, d;
@@
  iser_initialize_task_headers(...)
  {
  	...
- 	struct iser_device *d = c->ib_conn.device;
+ 	struct iser_device *d;
  	...
- 	if (unlikely(c->state != ISER_CONN_UP))
+ 	if (unlikely(!c || READ_ONCE(c->state) != ISER_CONN_UP))
  		return -ENODEV;
+ 	d = c->ib_conn.device;
  	...
  }

// rule cleanup_type deletes 1, adds 1
@cleanup_type@
identifier t;
@@
- static
  void iscsi_iser_cleanup_task(struct iscsi_task *t) { ... }

// rule cleanup_task deletes 2, adds 3
@cleanup_task@
identifier t, c, d;
expression e;
@@
  iscsi_iser_cleanup_task(...)
  {
  	struct iscsi_iser_task *t = e;
  	...
- 	struct iser_device *d = c->ib_conn.device;
+ 	struct iser_device *d;
  	...
- 	if (!d)
+ 	if (!c || t->iser_conn != c)
  		return;
+ 	d = c->ib_conn.device;
  	...
  }

// rule bind deletes 60
@bind@
typedef uint64_t;
identifier s, c, e, l;
@@
- static int iscsi_iser_conn_bind(struct iscsi_cls_session *s, struct iscsi_cls_conn *c, uint64_t e, int l) { ... }

// rule start deletes 20
@start@
identifier c;
@@
- static int iscsi_iser_conn_start(struct iscsi_cls_conn *c) { ... }

// rule stop deletes 39
@stop@
identifier c, f;
@@
- static void iscsi_iser_conn_stop(struct iscsi_cls_conn *c, int f) { ... }

// rule session deletes 1, adds 3
@session@
identifier ep, c;
@@
  iscsi_iser_session_create(struct iscsi_endpoint *ep, ...)
  {
  <...
- c = ep->dd_data;
+ c = iser_conn_get(ep);
+ if (!c)
+ 	goto free_host;
  ...>
  }

// rule session_put deletes 0, adds 3
@session_put@
identifier c;
@@
  iscsi_iser_session_create(...)
  {
  <...
  mutex_unlock(&c->state_mutex);
+ iser_conn_put(c);
  ...>
  }

// rule param deletes 2, adds 2
@param@
identifier e, p, b;
@@
- static int iscsi_iser_get_ep_param(struct iscsi_endpoint *e, enum iscsi_param p, char *b)
+ int iscsi_iser_get_ep_param(struct iscsi_endpoint *e, enum iscsi_param p, char *b)
  { ... }

// rule ep_connect deletes 47
@ep_connect@
identifier s, d, n;
@@
- static struct iscsi_endpoint *iscsi_iser_ep_connect(struct Scsi_Host *s, struct sockaddr *d, int n) { ... }

// rule ep_connect_call deletes 0, adds 7
@ep_connect_call@
typedef umode_t;
identifier t, p;
@@
+ static struct iscsi_endpoint *iscsi_iser_ep_connect(struct Scsi_Host *shost,
+ 						    struct sockaddr *dst_addr,
+ 						    int non_blocking)
+ {
+ 	return iser_ep_connect(dst_addr, non_blocking);
+ }
+
  static umode_t iser_attr_is_visible(int t, int p) { ... }

// rule ep_poll deletes 39
@ep_poll@
identifier e, t;
@@
- static int iscsi_iser_ep_poll(struct iscsi_endpoint *e, int t) { ... }

// rule ep_disconnect deletes 37
@ep_disconnect@
identifier e;
@@
- static void iscsi_iser_ep_disconnect(struct iscsi_endpoint *e) { ... }

// rule destroy deletes 1, adds 1
@destroy@
identifier t;
@@
  struct iscsi_transport t = {
- 	.destroy_conn = iscsi_conn_teardown,
+ 	.destroy_conn = iscsi_iser_conn_destroy,
  };

// rule unbind deletes 1, adds 1
@unbind@
identifier t;
@@
  struct iscsi_transport t = {
- 	.unbind_conn = iscsi_conn_unbind,
+ 	.unbind_conn = iscsi_iser_conn_unbind,
  };

// rule get_param deletes 1, adds 1
@get_param@
identifier t;
@@
  struct iscsi_transport t = {
- 	.get_ep_param = iscsi_iser_get_ep_param,
+ 	.get_ep_param = iser_get_ep_param,
  };

// rule exit deletes 13, adds 1
@exit@
identifier empty;
@@
  iser_exit(void)
  {
  ...
+ 	iser_conns_exit();
  	destroy_workqueue(iser_release_wq);
- 	mutex_lock(&ig.connlist_mutex);
- 	empty = list_empty(&ig.connlist);
- 	mutex_unlock(&ig.connlist_mutex);
- 	if (!empty) { ... }
  	...
  }

// rule exit_connections deletes 1
@exit_connections@
identifier c;
@@
  iser_exit(void)
  {
  ...
- 	struct iser_conn *c;
  ...
  }

// rule exit_empty deletes 2
@exit_empty@
identifier empty;
@@
  iser_exit(void)
  {
  ...
- 	int empty;
  ...
  }
