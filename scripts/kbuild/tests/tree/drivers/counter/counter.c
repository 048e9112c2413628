// SPDX-License-Identifier: GPL-2.0
/* Stands for a C file of the kernel tree, of which Rust replaces a function. */
#include <linux/module.h>
#include <linux/spinlock.h>

#include "counter.h"

struct owner {
	const char *name;
	struct module *module;
};

struct counter {
	struct owner *owner;
	/* Taken to read or change count. */
	spinlock_t lock;
	struct {
		u32 value;
		u32 limit;
	} count;
};

static struct owner owner = {
	.name = "test",
	.module = THIS_MODULE,
};

static struct counter counter = {
	.owner = &owner,
	.lock = __SPIN_LOCK_UNLOCKED(counter.lock),
	.count.limit = 100,
};

static u32 counter_next(struct counter *c)
{
	u32 value;

	if (c->count.value >= c->count.limit)
		return 0;
	value = c->count.value;
	c->count.value = value + COUNTER_STEP_TEN;
	return value;
}

static int __init counter_init(void)
{
	u32 value;

	spin_lock(&counter.lock);
	value = counter_next(&counter);
	spin_unlock(&counter.lock);
	pr_info("the value of %s is %u\n", owner.name, value);
	return 0;
}
module_init(counter_init);

static void __exit counter_exit(void)
{
}
module_exit(counter_exit);

MODULE_DESCRIPTION("Test of the build rules");
MODULE_LICENSE("GPL");
