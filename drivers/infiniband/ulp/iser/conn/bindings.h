/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen: what connections need besides rust/ext. */
#include "../../../../../rust/ext/bindings.h"

#include "iscsi_iser.h"
#include "conn/conn.h"
#include "conn/helpers.h"
