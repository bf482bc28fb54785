// SPDX-License-Identifier: GPL-2.0

//! Files: their pages, through `rust_mpage`, and where they are on the device.

#![deny(unsafe_code)]

use crate::{
    groups::windows::Windowing,
    inode::{
        self,
        BufferedPages,
        Directory,
        Ext2Inode,
        File,
        Names,
        PageCache,
        Targets,
        Written, //
    },
    map::{
        truncate,
        Delayed,
        Mapper, //
    },
    mount::Ext2,
};
use kernel::prelude::*;
use rust_mpage::{
    fs::{
        AddressSpaceOperations,
        AddressSpaceWriteOperations,
        BegunSync,
        DirectEvent,
        DirectTracepoint,
        ExclusiveInode,
        ExtentFlags,
        FiemapRequest,
        FileOperations,
        HeldInode,
        IoctlOperations,
        WritableFile,
        WritableInode, //
    },
    mm::{
        LockedFolio,
        Readahead,
        WritebackControl,
        WritebackReason, //
    },
    BlockCount,
    BlockMapper,
    BufferedWrites,
    Extent,
    FolioWrites,
    Hooked,
    LogicalBlock,
    PhysicalBlock, //
};

/// The flags that the user may see, `EXT2_FL_USER_VISIBLE`.
const USER_VISIBLE: u32 = 0x0003_dfff;

/// The flags that the user may change, `EXT2_FL_USER_MODIFIABLE`.
const USER_MODIFIABLE: u32 = 0x0003_80ff;

impl AddressSpaceOperations for PageCache {
    type Inode = Ext2Inode;

    fn read_folio(folio: LockedFolio<'_, Ext2Inode>) -> Result {
        rust_mpage::read_folio(Mapper, folio)
    }

    fn readahead(request: Readahead<'_, Ext2Inode>) {
        rust_mpage::readahead(Mapper, request)
    }

    /// C: `ext2_bmap()`; what is to get its place is written before, as in `ext4_bmap()`.
    fn bmap(inode: &Ext2Inode, block: u64) -> Result<Option<u64>> {
        inode::write_delayed(inode)?;
        let mapping = Mapper.lookup(inode, LogicalBlock(block), BlockCount(1))?;
        Ok(match mapping.extent() {
            Extent::Mapped { start, .. } => Some(start.0),
            Extent::Hole => None,
        })
    }
}

impl AddressSpaceWriteOperations for PageCache {
    type Writes = FolioWrites<Delayed>;

    fn writepages(request: WritebackControl<'_, Ext2Inode>) -> Result {
        rust_mpage::writepages(Mapper, request)
    }

    fn cut_beyond_end(inode: &Ext2Inode) {
        truncate::cut_beyond_end(inode)
    }
}

/// How pages with buffers are written.
pub(crate) trait WriteBuffered: 'static {
    /// Writes the dirty ones of a request.
    fn write(request: WritebackControl<'_, Ext2Inode>) -> Result;
}

impl<W: WriteBuffered> AddressSpaceOperations for BufferedPages<W> {
    type Inode = Ext2Inode;

    fn read_folio(folio: LockedFolio<'_, Ext2Inode>) -> Result {
        PageCache::read_folio(folio)
    }

    fn readahead(request: Readahead<'_, Ext2Inode>) {
        PageCache::readahead(request)
    }

    fn bmap(inode: &Ext2Inode, block: u64) -> Result<Option<u64>> {
        PageCache::bmap(inode, block)
    }
}

impl<W: WriteBuffered> AddressSpaceWriteOperations for BufferedPages<W> {
    type Writes = BufferedWrites<Mapper>;

    fn writepages(request: WritebackControl<'_, Ext2Inode>) -> Result {
        W::write(request)
    }

    fn cut_beyond_end(inode: &Ext2Inode) {
        PageCache::cut_beyond_end(inode)
    }
}

impl WriteBuffered for Targets {
    fn write(request: WritebackControl<'_, Ext2Inode>) -> Result {
        PageCache::writepages(request)
    }
}

impl WriteBuffered for Names {
    fn write(mut request: WritebackControl<'_, Ext2Inode>) -> Result {
        let is_waited_for = matches!(request.reason(), WritebackReason::Integrity);

        inode::write_pages(
            request.inode(),
            request.range(),
            is_waited_for,
            |may_be_written| {
                rust_mpage::writepages_with(Mapper, request.again(), |_, folio| {
                    let start = folio.position();
                    match may_be_written(start..start + folio.size() as u64) {
                        Written::Now => Hooked::Declined(folio),
                        Written::Later(result) => Hooked::Handled(result),
                    }
                })
            },
        )
    }
}

impl FileOperations for File {
    fn fiemap(inode: &Ext2Inode, request: &mut FiemapRequest<'_>) -> Result {
        fiemap(inode, request)
    }
}

impl WritableInode for File {
    fn sync_metadata(inode: &Ext2Inode) -> Result {
        inode::sync(inode)
    }

    fn has_unsynced_metadata(inode: &Ext2Inode) -> bool {
        inode::has_unsynced(inode)
    }

    fn sync_names(inode: &Ext2Inode) -> Result {
        inode::sync_names(inode)
    }

    fn names_are_synced(inode: &Ext2Inode) -> bool {
        inode.data().new_names().is_none()
    }

    fn begin_sync(inode: &Ext2Inode) -> BegunSync {
        let delay = &inode.data().delay;
        BegunSync {
            // First, for what is given in between is more.
            mark: delay.given().into(),
            is_whole: delay.leads_to_unwritten(),
        }
    }

    fn end_whole_sync(inode: &Ext2Inode, mark: u64) {
        inode.data().delay.note_written(mark.into());
    }

    fn set_size(inode: &ExclusiveInode<'_, Ext2Inode>, size: u64) -> Result {
        truncate::set_size(inode, size)
    }

    fn set_mode(inode: HeldInode<'_, Ext2>, mode: u16) -> u16 {
        inode::set_mode(&inode, mode)
    }

    fn noted_mode(inode: &Ext2Inode) -> u16 {
        inode::noted_mode(inode)
    }

    fn rights_changed(inode: &Ext2Inode) {
        inode::note_rights(inode)
    }

    fn file_flags(inode: &Ext2Inode) -> u32 {
        inode.data().flags() & USER_VISIBLE
    }

    /// C: `ext2_fileattr_set()`.
    fn set_file_flags(inode: HeldInode<'_, Ext2>, flags: u32) -> Result {
        let data = inode.data();
        let flags = (data.flags() & !USER_MODIFIABLE) | (flags & USER_MODIFIABLE);

        data.set_flags(flags);
        inode.set_flags(inode::vfs_flags(flags));
        inode.set_ctime_now();
        inode.mark_dirty();
        Ok(())
    }
}

impl WritableInode for Directory {
    fn sync_metadata(inode: &Ext2Inode) -> Result {
        File::sync_metadata(inode)
    }

    fn has_unsynced_metadata(inode: &Ext2Inode) -> bool {
        File::has_unsynced_metadata(inode)
    }

    fn sync_names(inode: &Ext2Inode) -> Result {
        File::sync_names(inode)
    }

    fn names_are_synced(inode: &Ext2Inode) -> bool {
        File::names_are_synced(inode)
    }

    fn pages_failed(inode: &Ext2Inode) {
        inode::report_unwritten(inode)
    }

    fn set_size(inode: &ExclusiveInode<'_, Ext2Inode>, size: u64) -> Result {
        File::set_size(inode, size)
    }

    fn set_mode(inode: HeldInode<'_, Ext2>, mode: u16) -> u16 {
        File::set_mode(inode, mode)
    }

    fn noted_mode(inode: &Ext2Inode) -> u16 {
        File::noted_mode(inode)
    }

    fn rights_changed(inode: &Ext2Inode) {
        File::rights_changed(inode)
    }

    fn file_flags(inode: &Ext2Inode) -> u32 {
        File::file_flags(inode)
    }

    fn set_file_flags(inode: HeldInode<'_, Ext2>, flags: u32) -> Result {
        File::set_file_flags(inode, flags)
    }
}

/// Windows of blocks that are reserved for files that grow.
///
/// C: parts of `ext2_ioctl()`.
impl IoctlOperations for File {
    fn reserved_blocks(inode: &Ext2Inode) -> Option<u32> {
        if !Self::can_reserve_blocks(inode) {
            return None;
        }
        let mut tree = inode.data().lock_tree();
        if inode.data().delay.blocks() != 0 {
            // What is written has a window in C, and gets one when it has its places.
            tree.info.ensure(Windowing::On);
        }
        tree.info.goal_size()
    }

    fn can_reserve_blocks(inode: &Ext2Inode) -> bool {
        let windowing = inode.super_block().data().options().windowing();
        windowing == Windowing::On && inode.is_regular()
    }

    fn reserve_blocks(inode: &Ext2Inode, blocks: u32) {
        let mut tree = inode.data().lock_tree();
        tree.info.ensure(Windowing::On);
        tree.info.set_goal_size(blocks);
    }
}

impl IoctlOperations for Directory {}

impl WritableFile for File {
    /// C: `ext2_release_file()`.
    fn release_writer(inode: &Ext2Inode) {
        {
            let mut tree = inode.data().lock_tree();
            tree.give_up(&inode.super_block().data().windows);
            inode.data().delay.note_closed();
        }
        inode::closed(inode);
    }

    #[inline]
    fn direct_tracepoint(event: DirectEvent) -> Option<DirectTracepoint> {
        DirectTracepoint::of_rust_ext2(event)
    }
}

/// Tells an extent for each answer of the mapper, as C's `iomap_fiemap()` does: contiguous extents
/// are not joined, and `MERGED` says so.
fn fiemap(inode: &Ext2Inode, request: &mut FiemapRequest<'_>) -> Result {
    inode::write_delayed(inode)?;
    let bits = inode.block_bits();
    let range = request.range();
    let end = range.end.div_ceil(1 << bits);
    let mut at = range.start >> bits;
    // Told once it is known whether it is the last.
    let mut pending: Option<(u64, PhysicalBlock, u64)> = None;
    let mut tell = |(at, start, len): (u64, PhysicalBlock, u64), flags: ExtentFlags| {
        request.add(
            at << bits,
            start.0 << bits,
            len << bits,
            flags.with(ExtentFlags::MERGED),
        )
    };

    while at < end {
        let max = BlockCount(u32::try_from(end - at).unwrap_or(u32::MAX));
        let mapping = Mapper.lookup(inode, LogicalBlock(at), max)?;
        let len = u64::from(mapping.len().0);
        if let Extent::Mapped { start, .. } = mapping.extent() {
            if let Some(extent) = pending.replace((at, *start, len)) {
                if tell(extent, ExtentFlags::NONE)?.is_break() {
                    return Ok(());
                }
            }
        }
        at += len;
    }
    if let Some(extent) = pending {
        let _ = tell(extent, ExtentFlags::LAST)?;
    }
    Ok(())
}
