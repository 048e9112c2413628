// SPDX-License-Identifier: GPL-2.0
/* What the KUnit suites of connections need of C. */
#include "../../../../../../rust/ext/helpers.c"
