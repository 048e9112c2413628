// SPDX-License-Identifier: GPL-2.0
/* What Send contexts need of C. */
#include <linux/module.h>
#include <linux/stringify.h>
#include "../../../../rust/ext/helpers.c"

/* The external form only: how people and dkms(8) tell it from the stock module. */
#ifdef LIO_RUST_VERSION
MODULE_VERSION(__stringify(LIO_RUST_VERSION));
#endif
