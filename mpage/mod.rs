// SPDX-License-Identifier: GPL-2.0

//! The library itself: from "where is block N of this inode?" to bios, and back.
//!
//! `mapping` is the vocabulary and the one trait that a filesystem implements; `window` what a call
//! knows of the mapper's answers. `read` and `write` have a room each, with what decides, what acts
//! on that, what makes bios of it, and what counts; `counters` shows the counts.
//! `store` is how new data gets into the cache.
//!
//! C counterpart: `fs/mpage.c`.

#![deny(unsafe_code)]

pub(crate) mod counters;
mod mapping;
mod read;
mod store;
mod window;
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
pub(crate) use self::read::readpages;
pub use self::read::{
    read_folio,
    readahead, //
};
pub use self::store::{
    set_size,
    truncate_tail,
    Backed,
    Backer,
    BufferedWrites,
    FolioWrites,
    NewSize, //
};
pub(crate) use self::write::writepage;
pub use self::write::{
    writepages,
    writepages_with,
    Hooked, //
};
