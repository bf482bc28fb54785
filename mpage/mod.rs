// SPDX-License-Identifier: GPL-2.0

//! The library itself: from "where is block N of this inode?" to bios, and back.
//!
//! `mapping` is the vocabulary and the one trait that a filesystem implements; `plan` and `plan_write` decide,
//! as pure functions, what each part of a folio needs; `read` and `write` act on that; `stats`
//! counts.
//!
//! C counterpart: `fs/mpage.c`.

#![deny(unsafe_code)]

mod mapping;
mod plan;
mod plan_test;
mod plan_write;
mod plan_write_test;
mod read;
pub(crate) mod stats;
mod write;
mod write_sink;
mod write_stats;

pub use self::mapping::{
    BlockCount,
    BlockMapper,
    Extent,
    LogicalBlock,
    MapSource,
    Mapping,
    PhysicalBlock, //
};
pub(crate) use self::read::readpages;
pub use self::read::{
    read_folio,
    readahead, //
};
pub(crate) use self::write::writepage;
pub use self::write::{
    writepages,
    writepages_with,
    Hooked, //
};
