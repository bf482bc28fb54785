// SPDX-License-Identifier: GPL-2.0

//! Multi-page block I/O: page-cache readahead in the largest possible bios. Writeback is to come.
//!
//! The crate of `rust_mpage.ko`. Rust filesystems implement [`mpage::BlockMapper`] and get their
//! `read_folio` and `readahead` from [`mpage`]; C filesystems call the functions that
//! `include/linux/rust_mpage.h` declares, which `abi` defines.
//!
//! C counterpart: `fs/mpage.c`.

use kernel::{
    debugfs,
    prelude::*, //
};

mod abi;
pub mod abstractions;
mod bindings;
pub mod mpage;

module! {
    type: RustMpage,
    name: "rust_mpage",
    authors: ["rust_mpage developers"],
    description: "Multi-page block I/O library in Rust",
    license: "GPL v2",
}

/// The module: its counters in debugfs.
#[pin_data(PinnedDrop)]
struct RustMpage {
    #[pin]
    _counters: debugfs::Scope<()>,
}

impl kernel::InPlaceModule for RustMpage {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _counters <- mpage::stats::publish(c"rust_mpage"),
        }? Error)
    }
}

#[pinned_drop]
impl PinnedDrop for RustMpage {
    fn drop(self: Pin<&mut Self>) {
        abstractions::block::wait_for_all_bios();
    }
}
