/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what drivers/target needs besides rust/target. */
#include "../../rust/target/bindings.h"

#include <linux/target_core_user.h>

#include "target_core_internal.h"
#include "target_core_alua.h"
#include "target_core_pr.h"

#include "tmr/core/trace_calls.h"
