// SPDX-License-Identifier: GPL-2.0
/*
 * What the 2017 interface needs of inline functions, see helpers.c.
 */

#include <linux/list.h>
#include <linux/mm.h>
#include "helpers_2017.h"

__helper struct folio *rust_mpage_helper_page_folio(struct page *page)
{
	return page_folio(page);
}

/* Takes the last entry off a list of pages, or %NULL. */
__helper struct folio *rust_mpage_helper_last_page(struct list_head *pages)
{
	struct folio *folio;

	if (list_empty(pages))
		return NULL;
	folio = lru_to_folio(pages);
	list_del(&folio->lru);
	return folio;
}

__helper gfp_t rust_mpage_helper_readahead_gfp(struct address_space *mapping)
{
	return readahead_gfp_mask(mapping);
}
