// SPDX-License-Identifier: GPL-2.0

//! Misuse of folios, bios and mappers that the types refuse. See `make lint`,
//! tools/testing/rmp/lint/refused.py.

#![deny(unsafe_code)]
#![allow(missing_docs)]

use kernel::prelude::*;
use rust_mpage::{
    block::{
        BlockDevice,
        ReadBio,
        ReadIntent,
        Sector,
        SplitReader,
        WriteBio, //
    },
    fs::{
        FileSystem,
        FsInode, //
    },
    mm::{
        ByteRange,
        DirtyFolio,
        LockedFolio,
        Readahead,
        WritebackControl, //
    },
    BlockCount,
    BlockMapper,
    MapSource,
    Mapping,
    PhysicalBlock, //
};

/// One filesystem's mapper, folio and request.
pub fn together<T, M>(
    mapper: M,
    folio: LockedFolio<'_, FsInode<T>>,
    readahead: Readahead<'_, FsInode<T>>,
    request: WritebackControl<'_, FsInode<T>>,
) -> Result
where
    T: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    rust_mpage::read_folio(mapper, folio)?;
    rust_mpage::readahead(mapper, readahead);
    rust_mpage::writepages(mapper, request)
}

// refused: E0308 expected `LockedFolio<'_, FsInode<T>>`
#[cfg(refused = "folio_of_another_filesystem")]
pub fn read<T, U, M>(mapper: M, folio: LockedFolio<'_, FsInode<U>>) -> Result
where
    T: FileSystem,
    U: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    rust_mpage::read_folio(mapper, folio)
}

// refused: E0308 mismatched types
#[cfg(refused = "buffers_of_another_filesystem")]
pub fn read_buffers<T, U, M>(mapper: M, folio: LockedFolio<'_, FsInode<U>>) -> Result
where
    T: FileSystem,
    U: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    folio.read_through_buffers(mapper.get_block())
}

// refused: E0308 mismatched types
#[cfg(refused = "written_buffers_of_another_filesystem")]
pub fn write_buffers<T, U, M>(mapper: M, folio: DirtyFolio<'_, FsInode<U>>) -> Result
where
    T: FileSystem,
    U: FileSystem,
    M: BlockMapper<Inode = FsInode<T>>,
{
    folio.write_through_buffers(mapper.get_block())
}

// refused: E0277 Sealed
#[cfg(refused = "source_of_ones_own")]
#[derive(Clone, Copy)]
pub struct Own;

#[cfg(refused = "source_of_ones_own")]
impl MapSource for Own {
    type Inode = rust_mpage::fs::Inode;

    fn map<'i>(
        &self,
        inode: &'i Self::Inode,
        _folio: &rust_mpage::mm::Folio,
        _at: rust_mpage::LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        Ok(Mapping::mapped(inode.device(), PhysicalBlock(0), max))
    }

    fn map_for_write<'i>(
        &self,
        _inode: &'i Self::Inode,
        _folio: &rust_mpage::mm::Folio,
        _at: rust_mpage::LogicalBlock,
        _max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        Err(EIO)
    }

    fn get_block(&self) -> rust_mpage::mm::GetBlockFn<Self::Inode> {
        rust_mpage::mm::GetBlockFn::NO_BLOCKS
    }
}

// refused: E0277 Sealed
#[cfg(refused = "block_source_of_ones_own")]
impl rust_mpage::mm::BlockSource for Other {
    type Inode = rust_mpage::fs::Inode;

    fn find(
        _inode: &Self::Inode,
        _at: u64,
        _max: u32,
        _create: rust_mpage::mm::Create,
    ) -> Result<Option<rust_mpage::mm::FoundBlocks<'_>>> {
        Err(EIO)
    }
}

/// A type of a filesystem.
pub struct Other;

/// A mapper that finds nothing.
#[derive(Clone, Copy, Default)]
pub struct Nowhere;

impl BlockMapper for Nowhere {
    type Inode = rust_mpage::fs::Inode;

    fn lookup<'i>(
        &self,
        _inode: &'i Self::Inode,
        _at: rust_mpage::LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        Ok(Mapping::hole(max))
    }
}

// refused: E0277 SealedWrites
#[cfg(refused = "writes_of_a_mapper")]
impl rust_mpage::fs::CacheWrites for Nowhere {
    type Inode = rust_mpage::fs::Inode;

    fn begin<'i>(
        called: rust_mpage::fs::Called,
        inode: &rust_mpage::fs::ExclusiveInode<'i, Self::Inode>,
        _pos: u64,
        len: u32,
    ) -> Result<rust_mpage::mm::BegunWrite<'i, Self::Inode>> {
        // Of another place.
        rust_mpage::BufferedWrites::<Nowhere>::begin(called, inode, 0, len)
    }

    fn end(write: rust_mpage::mm::EndedWrite<'_, Self::Inode>) -> u32 {
        rust_mpage::BufferedWrites::<Nowhere>::end(write)
    }
}

/// What a mapper without a folio may say.
pub fn answer(device: &BlockDevice) -> Mapping<&BlockDevice> {
    Mapping::mapped(device, PhysicalBlock(1), BlockCount(1)).with_new()
}

// refused: E0599 no method named `with_uptodate`
#[cfg(refused = "uptodate_without_a_folio")]
pub fn uptodate(device: &BlockDevice) -> Mapping<&BlockDevice> {
    answer(device).with_uptodate()
}

// refused: E0624 private
#[cfg(refused = "filled_without_a_folio")]
pub fn filled(device: &BlockDevice) -> Mapping<&BlockDevice> {
    answer(device).with_filled(unreachable!())
}

/// What may become of a folio that is to be read.
pub fn end<'f, T: FileSystem>(
    folio: LockedFolio<'f, FsInode<T>>,
    range: ByteRange,
    bio: &mut ReadBio<'_>,
) -> Result<(), LockedFolio<'f, FsInode<T>>> {
    if range.len == 0 {
        folio.end_zeroed();
        return Ok(());
    }
    if let Err(folio) = bio.add(folio, range) {
        let _ = SplitReader::new(folio)?;
    }
    Ok(())
}

// refused: E0624 private
#[cfg(refused = "end_without_contents")]
pub fn end_as_it_is<T: FileSystem>(folio: LockedFolio<'_, FsInode<T>>) {
    folio.end_read(true)
}

// refused: E0382 use of moved value
#[cfg(refused = "folio_of_a_bio")]
pub fn twice<T: FileSystem>(folio: LockedFolio<'_, FsInode<T>>, bio: &mut ReadBio<'_>) {
    let range = folio.whole();
    let _ = bio.add(folio, range);
    folio.end_zeroed();
}

/// A bio of whole folios that is written.
pub fn write_bio<'d, T: FileSystem>(
    device: &'d BlockDevice,
    request: &WritebackControl<'_, FsInode<T>>,
) -> Option<WriteBio<'d>> {
    WriteBio::new(device, Sector(0), 1, request)
}

/// A bio lives as long as its device is known to be open.
pub fn read_bio<'d, T: FileSystem>(
    device: &'d BlockDevice,
    folio: &LockedFolio<'_, FsInode<T>>,
) -> Option<ReadBio<'d>> {
    ReadBio::new(device, Sector(0), 1, ReadIntent::Demand, folio)
}

// refused: - lifetime may not live long enough
#[cfg(refused = "read_bio_for_ever")]
pub fn keep_read_bio<T: FileSystem>(
    device: &BlockDevice,
    folio: &LockedFolio<'_, FsInode<T>>,
) -> Option<ReadBio<'static>> {
    read_bio(device, folio)
}

// refused: - lifetime may not live long enough
#[cfg(refused = "write_bio_for_ever")]
pub fn keep_write_bio<T: FileSystem>(
    device: &BlockDevice,
    request: &WritebackControl<'_, FsInode<T>>,
) -> Option<WriteBio<'static>> {
    write_bio(device, request)
}

// refused: - lifetime may not live long enough
#[cfg(refused = "folio_for_ever")]
pub fn keep_folio<T: FileSystem>(
    folio: LockedFolio<'_, FsInode<T>>,
) -> Result<KBox<LockedFolio<'static, FsInode<T>>>> {
    Ok(KBox::new(folio, GFP_KERNEL)?)
}

// refused: - lifetime may not live long enough
#[cfg(refused = "request_for_ever")]
pub fn keep_request<T: FileSystem>(
    request: Readahead<'_, FsInode<T>>,
) -> Result<KBox<Readahead<'static, FsInode<T>>>> {
    Ok(KBox::new(request, GFP_KERNEL)?)
}

// refused: E0603 `wait_for_all_bios` is private
#[cfg(refused = "waiting_for_ones_own_bios")]
pub fn wait() {
    rust_mpage::block::wait_for_all_bios();
}
