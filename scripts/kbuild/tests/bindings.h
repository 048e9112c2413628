/* SPDX-License-Identifier: GPL-2.0 */
/* Input of bindgen. */
#include "counter.h"
