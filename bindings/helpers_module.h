/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the wrappers ask of a module, in helpers_module.c.
 */
#ifndef RUST_MPAGE_HELPERS_MODULE_H
#define RUST_MPAGE_HELPERS_MODULE_H

#include <linux/module.h>

bool rust_mpage_helper_is_static(const void *object,
				 const struct module *module);

#endif
