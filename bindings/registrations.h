/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the wrappers ask of modules that come up and go, in registrations.c.
 */
#ifndef RUST_MPAGE_REGISTRATIONS_H
#define RUST_MPAGE_REGISTRATIONS_H

#include <linux/fs.h>
#include <linux/module.h>

/* A filesystem type, and the cache that its inodes come from. */
struct rust_mpage_fs_type {
	struct file_system_type type;
	struct kmem_cache *cache;
	/* Zero before it is registered */
	struct list_head registered;
};

/*
 * Waits until a module is up; NULL stands for the kernel. -ENODEV if the module
 * fails, or gives up what it has registered; -EINTR if the task is being killed.
 */
int rust_mpage_wait_until_up(const struct module *module);
/*
 * If a module is still coming up, sends away those who wait for that, and waits until
 * nobody uses it but who has it come up. Nobody may begin to.
 */
void rust_mpage_wait_for_users(const struct module *module);

int rust_mpage_register_filesystem(struct rust_mpage_fs_type *fs);
/* Also of a type that could not be registered */
void rust_mpage_unregister_filesystem(struct rust_mpage_fs_type *fs);
/* Has those unregistered whose module goes without that, and their caches freed */
int rust_mpage_watch_modules(void);
void rust_mpage_unwatch_modules(void);

#endif /* RUST_MPAGE_REGISTRATIONS_H */
