// SPDX-License-Identifier: GPL-2.0
//
// Jobs, deferral and life of a target queue become Rust. LS, associations and the data phases of a
// command stay here.

// rule include deletes 0, adds 1
@include@
@@
  #include "../host/fc.h"
+ #include "fcq/fcq.h"

// rule deferral deletes 5
@deferral@
@@
- struct nvmet_fc_defer_fcp_req {
- 	struct list_head		req_list;
- 	struct nvmefc_tgt_fcp_req	*fcp_req;
- };

// rule iod_fields deletes 1, adds 1
@iod_fields@
@@
  struct nvmet_fc_fcp_iod {
  ...
- 	bool				active;
+ 	u32				index;
  ...
  };

// rule queue_fields deletes 4, adds 1
@queue_fields@
@@
  struct nvmet_fc_tgt_queue {
  ...
- 	spinlock_t			qlock;
  ...
- 	struct list_head		fod_list;
- 	struct list_head		pending_cmd_list;
- 	struct list_head		avail_defer_list;
+ 	struct fcq			*fcq;
  ...
  };

// rule defer_work_declaration deletes 1
@defer_work_declaration@
identifier w;
@@
- static void nvmet_fc_fcp_rqst_op_defer_work(struct work_struct *w);

// rule put_declaration deletes 1
@put_declaration@
identifier q;
@@
- static void nvmet_fc_tgt_q_put(struct nvmet_fc_tgt_queue *q);

// rule get_declaration deletes 1
@get_declaration@
identifier q;
@@
- static int nvmet_fc_tgt_q_get(struct nvmet_fc_tgt_queue *q);

// rule tgtport_put_declaration deletes 1
@tgtport_put_declaration@
identifier t;
@@
- static void nvmet_fc_tgtport_put(struct nvmet_fc_tgtport *t);

// rule tgtport_get_declaration deletes 1
@tgtport_get_declaration@
identifier t;
@@
- static int nvmet_fc_tgtport_get(struct nvmet_fc_tgtport *t);

// rule prepare deletes 6, adds 4
@prepare@
identifier t, q, fod, i;
@@
- static void
+ int
  nvmet_fc_prep_fcp_iodlist(struct nvmet_fc_tgtport *t, struct nvmet_fc_tgt_queue *q)
  {
  	...
  	for (i = 0; i < q->sqsize; fod++, i++) {
  	...
- 		fod->active = false;
+ 		fod->index = i;
  	...
- 		list_add_tail(&fod->fcp_list, &q->fod_list);
  	...
  		if (fc_dma_mapping_error(t->dev, fod->rspdma)) {
- 			list_del(&fod->fcp_list);
  			for (fod--, i--; i >= 0; fod--, i--) {
  			...
- 				list_del(&fod->fcp_list);
  			}
- 			return;
+ 			return -ENOMEM;
  		}
  	}
+ 	return 0;
  }

// rule destroy_jobs deletes 1, adds 1
@destroy_jobs@
identifier t, q;
@@
- static void
+ void
  nvmet_fc_destroy_fcp_iodlist(struct nvmet_fc_tgtport *t, struct nvmet_fc_tgt_queue *q) { ... }

// rule take_job deletes 21
@take_job@
identifier q;
@@
- static struct nvmet_fc_fcp_iod *nvmet_fc_alloc_fcp_iod(struct nvmet_fc_tgt_queue *q) { ... }

// rule start deletes 1, adds 1
@start@
identifier t, q, f;
@@
- static void
+ void
  nvmet_fc_queue_fcp_req(struct nvmet_fc_tgtport *t, struct nvmet_fc_tgt_queue *q,
  			 struct nvmefc_tgt_fcp_req *f) { ... }

// rule defer_work deletes 11
@defer_work@
identifier w;
@@
- static void nvmet_fc_fcp_rqst_op_defer_work(struct work_struct *w) { ... }

// rule recycle deletes 65
@recycle@
identifier q, f;
@@
- static void nvmet_fc_free_fcp_iod(struct nvmet_fc_tgt_queue *q, struct nvmet_fc_fcp_iod *f) { ... }

// rule create deletes 54
@create@
typedef u16;
identifier a, id, size;
@@
- static struct nvmet_fc_tgt_queue *nvmet_fc_alloc_target_queue(struct nvmet_fc_tgt_assoc *a, u16 id, u16 size) { ... }

// rule free deletes 14
@free@
identifier r;
@@
- static void nvmet_fc_tgt_queue_free(struct kref *r) { ... }

// rule put deletes 6
@put@
identifier q;
@@
- static void nvmet_fc_tgt_q_put(struct nvmet_fc_tgt_queue *q) { ... }

// rule get deletes 1, adds 1
@get@
identifier q;
@@
- static int
+ int
  nvmet_fc_tgt_q_get(struct nvmet_fc_tgt_queue *q) { ... }

// rule delete deletes 80
@delete@
identifier q;
@@
- static void nvmet_fc_delete_target_queue(struct nvmet_fc_tgt_queue *q) { ... }

// rule find deletes 28
@find@
typedef u64;
identifier t, id;
@@
- static struct nvmet_fc_tgt_queue *nvmet_fc_find_target_queue(struct nvmet_fc_tgtport *t, u64 id) { ... }

// rule tgtport_put deletes 1, adds 1
@tgtport_put@
identifier t;
@@
- static void
+ void
  nvmet_fc_tgtport_put(struct nvmet_fc_tgtport *t) { ... }

// rule tgtport_get deletes 1, adds 1
@tgtport_get@
identifier t;
@@
- static int
+ int
  nvmet_fc_tgtport_get(struct nvmet_fc_tgtport *t) { ... }

// rule first_data deletes 0, adds 4
@first_data@
identifier t, fod;
@@
  nvmet_fc_handle_fcp_rqst(struct nvmet_fc_tgtport *t, struct nvmet_fc_fcp_iod *fod)
  {
  <...
  	if (fod->io_dir == NVMET_FCP_WRITE) {
+ 		if (nvmet_fc_begin_writedata(fod)) {
+ 			nvmet_req_complete(&fod->req, NVME_SC_INTERNAL);
+ 			return;
+ 		}
  		nvmet_fc_transfer_fcp_data(t, fod, NVMET_FCOP_WRITEDATA);
  		return;
  	}
  ...>
  }

// rule next_data deletes 3, adds 5
@next_data@
identifier fod, flags;
@@
  nvmet_fc_fod_op_done(...)
  {
  <...
- 	spin_lock_irqsave(&fod->flock, flags);
- 	fod->writedataactive = true;
- 	spin_unlock_irqrestore(&fod->flock, flags);
+ 	if (nvmet_fc_begin_writedata(fod)) {
+ 		nvmet_req_complete(&fod->req, NVME_SC_INTERNAL);
+ 		return;
+ 	}
  ...>
  }

// What the first call waits for deletes queues, which are freed by works of their own.
// rule unregister deletes 0, adds 1
@unregister@
@@
  nvmet_fc_unregister_targetport(...)
  {
  ...
  	flush_workqueue(nvmet_wq);
+ 	flush_workqueue(nvmet_wq);
  ...
  }

// rule receive deletes 134
@receive@
typedef u32;
identifier t, f, iu, len;
@@
- int nvmet_fc_rcv_fcp_req(struct nvmet_fc_target_port *t, struct nvmefc_tgt_fcp_req *f, void *iu, u32 len) { ... }

// rule abort deletes 52
@abort@
identifier t, f;
@@
- void nvmet_fc_rcv_fcp_abort(struct nvmet_fc_target_port *t, struct nvmefc_tgt_fcp_req *f) { ... }

// rule init deletes 1, adds 5
@init@
@@
  nvmet_fc_init_module(void)
  {
- 	return nvmet_register_transport(&nvmet_fc_tgt_fcp_ops);
+ 	int ret = nvmet_register_transport(&nvmet_fc_tgt_fcp_ops);
+
+ 	if (!ret)
+ 		nvmet_fc_fcq_init();
+ 	return ret;
  }

// rule exit deletes 0, adds 1
@exit@
@@
  nvmet_fc_exit_module(void)
  {
  ...
+ 	nvmet_fc_fcq_exit();
  }
