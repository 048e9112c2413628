/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between fc.c and the Rust sources beside this file: what is static in C
 * otherwise, and what there is in Rust only. nvme-fc-driver.h has the prototypes
 * of the rest.
 */
#ifndef _NVME_HOST_FCGATE_H
#define _NVME_HOST_FCGATE_H

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct device;
struct nvme_ctrl;
struct nvme_fc_ctrl;
struct nvme_fc_local_port;
struct nvme_fc_lport;
struct nvme_fc_port_info;
struct nvme_fc_port_template;
struct nvme_fc_remote_port;
struct nvme_fc_rport;
struct nvmefc_ls_rcv_op;
struct nvmf_ctrl_options;

/* In struct nvme_fc_lport; only Rust looks inside. */
struct nvme_fc_lport_gate {
	atomic_t	word;
	/* What there is behind each object, under nvme_fc_lock. */
	u32		local_priv_sz;
	u32		remote_priv_sz;
	u32		fcprqst_priv_sz;
};

/* In struct nvme_fc_rport; only Rust looks inside. */
struct nvme_fc_rport_gate {
	atomic_t	word;
	/* State and deadline of the port, under its lock. */
	bool		lost;
	u64		deadline;
};

/*
 * After how many jiffies controllers connect whose port is registered again: LLDDs
 * initialise what they have behind the port when they were given it.
 */
#define NVME_FC_RESUME_DELAY	msecs_to_jiffies(100)

/* Rust, called by fc.c */
void nvme_fc_lport_gate_init(struct nvme_fc_lport *lport,
			     struct nvme_fc_port_template *template);
void nvme_fc_rport_gate_init(struct nvme_fc_rport *rport);
struct nvme_fc_lport *
nvme_fc_attach_to_unreg_lport(struct nvme_fc_port_info *pinfo,
			      struct nvme_fc_port_template *ops,
			      struct device *dev);
struct nvme_fc_rport *
nvme_fc_attach_to_suspended_rport(struct nvme_fc_lport *lport,
				  struct nvme_fc_port_info *pinfo);
int nvme_fc_ctlr_active_on_rport(struct nvme_fc_ctrl *ctrl);
bool nvme_fc_ctlr_ending_on_rport(struct nvme_fc_ctrl *ctrl);
void nvme_fc_ctlr_inactive_on_rport(struct nvme_fc_ctrl *ctrl);
int nvme_fc_ls_rcv_active_on_rport(struct nvmefc_ls_rcv_op *lsop);
void nvme_fc_xmt_ls_rsp(struct nvmefc_ls_rcv_op *lsop);
struct nvme_ctrl *
nvme_fc_init_ctrl(struct device *dev, struct nvmf_ctrl_options *opts,
		  struct nvme_fc_lport *lport, struct nvme_fc_rport *rport);
bool nvme_fc_rport_is_online(struct nvme_fc_rport *rport);
bool nvme_fc_rport_may_reconnect(struct nvme_fc_rport *rport, bool *online,
				 unsigned long *delay);

/* C, used by Rust: fc.c */
extern spinlock_t nvme_fc_lock;
extern struct list_head nvme_fc_lport_list;
int nvme_fc_lport_get(struct nvme_fc_lport *lport);
void nvme_fc_lport_put(struct nvme_fc_lport *lport);
int nvme_fc_rport_get(struct nvme_fc_rport *rport);
void nvme_fc_rport_put(struct nvme_fc_rport *rport);
void nvme_fc_resume_controller(struct nvme_fc_ctrl *ctrl);
int nvme_fc_abort_lsops(struct nvme_fc_rport *rport);
void nvme_fc_ctrl_connectivity_loss(struct nvme_fc_ctrl *ctrl);
void __nvme_fc_xmt_ls_rsp(struct nvmefc_ls_rcv_op *lsop);
struct nvme_ctrl *
__nvme_fc_init_ctrl(struct device *dev, struct nvmf_ctrl_options *opts,
		    struct nvme_fc_lport *lport, struct nvme_fc_rport *rport);

/* C, used by Rust: helpers.c */
/* wait_var_event_timeout(), until *word is no longer value */
long rust_helper_wait_while(atomic_t *word, int value, long timeout);
/* a field of a structure that changes with the configuration */
struct device *rust_helper_nvme_ctrl_device(struct nvme_ctrl *ctrl);

#endif
