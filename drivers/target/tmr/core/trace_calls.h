/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tracepoints of task management as functions, see trace.h: the
 * definitions need C macros.
 */
#ifndef _TARGET_TMR_CORE_TRACE_CALLS_H
#define _TARGET_TMR_CORE_TRACE_CALLS_H

#include <linux/types.h>

struct se_cmd;
struct se_device;

void lio_tmr_trace_received(struct se_cmd *cmd, u8 function);
void lio_tmr_trace_abort(struct se_cmd *cmd);
void lio_tmr_trace_notify(struct se_device *dev, u8 function,
			  unsigned int commands);
void lio_tmr_trace_done(struct se_device *dev, u8 function, u64 tag,
			u8 response);

#endif /* _TARGET_TMR_CORE_TRACE_CALLS_H */
