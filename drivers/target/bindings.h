/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what drivers/target needs besides rust/target. */
#include "../../rust/target/bindings.h"

#include <linux/target_core_user.h>

#include "target_core_internal.h"
#include "target_core_alua.h"
#include "target_core_pr.h"

#include "tmr/core/trace_calls.h"

/* What bindgen does not say, or not right: it ignores the alignment of a field. */
const size_t TCMU_MAILBOX_SIZE = sizeof(struct tcmu_mailbox);
const size_t TCMU_MAILBOX_CMD_TAIL = offsetof(struct tcmu_mailbox, cmd_tail);
const size_t TCMU_ENTRY_ALIGN = TCMU_OP_ALIGN_SIZE;
