// SPDX-License-Identifier: GPL-2.0

//! The library itself: from "where is block N of this inode?" to bios, and back.
//!
//! `mapping` is the vocabulary and the one trait that a filesystem implements; `plan` decides, as
//! pure functions, what each part of a folio needs; `read` and `write` act on that; `stats`
//! counts.
//!
//! C counterpart: `fs/mpage.c`.

#![deny(unsafe_code)]

mod mapping;
mod plan;
mod plan_test;
mod read;
pub(crate) mod stats;
mod write;

pub use self::mapping::{
    BlockCount,
    BlockMapper,
    Extent,
    LogicalBlock,
    MapSource,
    Mapping,
    PhysicalBlock, //
};
pub use self::read::{
    read_folio,
    readahead, //
};
pub use self::write::writepages;
