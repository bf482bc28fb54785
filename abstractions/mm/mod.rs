// SPDX-License-Identifier: GPL-2.0

//! Folios of the page cache and the requests that bring them.

mod block_bits;
mod buffer_states;
mod buffers;
mod dirty_runs;
mod fault;
mod file_blocks;
mod folio;
mod folio_operations;
mod folio_ref;
mod folio_state;
mod get_block;
mod grabbed_blocks;
mod grabbed_folio;
mod large_folio;
mod page_list;
mod readahead;
mod reclaim;
mod spare;
mod spare_lists;
mod spare_objects;
mod taken_dirty;
mod write_folio;
mod writeback;
mod writing_folio;

pub use self::buffer_states::{
    BufferState,
    Buffers, //
};
pub(crate) use self::buffers::{
    Adopted,
    BlockState,
    Filled, //
};
pub(super) use self::dirty_runs::next_dirty;
pub(super) use self::fault::FaultVTable;
pub use self::fault::StoredFolio;
pub use self::file_blocks::{
    FileBlocks,
    Intent, //
};
pub use self::folio::{
    ByteRange,
    Folio,
    LockedFolio,
    WatchedFolio, //
};
pub(super) use self::folio_operations::{
    dirty_folio,
    invalidate_folio,
    is_partially_uptodate,
    release_folio, //
};
pub(super) use self::folio_ref::FolioRef;
pub use self::folio_state::FolioBlocks;
pub(crate) use self::get_block::Sealed;
pub use self::get_block::{
    BlockSource,
    Create,
    FoundBlocks,
    GetBlockFn, //
};
pub(crate) use self::grabbed_folio::ReadyFolio;
pub use self::grabbed_folio::{
    BegunWrite,
    EndedWrite,
    GrabbedFolio, //
};
pub(crate) use self::page_list::PageList;
pub use self::readahead::Readahead;
pub use self::reclaim::without_fs_reclaim;
pub use self::spare::{
    has_spare_memory,
    SpareSlice, //
};
pub(crate) use self::spare_objects::SpareMemory;
pub use self::spare_objects::{
    Spare,
    SpareParts, //
};
pub(crate) use self::write_folio::WritePlace;
pub use self::write_folio::{
    Backing,
    CopiedWrite,
    FileWrites,
    WriteFolio, //
};
pub(super) use self::writeback::StartedFolio;
pub use self::writeback::{
    DirtyFolio,
    WritebackControl,
    WritebackReason, //
};
pub(super) use self::writing_folio::WritingFolio;
