/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the 2017 interface needs of inline functions, see helpers.h.
 */
#ifndef RUST_MPAGE_HELPERS_2017_H
#define RUST_MPAGE_HELPERS_2017_H

#include "helpers.h"

struct folio *rust_mpage_helper_page_folio(struct page *page);
struct folio *rust_mpage_helper_last_page(struct list_head *pages);
gfp_t rust_mpage_helper_readahead_gfp(struct address_space *mapping);

#endif /* RUST_MPAGE_HELPERS_2017_H */
