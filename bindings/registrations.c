// SPDX-License-Identifier: GPL-2.0
/*
 * Modules that come up and go, and those who want what they have registered. Not
 * in a file of helpers: those may be compiled twice, and there is one list each.
 *
 * A module is freed when its beginning fails, whoever uses it. So who finds a
 * type before it is up waits, and lets go of it if the module gives up the type.
 *
 * A type is part of its module, but nothing makes a module drop what it has: what
 * is left when the module goes is unregistered here.
 */

#include <linux/delay.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
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

static LIST_HEAD(all_types);
static DEFINE_MUTEX(types_mutex);

int rust_mpage_register_filesystem(struct rust_mpage_fs_type *fs)
{
	int error = register_filesystem(&fs->type);

	if (error)
		return error;
	mutex_lock(&types_mutex);
	list_add(&fs->registered, &all_types);
	mutex_unlock(&types_mutex);
	return 0;
}
EXPORT_SYMBOL_GPL(rust_mpage_register_filesystem);

void rust_mpage_unregister_filesystem(struct rust_mpage_fs_type *fs)
{
	if (!fs->registered.next)
		return;
	mutex_lock(&types_mutex);
	list_del(&fs->registered);
	mutex_unlock(&types_mutex);
	unregister_filesystem(&fs->type);
}
EXPORT_SYMBOL_GPL(rust_mpage_unregister_filesystem);

#ifdef CONFIG_MODULES
static void give_up_types_of(struct module *module)
{
	struct rust_mpage_fs_type *fs, *next;
	LIST_HEAD(left);

	mutex_lock(&types_mutex);
	list_for_each_entry_safe(fs, next, &all_types, registered)
		if (fs->type.owner == module)
			list_move(&fs->registered, &left);
	mutex_unlock(&types_mutex);
	if (list_empty(&left))
		return;

	list_for_each_entry(fs, &left, registered) {
		pr_err("%s: module %s has left it registered\n", fs->type.name, module->name);
		unregister_filesystem(&fs->type);
	}
#ifdef CONFIG_MODULE_UNLOAD
	/* Those who have waited for it to come up. Others have kept it from going. */
	while (module_refcount(module) > 0)
		fsleep(USEC_PER_MSEC);
#endif
	/* Inodes are freed by functions of the module. */
	rcu_barrier();
	list_for_each_entry(fs, &left, registered)
		kmem_cache_destroy(fs->cache);
}

static int module_changes(struct notifier_block *block, unsigned long state, void *module)
{
	if (state == MODULE_STATE_GOING)
		give_up_types_of(module);
	return NOTIFY_DONE;
}

static struct notifier_block modules_block = { .notifier_call = module_changes };

int rust_mpage_watch_modules(void)
{
	return register_module_notifier(&modules_block);
}

void rust_mpage_unwatch_modules(void)
{
	unregister_module_notifier(&modules_block);
}
#else
int rust_mpage_watch_modules(void)
{
	return 0;
}

void rust_mpage_unwatch_modules(void)
{
}
#endif
