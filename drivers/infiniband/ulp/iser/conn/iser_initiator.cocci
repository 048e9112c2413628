// SPDX-License-Identifier: GPL-2.0
//
// iSCSI is told of a failed connection once, by whoever finds out first.

// rule include deletes 0, adds 1
@include@
@@
  #include "iscsi_iser.h"
+ #include "conn/conn.h"

// rule failed deletes 2, adds 1
@failed@
identifier c;
@@
  iser_task_rsp(...)
  {
  <...
- iscsi_conn_failure(c->iscsi_conn, ISCSI_ERR_CONN_FAILED);
+ iser_conn_failed(c, ISCSI_ERR_CONN_FAILED);
  ...>
  }
