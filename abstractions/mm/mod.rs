// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache and the requests that bring them.

mod buffer_states;
pub(crate) mod buffered_write;
mod buffers;
mod file_end;
mod folio;
mod large_folio;
mod page_list;
mod readahead;
mod reclaim;
mod writeback;

pub use self::buffer_states::{
    BufferState,
    Buffers, //
};
pub use self::buffers::{
    Adopted,
    BlockState,
    GetBlockFn, //
};
pub(super) use self::file_end::extend;
pub use self::file_end::truncate_tail;
pub use self::folio::{
    ByteRange,
    Folio,
    LockedFolio,
    WatchedFolio, //
};
pub use self::page_list::PageList;
pub use self::readahead::Readahead;
pub use self::reclaim::without_fs_reclaim;
pub use self::writeback::{
    DirtyFolio,
    WritebackControl,
    WritebackReason, //
};
pub(super) use self::writeback::{
    StartedFolio,
    WritingFolio, //
};
