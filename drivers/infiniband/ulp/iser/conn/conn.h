/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the C files of ib_iser and the Rust sources beside this file: what is
 * static in C otherwise, and what there is in Rust only. iscsi_iser.h has the
 * prototypes of the rest.
 */
#ifndef _INFINIBAND_ISER_CONN_H
#define _INFINIBAND_ISER_CONN_H

#include <linux/types.h>

#include <scsi/iscsi_if.h>

struct iscsi_cls_conn;
struct iscsi_cls_session;
struct iscsi_endpoint;
struct iscsi_task;
struct iser_conn;
struct rdma_cm_event;
struct rdma_cm_id;
struct sockaddr;
struct workqueue_struct;

/* Rust, called by iscsi_iser.c and the iSCSI transport class */
struct iscsi_endpoint *iser_ep_connect(struct sockaddr *dst_addr,
				       int non_blocking);
int iscsi_iser_ep_poll(struct iscsi_endpoint *ep, int timeout_ms);
void iscsi_iser_ep_disconnect(struct iscsi_endpoint *ep);
int iscsi_iser_conn_bind(struct iscsi_cls_session *cls_session,
			 struct iscsi_cls_conn *cls_conn, u64 transport_eph,
			 int is_leading);
int iscsi_iser_conn_start(struct iscsi_cls_conn *cls_conn);
void iscsi_iser_conn_unbind(struct iscsi_cls_conn *cls_conn, bool is_active);
void iscsi_iser_conn_stop(struct iscsi_cls_conn *cls_conn, int flag);
void iscsi_iser_conn_destroy(struct iscsi_cls_conn *cls_conn);
int iser_get_ep_param(struct iscsi_endpoint *ep, enum iscsi_param param,
		      char *buf);
struct iser_conn *iser_conn_get(struct iscsi_endpoint *ep);
void iser_conn_put(struct iser_conn *iser_conn);
void iser_conns_exit(void);

/* Rust, called by the RDMA CM and by completions */
int iser_cma_handler(struct rdma_cm_id *cma_id, struct rdma_cm_event *event);
void iser_conn_failed(struct iser_conn *iser_conn, enum iscsi_err err);

/* C, used by Rust: iser_verbs.c */
int iser_addr_handler(struct rdma_cm_id *cma_id);
int iser_route_handler(struct rdma_cm_id *cma_id);
void iser_connected_handler(struct rdma_cm_id *cma_id,
			    const void *private_data);
void iser_free_ib_conn_res(struct iser_conn *iser_conn, bool destroy);

/* C, used by Rust: iscsi_iser.c */
void iscsi_iser_cleanup_task(struct iscsi_task *task);
extern struct workqueue_struct *iser_release_wq;
int iscsi_iser_get_ep_param(struct iscsi_endpoint *ep, enum iscsi_param param,
			    char *buf);

#endif
