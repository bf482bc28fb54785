/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Static inline kernel functions that the Rust side calls, as functions.
 * Each is exactly the inline function in its name.
 */
#ifndef RUST_MPAGE_HELPERS_H
#define RUST_MPAGE_HELPERS_H

#include <linux/bio.h>
#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/pagemap.h>

struct folio *rust_mpage_helper_readahead_folio(struct readahead_control *rac);

#endif /* RUST_MPAGE_HELPERS_H */
