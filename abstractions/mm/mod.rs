// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache and the requests that bring them.

mod buffers;
mod folio;
mod readahead;

pub use self::buffers::{
    Adopted,
    BlockState,
    GetBlockFn, //
};
pub use self::folio::{
    ByteRange,
    Folio,
    LockedFolio,
    WatchedFolio, //
};
pub use self::readahead::Readahead;
