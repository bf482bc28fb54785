// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols that rust_mpage.ko exports: the interface for C filesystems that
 * <linux/rust_mpage.h> declares, and the library crate's Rust symbols for the
 * modules written against the crate.
 */

#include <linux/export.h>
#include <linux/rust_mpage.h>

EXPORT_SYMBOL_GPL(rust_mpage_readahead);
EXPORT_SYMBOL_GPL(rust_mpage_read_folio);

/* Rust symbols have no C declaration: what they are does not matter here. */
#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"
