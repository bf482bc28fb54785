// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline kernel functions that the Rust side calls, as functions, for
 * bindgen sees no inline function. They are exported because generic code of
 * the library is compiled into the modules that use it.
 */

#include <linux/export.h>
#include "helpers.h"

struct folio *rust_mpage_helper_readahead_folio(struct readahead_control *rac)
{
	return readahead_folio(rac);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_readahead_folio);
