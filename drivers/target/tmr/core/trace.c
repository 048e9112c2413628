// SPDX-License-Identifier: GPL-2.0
/* The tracepoints of task management, as functions for Rust. */
#include "trace_calls.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

void lio_tmr_trace_received(struct se_cmd *cmd, u8 function)
{
	trace_tmr_received(cmd, function);
}

void lio_tmr_trace_abort(struct se_cmd *cmd)
{
	trace_tmr_abort(cmd);
}

void lio_tmr_trace_notify(struct se_device *dev, u8 function,
			  unsigned int commands)
{
	trace_tmr_notify(dev, function, commands);
}

void lio_tmr_trace_done(struct se_device *dev, u8 function, u64 tag,
			u8 response)
{
	trace_tmr_done(dev, function, tag, response);
}
