// SPDX-License-Identifier: GPL-2.0

//! Multi-page block I/O: page-cache readahead and writeback in the largest possible bios.
//!
//! The crate of `rust_mpage.ko`. A Rust filesystem implements [`BlockMapper`], which says where the
//! blocks of a file are, and its `read_folio`, `readahead` and `writepages` are a line each:
//! [`read_folio()`], [`readahead()`], [`writepages()`]. What else it needs is in [`fs`], [`mm`] and
//! [`block`], whose names are those of `rust/kernel/`; what it counts and hashes, in [`counts`],
//! [`percpu_counter`] and [`hash`]. C filesystems call the functions that
//! `include/linux/rust_mpage.h` declares, which `abi` defines.
//!
//! C counterpart: `fs/mpage.c`.

use kernel::prelude::*;

mod abi;
mod abstractions;
mod bindings;
mod compat;
mod mpage;

pub use self::abstractions::{
    block,
    counts,
    fs,
    hash,
    mm,
    percpu_counter, //
};
pub use self::compat::parameter;
pub use self::mpage::{
    read_folio,
    readahead,
    set_size,
    truncate_tail,
    writepages,
    writepages_with,
    Backed,
    Backer,
    BlockCount,
    BlockMapper,
    BufferedWrites,
    Extent,
    FolioWrites,
    Hooked,
    LogicalBlock,
    MapSource,
    Mapping,
    NewSize,
    PhysicalBlock, //
};

module! {
    type: RustMpage,
    name: "rust_mpage",
    authors: ["rust_mpage developers"],
    description: "Multi-page block I/O library in Rust",
    license: "GPL v2",
    params: {
        spare_kib: i64 {
            default: -1,
            description: "Most memory for what only saves work, in KiB (default: -1, 1/32 of all)",
        },
    },
}

/// The module: its counters in debugfs, the filesystems of other modules, and the memory that can
/// be done without.
#[pin_data(PinnedDrop)]
struct RustMpage {
    #[pin]
    _counters: mpage::counters::Published,
    _modules: fs::ModuleWatch,
    _spare: mm::SpareMemory,
}

impl kernel::InPlaceModule for RustMpage {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _counters <- mpage::counters::publish(c"rust_mpage"),
            _modules: fs::ModuleWatch::new()?,
            _spare: mm::SpareMemory::new(parameter(module_parameters::spare_kib.value()))?,
        }? Error)
    }
}

#[pinned_drop]
impl PinnedDrop for RustMpage {
    fn drop(self: Pin<&mut Self>) {
        abstractions::block::wait_for_all_bios();
    }
}

#[kernel::macros::kunit_tests(rust_mpage_registration)]
mod tests {
    use super::{
        abstractions::fs::is_static,
        compat::this_module, //
    };
    use kernel::prelude::*;

    static PART_OF_THE_MODULE: u32 = 1;

    /// A filesystem is registered by what is dropped with the module only.
    #[test]
    fn what_is_part_of_the_module() -> Result {
        let module = this_module!(crate);
        let on_the_heap = KBox::new(1u32, GFP_KERNEL)?;
        let on_the_stack = 1u32;

        assert!(is_static(&raw const PART_OF_THE_MODULE, module));
        assert!(!is_static(&raw const *on_the_heap, module));
        assert!(!is_static(&raw const on_the_stack, module));
        Ok(())
    }
}
