// SPDX-License-Identifier: GPL-2.0
/* What the KUnit suites of the gates of LLDD ports need of C. */
#include "../../../../../rust/ext/helpers.c"
