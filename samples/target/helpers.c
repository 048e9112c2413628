// SPDX-License-Identifier: GPL-2.0
/* What tcm_ramtmr needs of C. */
#include "../../rust/ext/helpers.c"
