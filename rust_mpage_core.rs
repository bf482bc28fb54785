// SPDX-License-Identifier: GPL-2.0

//! Multi-page block I/O: page-cache readahead and writeback in the largest possible bios.

use kernel::prelude::*;

mod bindings;

module! {
    type: RustMpage,
    name: "rust_mpage",
    authors: ["rust_mpage developers"],
    description: "Multi-page block I/O library in Rust",
    license: "GPL v2",
}

struct RustMpage;

impl kernel::Module for RustMpage {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(RustMpage)
    }
}

#[no_mangle]
pub extern "C" fn rust_mpage_readahead() {}
#[no_mangle]
pub extern "C" fn rust_mpage_read_folio() {}
