// SPDX-License-Identifier: GPL-2.0
//
// counter_next() becomes Rust.

// rule prototype deletes 0, adds 1
@prototype@
@@
  #include "counter.h"
+ #include "counter_rs.h"

// rule next deletes 11
@next@
identifier c;
typedef u32;
@@
- static u32 counter_next(struct counter *c) { ... }
