/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the wrappers ask of modules that come up, in registrations.c.
 */
#ifndef RUST_MPAGE_REGISTRATIONS_H
#define RUST_MPAGE_REGISTRATIONS_H

#include <linux/module.h>

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

#endif /* RUST_MPAGE_REGISTRATIONS_H */
