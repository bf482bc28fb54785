// SPDX-License-Identifier: GPL-2.0
/*
 * Modules that come up, and those who want what they have registered. Not in a
 * file of helpers: those may be compiled twice, and there is one list.
 *
 * A module is freed when its beginning fails, whoever uses it. So who finds a
 * type before it is up waits, and lets go of it if the module gives up the type.
 */

#include <linux/delay.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include "registrations.h"

/* A module whose users are waited for. */
struct giving_up {
	struct list_head list;
	const struct module *module;
};

#ifdef CONFIG_MODULES
static LIST_HEAD(all_giving_up);
static DEFINE_SPINLOCK(giving_up_lock);

static bool is_giving_up(const struct module *module)
{
	const struct giving_up *one;
	bool found = false;

	spin_lock(&giving_up_lock);
	list_for_each_entry(one, &all_giving_up, list)
		found |= one->module == module;
	spin_unlock(&giving_up_lock);
	return found;
}

static bool is_in(const struct module *module, enum module_state state)
{
	return READ_ONCE(module->state) == state;
}

int rust_mpage_wait_until_up(const struct module *module)
{
	if (!module)
		return 0;
	while (is_in(module, MODULE_STATE_COMING)) {
		if (is_giving_up(module))
			return -ENODEV;
		schedule_timeout_killable(1);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return is_in(module, MODULE_STATE_LIVE) ? 0 : -ENODEV;
}
#else
int rust_mpage_wait_until_up(const struct module *module)
{
	return 0;
}
#endif
EXPORT_SYMBOL_GPL(rust_mpage_wait_until_up);

#ifdef CONFIG_MODULE_UNLOAD
void rust_mpage_wait_for_users(const struct module *module)
{
	struct giving_up this = { .module = module };

	if (!module || !is_in(module, MODULE_STATE_COMING))
		return;
	spin_lock(&giving_up_lock);
	list_add(&this.list, &all_giving_up);
	spin_unlock(&giving_up_lock);
	while (module_refcount((struct module *)module) > 1)
		fsleep(USEC_PER_MSEC);
	spin_lock(&giving_up_lock);
	list_del(&this.list);
	spin_unlock(&giving_up_lock);
}
#else
void rust_mpage_wait_for_users(const struct module *module)
{
}
#endif
EXPORT_SYMBOL_GPL(rust_mpage_wait_for_users);
