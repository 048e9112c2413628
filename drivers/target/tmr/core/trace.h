/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of task management. The definitions need C macros; Rust calls
 * them through the functions of trace.c. Documentation/target/core-tmr.rst
 * says when each is written.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM target_tmr

#if !defined(_LIO_TMR_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _LIO_TMR_TRACE_H

#include <linux/tracepoint.h>
#include <target/target_core_base.h>
#include <target/target_core_fabric.h>

#ifndef _LIO_TMR_TRACE_INITIATOR
#define _LIO_TMR_TRACE_INITIATOR
/* Each nexus has an ACL, but nothing here may depend on it. */
static inline const char *lio_tmr_initiator(const struct se_cmd *cmd)
{
	if (!cmd->se_sess || !cmd->se_sess->se_node_acl)
		return "";
	return cmd->se_sess->se_node_acl->initiatorname;
}
#endif

#define lio_tmr_show_function(function)					\
	__print_symbolic(function,					\
		{ TMR_ABORT_TASK,	 "ABORT_TASK" },		\
		{ TMR_ABORT_TASK_SET,	 "ABORT_TASK_SET" },		\
		{ TMR_CLEAR_ACA,	 "CLEAR_ACA" },			\
		{ TMR_CLEAR_TASK_SET,	 "CLEAR_TASK_SET" },		\
		{ TMR_LUN_RESET,	 "LUN_RESET" },			\
		{ TMR_TARGET_WARM_RESET, "TARGET_WARM_RESET" },		\
		{ TMR_TARGET_COLD_RESET, "TARGET_COLD_RESET" },		\
		{ TMR_LUN_RESET_PRO,	 "PREEMPT_AND_ABORT" })

#define lio_tmr_show_response(response)					\
	__print_symbolic(response,					\
		{ TMR_FUNCTION_COMPLETE,    "FUNCTION_COMPLETE" },	\
		{ TMR_TASK_DOES_NOT_EXIST,  "TASK_DOES_NOT_EXIST" },	\
		{ TMR_FUNCTION_REJECTED,    "FUNCTION_REJECTED" })

TRACE_EVENT(tmr_received,
	    TP_PROTO(struct se_cmd *cmd, u8 function),
	    TP_ARGS(cmd, function),
	    TP_STRUCT__entry(__field(u8, function)
			     __string(fabric, cmd->se_tfo->fabric_name)
			     __string(initiator, lio_tmr_initiator(cmd))),
	    TP_fast_assign(__entry->function = function;
			   __assign_str(fabric);
			   __assign_str(initiator);),
	    TP_printk("%s fabric %s initiator %s",
		      lio_tmr_show_function(__entry->function),
		      __get_str(fabric), __get_str(initiator))
);

TRACE_EVENT(tmr_abort,
	    TP_PROTO(struct se_cmd *cmd),
	    TP_ARGS(cmd),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u64, tag)
			     __field(bool, request)
			     __field(u8, opcode)
			     __field(bool, answered)
			     __string(initiator, lio_tmr_initiator(cmd))),
	    TP_fast_assign(__entry->device = cmd->se_dev ? cmd->se_dev->dev_index : 0;
			   __entry->tag = cmd->tag;
			   __entry->request = cmd->se_cmd_flags & SCF_SCSI_TMR_CDB;
			   __entry->opcode = cmd->t_task_cdb ? cmd->t_task_cdb[0] : 0;
			   __entry->answered = cmd->transport_state & CMD_T_TAS;
			   __assign_str(initiator);),
	    TP_printk("device %u %s tag %llu opcode %#04x initiator %s%s",
		      __entry->device, __entry->request ? "request" : "command",
		      __entry->tag, __entry->opcode, __get_str(initiator),
		      __entry->answered ? ", to be answered" : "")
);

TRACE_EVENT(tmr_notify,
	    TP_PROTO(struct se_device *dev, u8 function, unsigned int commands),
	    TP_ARGS(dev, function, commands),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u8, function)
			     __field(unsigned int, commands)),
	    TP_fast_assign(__entry->device = dev->dev_index;
			   __entry->function = function;
			   __entry->commands = commands;),
	    TP_printk("device %u %s commands %u", __entry->device,
		      lio_tmr_show_function(__entry->function),
		      __entry->commands)
);

TRACE_EVENT(tmr_done,
	    TP_PROTO(struct se_device *dev, u8 function, u64 tag, u8 response),
	    TP_ARGS(dev, function, tag, response),
	    TP_STRUCT__entry(__field(u32, device)
			     __field(u8, function)
			     __field(u64, tag)
			     __field(u8, response)),
	    TP_fast_assign(__entry->device = dev->dev_index;
			   __entry->function = function;
			   __entry->tag = tag;
			   __entry->response = response;),
	    TP_printk("device %u %s tag %llu %s", __entry->device,
		      lio_tmr_show_function(__entry->function), __entry->tag,
		      lio_tmr_show_response(__entry->response))
);

#endif /* _LIO_TMR_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
