// SPDX-License-Identifier: GPL-2.0
/* What the low-level driver for tests needs of C. */
#include "../../../../rust/ext/helpers.c"
