// SPDX-License-Identifier: GPL-2.0
#include <target/lio_rust.h>
