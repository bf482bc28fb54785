// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of the library on real folios of real block devices.
//!
//! Each test is named after the row of the parity table that it would miss, or `safe`, if it is
//! about what the library refuses to who uses it in a wrong way. A mapper that reads its answers
//! off a table stands behind three engines: the library's Rust interface, its C interface, and
//! `fs/mpage.c`, which is the oracle wherever a row asks for the same.
//!
//! A failed assertion ends a KUnit test without unwinding. So [`read::case::Case::run`] sets up,
//! reads, tears everything down and returns plain data; tests only look at that.
//!
//! Without failing allocations or large folios some tests are skipped, and what only these use is
//! not used.

#![cfg_attr(
    not(all(CONFIG_FAILSLAB, CONFIG_TRANSPARENT_HUGEPAGE)),
    allow(dead_code, unused_imports)
)]

use kernel::prelude::*;

mod engines;
mod mounting;
mod pattern;
mod random;
mod read;
mod scale;
mod seen;
mod setup;
mod support;
mod table;
mod write;

module! {
    type: RustMpageTest,
    name: "rust_mpage_test",
    authors: ["rust_mpage developers"],
    description: "Tests of the multi-page block I/O library",
    license: "GPL v2",
}

/// What reads and writes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// The crate `rust_mpage` with a Rust mapper.
    Rust,
    /// `rust_mpage_readahead()`, `rust_mpage_read_folio()` and `rust_mpage_writepages()` with a
    /// `get_block_t`.
    CInterface,
    /// `mpage_readahead()`, `mpage_read_folio()` and `mpage_writepages()` with the same.
    Kernel,
    /// Bios that are dropped before they are submitted.
    Dropping,
    /// The crate, used in every wrong way that compiles.
    Careless,
    /// The crate, told to use buffers where folios have none.
    Buffered,
    /// The crate with a Rust mapper, of a file whose folios have no buffers, as of a regular file
    /// that can be written to.
    Unbuffered,
}

impl Engine {
    /// Both faces of the library.
    const OURS: [Self; 2] = [Self::Rust, Self::CInterface];
    /// Those and the oracle.
    const ALL: [Self; 3] = [Self::Rust, Self::CInterface, Self::Kernel];
}

#[pin_data]
struct RustMpageTest {
    #[pin]
    _nowhere: mounting::Registered,
    _registration: support::Registration,
}

impl kernel::InPlaceModule for RustMpageTest {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _nowhere <- mounting::Registered::new(module),
            _registration: support::Registration::new()?,
        }? Error)
    }
}
