/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between fc.c and the Rust sources beside this file: what is static in C
 * otherwise, and what there is in Rust only. linux/nvme-fc-driver.h has the
 * prototypes of the rest.
 */
#ifndef _NVME_TARGET_FCQ_H
#define _NVME_TARGET_FCQ_H

#include <linux/types.h>

struct nvmefc_tgt_fcp_req;
struct nvmet_fc_fcp_iod;
struct nvmet_fc_tgt_assoc;
struct nvmet_fc_tgt_queue;
struct nvmet_fc_tgtport;
struct work_struct;

/* Rust's part of a target queue */
struct fcq;

/* Rust, called by fc.c */
struct nvmet_fc_tgt_queue *
nvmet_fc_alloc_target_queue(struct nvmet_fc_tgt_assoc *assoc, u16 qid,
			    u16 sqsize);
void nvmet_fc_delete_target_queue(struct nvmet_fc_tgt_queue *queue);
void nvmet_fc_free_fcp_iod(struct nvmet_fc_tgt_queue *queue,
			   struct nvmet_fc_fcp_iod *fod);
void nvmet_fc_fcp_rqst_op_defer_work(struct work_struct *work);
int nvmet_fc_begin_writedata(struct nvmet_fc_fcp_iod *fod);
void nvmet_fc_fcq_init(void);
void nvmet_fc_fcq_exit(void);

/* C, called by Rust: fc.c */
int nvmet_fc_prep_fcp_iodlist(struct nvmet_fc_tgtport *tgtport,
			      struct nvmet_fc_tgt_queue *queue);
void nvmet_fc_destroy_fcp_iodlist(struct nvmet_fc_tgtport *tgtport,
				  struct nvmet_fc_tgt_queue *queue);
void nvmet_fc_queue_fcp_req(struct nvmet_fc_tgtport *tgtport,
			    struct nvmet_fc_tgt_queue *queue,
			    struct nvmefc_tgt_fcp_req *fcpreq);
int nvmet_fc_tgt_q_get(struct nvmet_fc_tgt_queue *queue);
int nvmet_fc_tgtport_get(struct nvmet_fc_tgtport *tgtport);
void nvmet_fc_tgtport_put(struct nvmet_fc_tgtport *tgtport);

#endif
