// SPDX-License-Identifier: GPL-2.0
/*
 * What a module is like, for those who register with the kernel what is in it.
 * See helpers.c.
 */

#include <linux/module.h>
#include "helpers.h"
#include "helpers_module.h"

/* Whether an object is part of a module, or of the kernel if there is none. */
__helper bool rust_mpage_helper_is_static(const void *object,
					  const struct module *module)
{
	unsigned long address = (unsigned long)object;

#ifndef MODULE
	if (!module)
		return __is_kernel(address);
#endif
	return module && within_module_core(address, module);
}
