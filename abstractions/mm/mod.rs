// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache and the requests that bring them.

pub(crate) mod buffered_write;
mod buffers;
mod folio;
mod readahead;
mod writeback;

pub use self::buffered_write::truncate_tail;
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
pub use self::writeback::{
    DirtyFolio,
    WritebackControl,
    WritebackReason, //
};
