// SPDX-License-Identifier: GPL-2.0
//
// Whether a port is registered, by how many it is used, and when its LLDD is called back becomes
// Rust, and so does what a controller does that has lost its port. port_state stays as it is for
// those who only read it.

// rule include deletes 0, adds 1
@include@
@@
  #include "fc.h"
+ #include "fcgate/fcgate.h"

// rule lock deletes 1, adds 1
@lock@
declarer name DEFINE_SPINLOCK;
@@
- static DEFINE_SPINLOCK(nvme_fc_lock);
+ DEFINE_SPINLOCK(nvme_fc_lock);

// rule lports deletes 1, adds 1
@lports@
declarer name LIST_HEAD;
@@
- static LIST_HEAD(nvme_fc_lport_list);
+ LIST_HEAD(nvme_fc_lport_list);

// rule lport deletes 1, adds 1
@lport@
@@
  struct nvme_fc_lport {
  	...
- 	atomic_t                        act_rport_cnt;
+ 	struct nvme_fc_lport_gate	gate;
  };

// rule rport deletes 2, adds 1
@rport@
@@
  struct nvme_fc_rport {
  	...
- 	atomic_t                        act_ctrl_cnt;
- 	unsigned long			dev_loss_end;
+ 	struct nvme_fc_rport_gate	gate;
  	...
  };

// rule ctrl deletes 0, adds 1
@ctrl@
@@
  struct nvme_fc_ctrl {
  	...
  	unsigned long		flags;
+ 	atomic_long_t		association;
  	...
  };

// rule ls_rcv deletes 0, adds 1
@ls_rcv@
@@
  struct nvmefc_ls_rcv_op {
  	...
  	bool				handled;
+ 	atomic_long_t			active;
  	...
  };

// rule lport_init deletes 1, adds 1
@lport_init@
identifier l, t;
@@
  nvme_fc_register_localport(..., struct nvme_fc_port_template *t, ...)
  {
  	<...
- 	atomic_set(&l->act_rport_cnt, 0);
+ 	nvme_fc_lport_gate_init(l, t);
  	...>
  }

// rule rport_init deletes 1, adds 1
@rport_init@
identifier r;
@@
- atomic_set(&r->act_ctrl_cnt, 0);
+ nvme_fc_rport_gate_init(r);

// rule lport_put deletes 1, adds 1
@lport_put@
identifier l;
@@
- static
  void nvme_fc_lport_put(struct nvme_fc_lport *l) { ... }

// rule lport_get deletes 1, adds 1
@lport_get@
identifier l;
@@
- static
  int nvme_fc_lport_get(struct nvme_fc_lport *l) { ... }

// rule rport_put deletes 1, adds 1
@rport_put@
identifier r;
@@
- static
  void nvme_fc_rport_put(struct nvme_fc_rport *r) { ... }

// rule rport_get deletes 1, adds 1
@rport_get@
identifier r;
@@
- static
  int nvme_fc_rport_get(struct nvme_fc_rport *r) { ... }

// rule abort_lsops deletes 1, adds 1
@abort_lsops@
identifier r;
@@
- static
  int nvme_fc_abort_lsops(struct nvme_fc_rport *r) { ... }

// rule connectivity_loss deletes 1, adds 1
@connectivity_loss@
identifier c;
@@
- static
  void nvme_fc_ctrl_connectivity_loss(struct nvme_fc_ctrl *c) { ... }

// rule resume deletes 1, adds 1
@resume@
identifier c;
@@
- static
  void nvme_fc_resume_controller(struct nvme_fc_ctrl *c)
  {
  	...
  }

// rule resume_now deletes 1, adds 2
@resume_now@
identifier c;
@@
  nvme_fc_resume_controller(struct nvme_fc_ctrl *c)
  {
  	<...
- 	queue_delayed_work(nvme_wq, &c->connect_work, 0);
+ 	mod_delayed_work(nvme_wq, &c->connect_work, NVME_FC_RESUME_DELAY);
  	...>
  }

// rule attach_lport deletes 55
@attach_lport@
identifier p, o, d;
@@
- static struct nvme_fc_lport *
- nvme_fc_attach_to_unreg_lport(struct nvme_fc_port_info *p, struct nvme_fc_port_template *o,
- 			      struct device *d) { ... }

// rule unregister_lport deletes 37
@unregister_lport@
identifier p;
@@
- int nvme_fc_unregister_localport(struct nvme_fc_local_port *p) { ... }

// rule attach_rport deletes 57
@attach_rport@
identifier l, p;
@@
- static struct nvme_fc_rport *
- nvme_fc_attach_to_suspended_rport(struct nvme_fc_lport *l, struct nvme_fc_port_info *p) { ... }

// rule unregister_rport deletes 59
@unregister_rport@
identifier p;
@@
- int nvme_fc_unregister_remoteport(struct nvme_fc_remote_port *p) { ... }

// rule lport_active deletes 8
@lport_active@
identifier r;
@@
- static void nvme_fc_rport_active_on_lport(struct nvme_fc_rport *r) { ... }

// rule lport_inactive deletes 11
@lport_inactive@
identifier r;
@@
- static void nvme_fc_rport_inactive_on_lport(struct nvme_fc_rport *r) { ... }

// rule rport_active deletes 16
@rport_active@
identifier c;
@@
- static int nvme_fc_ctlr_active_on_rport(struct nvme_fc_ctrl *c) { ... }

// rule rport_inactive deletes 19
@rport_inactive@
identifier c;
@@
- static int nvme_fc_ctlr_inactive_on_rport(struct nvme_fc_ctrl *c) { ... }

// rule create deletes 11, adds 3
@create@
identifier c, f, r;
@@
  nvme_fc_create_association(struct nvme_fc_ctrl *c)
  {
  	<...
- 	spin_lock_irqsave(&c->rport->lock, f);
- 	if (c->rport->remoteport.port_state != FC_OBJSTATE_ONLINE) {
- 		spin_unlock_irqrestore(&c->rport->lock, f);
- 		return -ENODEV;
- 	}
-
- 	if (nvme_fc_ctlr_active_on_rport(c)) {
- 		spin_unlock_irqrestore(&c->rport->lock, f);
- 		return -ENOTUNIQ;
- 	}
- 	spin_unlock_irqrestore(&c->rport->lock, f);
+ 	ret = nvme_fc_ctlr_active_on_rport(c);
+ 	if (ret)
+ 		return ret;
  	...>
  }

// rule create_clear deletes 2
@create_clear@
identifier c;
@@
  nvme_fc_create_association(struct nvme_fc_ctrl *c)
  {
  	<...
- 	clear_bit(ASSOC_FAILED, &c->flags);
  	...>
  }

// rule create_lost deletes 0, adds 2
@create_lost@
identifier c;
@@
  nvme_fc_create_association(struct nvme_fc_ctrl *c)
  {
  	<...
  	nvme_start_ctrl(&c->ctrl);
+ 	if (test_bit(ASSOC_FAILED, &c->flags))
+ 		nvme_reset_ctrl(&c->ctrl);
  	...>
  }

// rule create_failed deletes 2, adds 2
@create_failed@
identifier c;
@@
  nvme_fc_create_association(struct nvme_fc_ctrl *c)
  {
  	<...
- 	clear_bit(ASSOC_ACTIVE, &c->flags);
- 	nvme_fc_ctlr_inactive_on_rport(c);
+ 	if (nvme_fc_ctlr_ending_on_rport(c))
+ 		nvme_fc_ctlr_inactive_on_rport(c);
  	...>
  }

// rule delete deletes 1, adds 1
@delete@
identifier c;
@@
  nvme_fc_delete_association(struct nvme_fc_ctrl *c)
  {
  	<...
- 	if (!test_and_clear_bit(ASSOC_ACTIVE, &c->flags))
+ 	if (!nvme_fc_ctlr_ending_on_rport(c))
  		return;
  	...>
  }

// rule delete_connect deletes 1, adds 1
@delete_connect@
identifier c;
@@
  nvme_fc_delete_ctrl(...)
  {
  	<...
- 	cancel_delayed_work_sync(&c->connect_work);
+ 	disable_delayed_work_sync(&c->connect_work);
  	...>
  }

// rule queue_memory deletes 0, adds 1
@queue_memory@
identifier c, d, o, l;
@@
  nvme_fc_alloc_ctrl(struct device *d, struct nvmf_ctrl_options *o, struct nvme_fc_lport *l, ...)
  {
  	<...
  	c->ctrl.queue_count = min_t(unsigned int, o->nr_io_queues, l->ops->max_hw_queues);
+ 	o->nr_io_queues = c->ctrl.queue_count;
  	...>
  }

// rule match_none deletes 1, adds 1
@match_none@
identifier c, id;
@@
  nvme_fc_match_disconn_ls(...)
  {
  	<...
- 	id == c->association_id
+ 	id && id == c->association_id
  	...>
  }

// rule ls_rcv_enter deletes 5, adds 3
@ls_rcv_enter@
identifier r, l, f, ret, out;
@@
  nvme_fc_rcv_ls_req(...)
  {
  	<...
+ 	ret = nvme_fc_ls_rcv_active_on_rport(l);
+ 	if (ret)
+ 		goto out;
  	spin_lock_irqsave(&r->lock, f);
- 	if (r->remoteport.port_state != FC_OBJSTATE_ONLINE) {
- 		spin_unlock_irqrestore(&r->lock, f);
- 		ret = -ENOTCONN;
- 		goto out;
- 	}
  	list_add_tail(&l->lsrcv_list, &r->ls_rcv_list);
  	...>
  }

// Before the work looks at the port: a request whose port is gone is responded to as well, and the
// LLDD says that the response was sent.
// rule ls_response_late deletes 5
@ls_response_late@
identifier op;
@@
  nvme_fc_handle_ls_rqst(struct nvmefc_ls_rcv_op *op)
  {
  	<...
- 	op->lsrsp->nvme_fc_private = op;
- 	op->lsrsp->rspbuf = op->rspbuf;
- 	op->lsrsp->rspdma = op->rspdma;
- 	op->lsrsp->done = nvme_fc_xmt_ls_rsp_done;
  	...>
  }

// rule ls_response deletes 0, adds 4
@ls_response@
identifier op, rsp;
@@
  nvme_fc_rcv_ls_req(...)
  {
  	<...
  	op->lsrsp = rsp;
+ 	rsp->nvme_fc_private = op;
+ 	rsp->rspbuf = op->rspbuf;
+ 	rsp->rspdma = op->rspdma;
+ 	rsp->done = nvme_fc_xmt_ls_rsp_done;
  	...>
  }

// The work has a reference of its own: the LLDD may free the last request, and with it the port,
// from within its xmt_ls_rsp.
// rule ls_queue deletes 1, adds 2
@ls_queue@
identifier p;
@@
  nvme_fc_rcv_ls_req(...)
  {
  	<...
- 	schedule_work(&p->lsrcv_work);
+ 	if (!schedule_work(&p->lsrcv_work))
+ 		nvme_fc_rport_put(p);
  	...>
  }

// rule ls_reference deletes 0, adds 1
@ls_reference@
identifier p, op;
@@
  nvme_fc_rcv_ls_req(...)
  {
  	<...
+ 	nvme_fc_rport_get(p);
  	list_add_tail(&op->lsrcv_list, &p->ls_rcv_list);
  	...>
  }

// rule ls_work deletes 0, adds 1
@ls_work@
identifier w, p, f;
expression E;
@@
  nvme_fc_handle_ls_rqst_work(struct work_struct *w)
  {
  	struct nvme_fc_rport *p = E;
  	... when any
  	spin_unlock_irqrestore(&p->lock, f);
+ 	nvme_fc_rport_put(p);
  }

// rule xmt_ls_rsp deletes 2, adds 1
@xmt_ls_rsp@
identifier l;
@@
- static void nvme_fc_xmt_ls_rsp(struct nvmefc_ls_rcv_op *l)
+ void __nvme_fc_xmt_ls_rsp(struct nvmefc_ls_rcv_op *l)
  { ... }

// rule init_ctrl deletes 3, adds 3
@init_ctrl@
identifier d, o, l, r;
@@
- static struct nvme_ctrl *
- nvme_fc_init_ctrl(struct device *d, struct nvmf_ctrl_options *o, struct nvme_fc_lport *l,
- 		  struct nvme_fc_rport *r)
+ struct nvme_ctrl *
+ __nvme_fc_init_ctrl(struct device *d, struct nvmf_ctrl_options *o, struct nvme_fc_lport *l,
+ 		    struct nvme_fc_rport *r)
  { ... }

// rule reset deletes 1, adds 1
@reset@
identifier c;
@@
  nvme_fc_reset_ctrl_work(...)
  {
  	<...
- 	c->rport->remoteport.port_state == FC_OBJSTATE_ONLINE
+ 	nvme_fc_rport_is_online(c->rport)
  	...>
  }

// rule reconnect_online deletes 3, adds 3
@reconnect_online@
identifier p;
@@
  nvme_fc_reconnect_or_delete(...)
  {
  	<...
- 	p->port_state == FC_OBJSTATE_ONLINE
+ 	online
  	...>
  }

// rule reconnect_expired deletes 2, adds 1
@reconnect_expired@
identifier r, recon;
statement S;
@@
  nvme_fc_reconnect_or_delete(...)
  {
  	<...
  	if (online)
  		S
- 	else if (time_after_eq(jiffies, r->dev_loss_end))
- 		recon = false;
  	...>
  }

// rule reconnect_delay deletes 2
@reconnect_delay@
identifier r, delay;
statement S;
@@
  nvme_fc_reconnect_or_delete(...)
  {
  	<...
  	if (online)
  		S
- 	else if (time_after(jiffies + delay, r->dev_loss_end))
- 		delay = r->dev_loss_end - jiffies;
  	...>
  }

// rule reconnect_lock deletes 0, adds 5
@reconnect_lock@
identifier c, status, r, delay, recon;
expression E;
statement S1, S2, S3;
@@
  nvme_fc_reconnect_or_delete(struct nvme_fc_ctrl *c, int status)
  {
  	struct nvme_fc_rport *r = E;
  	...
  	bool recon = true;
+ 	unsigned long flags;
+ 	bool online;
  	if (nvme_ctrl_state(&c->ctrl) != NVME_CTRL_CONNECTING)
  		return;
+ 	spin_lock_irqsave(&r->lock, flags);
+ 	recon = nvme_fc_rport_may_reconnect(r, &online, &recon_delay);
  	if (online)
  		S1
  	if (recon && ...)
  		S2
  	else
  		S3
+ 	spin_unlock_irqrestore(&r->lock, flags);
  }
