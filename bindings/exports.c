// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols that rust_mpage.ko exports: the functions for C filesystems that
 * <linux/rust_mpage.h> declares, and for modules written against the crate its
 * Rust symbols and helpers. The build lists them.
 */

#include <linux/export.h>

/* Rust symbols have no C declaration, and what they are does not matter here. */
#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"
