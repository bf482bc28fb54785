// SPDX-License-Identifier: GPL-2.0
/*
 * What a module is like, for those who register with the kernel what is in it.
 * See helpers.c.
 */

#include <linux/delay.h>
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

/* Whether a module is not up yet: it may fail to come up, whoever uses it. */
__helper bool rust_mpage_helper_is_coming(const struct module *module)
{
#ifdef CONFIG_MODULES
	return module && READ_ONCE(module->state) == MODULE_STATE_COMING;
#else
	return false;
#endif
}

/*
 * Waits until nobody uses a module that is not coming up but who has it come up. Nobody
 * may begin to use it.
 */
__helper void rust_mpage_helper_wait_for_users(struct module *module)
{
#ifdef CONFIG_MODULE_UNLOAD
	while (rust_mpage_helper_is_coming(module) && module_refcount(module) > 1)
		fsleep(USEC_PER_MSEC);
#endif
}
