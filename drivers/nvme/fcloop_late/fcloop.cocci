// SPDX-License-Identifier: GPL-2.0
//
// fcloop with completions that come late: the host has the response at once, and the target is told
// only later that it was sent, or that data moved, as by an adapter that waits for an
// acknowledgement. What adapters may do besides and fcloop does not: commands may be deferred, and
// their IU is gone as soon as the target must have copied it; LS are outstanding until they are
// aborted, which takes its time.
//
// Parameters: the delays in milliseconds, 0 for none; hold_disconnects: the host has no answer to a
// Disconnect Association until it aborts it; defer: there is a defer_rcv; stall_ms: how long an
// allocation of a deferral in nvmet_fc_rcv_fcp_req() takes. The others count.

// rule include deletes 0, adds 2
@include@
@@
  #include <linux/nvme-fc.h>
+ #include <linux/delay.h>
+ #include <linux/kprobes.h>

// rule fields deletes 0, adds 4
@fields@
@@
  struct fcloop_fcpreq {
  ...
  	struct nvmefc_tgt_fcp_req	tgt_fcp_req;
+ 	struct nvme_fc_cmd_iu		iu;
+ 	struct delayed_work		late_work;
+ 	bool				responded;
+ 	bool				promoted;
  };

// rule ls_field deletes 0, adds 1
@ls_field@
@@
  struct fcloop_lsreq {
  ...
  	int				status;
+ 	struct nvme_fc_remote_port	*remoteport;
  ...
  };

// The port that has sent an LS gets its answer. fcloop answers to the port that it knows last, and
// to none while that is being registered.
// rule send_ls deletes 0, adds 1
@send_ls@
identifier l, p, ls, req;
@@
  fcloop_h2t_ls_req(struct nvme_fc_local_port *l, struct nvme_fc_remote_port *p, struct nvmefc_ls_req *ls)
  {
  <...
  	req->lsreq = ls;
+ 	req->remoteport = p;
  ...>
  }

// rule parameters deletes 0, adds 36
@parameters@
declarer name module_param;
declarer name module_param_named;
declarer name LIST_HEAD;
declarer name DEFINE_SPINLOCK;
@@
  static struct kmem_cache *lsreq_cache;
+
+ static unsigned int response_delay_ms;
+ module_param(response_delay_ms, uint, 0644);
+ static unsigned int data_delay_ms;
+ module_param(data_delay_ms, uint, 0644);
+ static unsigned int ls_abort_ms;
+ module_param(ls_abort_ms, uint, 0644);
+ static bool hold_disconnects;
+ module_param(hold_disconnects, bool, 0644);
+ static bool defer;
+ module_param(defer, bool, 0444);
+ static unsigned int stall_ms;
+ module_param(stall_ms, uint, 0444);
+
+ static atomic_t late = ATOMIC_INIT(0);
+ module_param_named(late, late.counter, int, 0444);
+ static atomic_t outstanding = ATOMIC_INIT(0);
+ module_param_named(outstanding, outstanding.counter, int, 0444);
+ static atomic_t deferred = ATOMIC_INIT(0);
+ module_param_named(deferred, deferred.counter, int, 0444);
+ static atomic_t promoted = ATOMIC_INIT(0);
+ module_param_named(promoted, promoted.counter, int, 0444);
+ static atomic_t refused = ATOMIC_INIT(0);
+ module_param_named(refused, refused.counter, int, 0444);
+ static atomic_t aborted_ls = ATOMIC_INIT(0);
+ module_param_named(aborted_ls, aborted_ls.counter, int, 0444);
+ static atomic_t stalled = ATOMIC_INIT(0);
+ module_param_named(stalled, stalled.counter, int, 0444);
+ static atomic_t wrong = ATOMIC_INIT(0);
+ module_param_named(wrong, wrong.counter, int, 0444);
+
+ #define RECEIVERS 64
+ static struct task_struct *receivers[RECEIVERS];
+ static struct workqueue_struct *late_wq;
+ static LIST_HEAD(held_ls);
+ static DEFINE_SPINLOCK(held_lock);

// An LS has been answered: rule answer.
// rule hold deletes 0, adds 22
@hold@
@@
  tgt_fcp_req_to_fcpreq(...) { ... }
+
+ static void fcloop_cancel_ls(struct fcloop_lsreq *ls)
+ {
+ 	ls->lsreq->done(ls->lsreq, -ECANCELED);
+ 	kmem_cache_free(lsreq_cache, ls);
+ }
+
+ static bool fcloop_hold(struct fcloop_lsreq *ls)
+ {
+ 	struct fcnvme_ls_rqst_w0 *w0 = ls->lsreq->rqstaddr;
+ 	bool hold = hold_disconnects && w0->ls_cmd == FCNVME_LS_DISCONNECT_ASSOC;
+ 	bool online;
+
+ 	spin_lock(&held_lock);
+ 	/* Of a port that is deleted they are aborted now, or were. */
+ 	online = ls->remoteport->port_state == FC_OBJSTATE_ONLINE;
+ 	if (hold && online)
+ 		list_add_tail(&ls->ls_list, &held_ls);
+ 	spin_unlock(&held_lock);
+ 	if (!online)
+ 		fcloop_cancel_ls(ls);
+ 	return hold || !online;
+ }

// rule answer deletes 2, adds 3
@answer@
identifier t, r, ls, tport, port, rport;
@@
  fcloop_h2t_xmt_ls_rsp(struct nvmet_fc_target_port *t, struct nvmefc_ls_rsp *r)
  {
  ...
  	struct fcloop_lsreq *ls = ...;
  	...
- 	struct fcloop_tport *tport = t->private;
- 	struct nvme_fc_remote_port *port = tport->remoteport;
+ 	struct nvme_fc_remote_port *port = ls->remoteport;
  	...
  	rport = port->private;
+ 	if (fcloop_hold(ls))
+ 		return 0;
  	...
  }

// rule functions deletes 0, adds 115
@functions@
@@
  static int check_for_drop(struct fcloop_fcpreq *tfcp_req) { ... }
+
+ static void fcloop_late_work(struct work_struct *work)
+ {
+ 	struct fcloop_fcpreq *req = container_of(work, struct fcloop_fcpreq, late_work.work);
+ 	unsigned long flags;
+
+ 	spin_lock_irqsave(&req->reqlock, flags);
+ 	req->active = false;
+ 	spin_unlock_irqrestore(&req->reqlock, flags);
+ 	req->tgt_fcp_req.done(&req->tgt_fcp_req);
+ 	atomic_dec(&outstanding);
+ }
+
+ static void fcloop_complete(struct fcloop_fcpreq *req, u8 op)
+ {
+ 	bool response = op == NVMET_FCOP_RSP || op == NVMET_FCOP_READDATA_RSP;
+ 	unsigned int delay = response ? READ_ONCE(response_delay_ms) : READ_ONCE(data_delay_ms);
+
+ 	atomic_inc(&outstanding);
+ 	if (!delay) {
+ 		fcloop_late_work(&req->late_work.work);
+ 		return;
+ 	}
+ 	atomic_inc(&late);
+ 	if (response) {
+ 		/* This reference is the target's, until it releases the request. */
+ 		refcount_inc(&req->ref);
+ 		req->responded = true;
+ 		queue_work(nvmet_wq, &req->tio_done_work);
+ 	}
+ 	queue_delayed_work(late_wq, &req->late_work, msecs_to_jiffies(delay));
+ }
+
+ static void fcloop_release(struct fcloop_fcpreq *req)
+ {
+ 	if (req->active)
+ 		atomic_inc(&wrong);
+ 	if (req->responded)
+ 		fcloop_tfcp_req_put(req);
+ 	else
+ 		queue_work(nvmet_wq, &req->tio_done_work);
+ }
+
+ static void fcloop_discard(struct fcloop_fcpreq *req)
+ {
+ 	memset(&req->iu, 0xa5, sizeof(req->iu));
+ }
+
+ static void
+ fcloop_defer_rcv(struct nvmet_fc_target_port *tgtport, struct nvmefc_tgt_fcp_req *tgt_fcpreq)
+ {
+ 	struct fcloop_fcpreq *req = tgt_fcp_req_to_fcpreq(tgt_fcpreq);
+
+ 	if (req->promoted)
+ 		atomic_inc(&wrong);
+ 	req->promoted = true;
+ 	fcloop_discard(req);
+ 	atomic_inc(&promoted);
+ }
+
+ static int fcloop_receive(struct fcloop_fcpreq *req, struct nvmefc_fcp_req *fcpreq)
+ {
+ 	u32 length = min_t(u32, fcpreq->cmdlen, sizeof(req->iu));
+ 	struct task_struct **receiver = &receivers[current->pid % RECEIVERS];
+ 	int ret;
+
+ 	memcpy(&req->iu, fcpreq->cmdaddr, length);
+ 	/* It may be over before the call returns. */
+ 	refcount_inc(&req->ref);
+ 	WRITE_ONCE(*receiver, current);
+ 	ret = nvmet_fc_rcv_fcp_req(req->tport->targetport, &req->tgt_fcp_req, &req->iu, length);
+ 	WRITE_ONCE(*receiver, NULL);
+ 	if (!ret)
+ 		fcloop_discard(req);
+ 	if (ret == -EOVERFLOW && defer) {
+ 		atomic_inc(&deferred);
+ 		ret = 0;
+ 	}
+ 	if (ret)
+ 		atomic_inc(&refused);
+ 	fcloop_tfcp_req_put(req);
+ 	return ret;
+ }
+
+ static int fcloop_stall(struct kprobe *probe, struct pt_regs *regs)
+ {
+ 	unsigned long size = regs_get_kernel_argument(regs, 2);
+
+ 	if (size < 24 || size > 32 || READ_ONCE(receivers[current->pid % RECEIVERS]) != current)
+ 		return 0;
+ 	atomic_inc(&stalled);
+ 	mdelay(stall_ms);
+ 	return 0;
+ }
+
+ static struct kprobe stall_probe = {
+ 	.symbol_name = "__kmalloc_cache_noprof",
+ 	.pre_handler = fcloop_stall,
+ };
+
+ /*
+  * Whether the probe finds that a receiver allocates what C does for a command that waits for a job.
+  * Otherwise it would say nothing that it finds none.
+  */
+ static bool fcloop_stalls(void)
+ {
+ 	struct task_struct **receiver = &receivers[current->pid % RECEIVERS];
+ 	struct {
+ 		struct list_head list;
+ 		void *request;
+ 	} *memory;
+
+ 	WRITE_ONCE(*receiver, current);
+ 	memory = kmalloc(sizeof(*memory), GFP_KERNEL);
+ 	WRITE_ONCE(*receiver, NULL);
+ 	OPTIMIZER_HIDE_VAR(memory);
+ 	kfree(memory);
+ 	return atomic_xchg(&stalled, 0) == 1;
+ }

// rule receive deletes 3, adds 1
@receive@
identifier work, req, fcpreq, ret;
@@
  fcloop_fcp_recv_work(struct work_struct *work)
  {
  <...
- 	ret = nvmet_fc_rcv_fcp_req(req->tport->targetport, &req->tgt_fcp_req, fcpreq->cmdaddr, fcpreq->cmdlen);
+ 	ret = fcloop_receive(req, fcpreq);
  ...>
  }

// rule init_work deletes 0, adds 1
@init_work@
identifier req;
@@
  	INIT_WORK(&req->tio_done_work, fcloop_tgt_fcprqst_done_work);
+ 	INIT_DELAYED_WORK(&req->late_work, fcloop_late_work);

// rule complete deletes 5, adds 1
@complete@
symbol op;
identifier t, r, req, flags, length, error;
@@
  fcloop_fcp_op(struct nvmet_fc_target_port *t, struct nvmefc_tgt_fcp_req *r)
  {
  <...
- 	spin_lock_irqsave(&req->reqlock, flags);
- 	req->active = false;
- 	spin_unlock_irqrestore(&req->reqlock, flags);
  	r->transferred_length = length;
  	r->fcp_error = error;
- 	r->done(r);
+ 	fcloop_complete(req, op);
  ...>
  }

// rule release deletes 1, adds 1
@release@
identifier req;
@@
  fcloop_fcp_req_release(...)
  {
  ...
- 	queue_work(nvmet_wq, &req->tio_done_work);
+ 	fcloop_release(req);
  }

// rule abort_ls deletes 1, adds 15
@abort_ls@
iterator name list_for_each_entry;
identifier l, p, ls;
@@
  fcloop_h2t_ls_abort(struct nvme_fc_local_port *l, struct nvme_fc_remote_port *p, struct nvmefc_ls_req *ls)
  {
+ 	struct fcloop_lsreq *held;
+
+ 	atomic_inc(&aborted_ls);
+ 	msleep(ls_abort_ms);
+ 	spin_lock(&held_lock);
+ 	list_for_each_entry(held, &held_ls, ls_list)
+ 		if (held->lsreq == ls)
+ 			break;
+ 	if (list_entry_is_head(held, &held_ls, ls_list))
+ 		held = NULL;
+ 	else
+ 		list_del(&held->ls_list);
+ 	spin_unlock(&held_lock);
+ 	if (held)
+ 		fcloop_cancel_ls(held);
  }

// rule load deletes 1, adds 31
@load@
declarer name module_init;
@@
- module_init(fcloop_init);
+ static void fcloop_late_end(void)
+ {
+ 	/* What is still to be done with requests, and then what that has queued. */
+ 	destroy_workqueue(late_wq);
+ 	flush_workqueue(nvmet_wq);
+ 	if (stall_ms)
+ 		unregister_kprobe(&stall_probe);
+ }
+
+ static int __init fcloop_late_init(void)
+ {
+ 	int ret;
+
+ 	if (defer)
+ 		tgttemplate.defer_rcv = fcloop_defer_rcv;
+ 	late_wq = alloc_workqueue("fcloop_late", WQ_UNBOUND, 0);
+ 	if (!late_wq)
+ 		return -ENOMEM;
+ 	ret = stall_ms ? register_kprobe(&stall_probe) : 0;
+ 	if (ret) {
+ 		destroy_workqueue(late_wq);
+ 		return ret;
+ 	}
+ 	if (stall_ms && !fcloop_stalls())
+ 		ret = -ENODEV;
+ 	else
+ 		ret = fcloop_init();
+ 	if (ret)
+ 		fcloop_late_end();
+ 	return ret;
+ }
+
+ module_init(fcloop_late_init);

// rule unload deletes 1, adds 6
@unload@
declarer name module_exit;
@@
- module_exit(fcloop_exit);
+ static void __exit fcloop_late_exit(void)
+ {
+ 	fcloop_exit();
+ 	fcloop_late_end();
+ }
+
+ module_exit(fcloop_late_exit);
