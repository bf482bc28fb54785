// SPDX-License-Identifier: GPL-2.0

//! Writes to regular files, whose folios have no buffer_heads.
//!
//! A write asks the mapper for all the blocks that it touches in its folio, and of the next folio
//! again: Documentation/design.rst says why no answer is kept. It does not ask of a folio of one
//! block that is dirty, which has been asked about. Of the blocks at its two ends, what it does not
//! cover is made valid first: read, or zero if the block is fresh or behind the end of the file.
//! One write has only blocks whose contents on the disk are the file's, or only fresh ones; where
//! that changes it ends, and the next one goes on.
//!
//! Locks: the lock of the folio, and that of the file's old end, if there is a gap; the mapper is
//! called within them.
//!
//! C counterpart: `block_write_begin()`, `block_write_end()`, `block_page_mkwrite()`.

use super::{
    backer::{
        Backed,
        Backer, //
    },
    file_end::sector,
    grab, //
};
use crate::{
    abstractions::{
        block::BlockDevice,
        fs::{
            Called,
            ExclusiveInode,
            InodeType,
            Later,
            SealedWrites, //
        },
        mm::{
            without_fs_reclaim,
            Backing,
            CopiedWrite,
            FileBlocks,
            FileWrites,
            Folio,
            Intent,
            StoredFolio,
            WriteFolio,
            WritePlace, //
        },
    },
    mpage::mapping::{
        plain,
        BlockCount,
        BlockMapper,
        Extent,
        LogicalBlock,
        Mapping,
        PhysicalBlock, //
    },
};
use core::{
    marker::PhantomData,
    ops::Range, //
};
use kernel::error::{
    code::EIO,
    Result, //
};

/// Writes to regular files, whose blocks are had as `B` says.
pub struct FolioWrites<B>(PhantomData<B>);

impl<B: Backer> SealedWrites for FolioWrites<B> {}

/// The inode type of a backer.
type InodeOf<B> = <<B as Backer>::Mapper as BlockMapper>::Inode;

impl<B: Backer> FileWrites for FolioWrites<B> {
    type Inode = InodeOf<B>;
    type Promise<'i> = B::Promise<'i>;

    #[inline]
    fn begin<'i>(
        called: Called,
        inode: &ExclusiveInode<'i, InodeOf<B>>,
        pos: u64,
        len: usize,
    ) -> Result<WriteFolio<'i, InodeOf<B>, B::Promise<'i>>> {
        let size = plain(inode.inode()).size();
        let (folio, old_end) = grab::<B::Mapper>(
            inode,
            pos,
            folio_size(pos, len, size),
            called.drops_behind(),
        )?;
        let place = WritePlace::new(folio, old_end, pos, len)?;
        let (blocks, backing, promise) = back::<B>(&place, size)?;
        place.ready(blocks, backing, promise)
    }

    #[inline]
    fn end<'i>(mut write: CopiedWrite<'_, 'i, InodeOf<B>, B::Promise<'i>>) -> usize {
        let inode = write.inode();
        let (written, end) = write.commit(|promise, blocks| B::keep(promise, BlockCount(blocks)));
        if written != 0 && end > plain(inode.inode()).size() {
            // With the folio locked, or writeback would zero what is in it, and with that of the
            // old end, or somebody could have stored behind it.
            inode.write_size(end);
        }
        written
    }

    fn give_blocks(folio: &StoredFolio<'_, InodeOf<B>>) -> Result {
        let inode = plain(folio.inode());
        let blocks = folio.blocks().ok_or(EIO)?;
        if !folio.is_uptodate() {
            return Err(EIO);
        }
        let end = blocks.count_inside(inode.size());
        let mut at = 0;
        while at < end {
            match give::<B>(folio.inode(), folio, at..end) {
                Ok(Given::Run(run)) => at = run.blocks.end,
                Ok(Given::Promised(promise, range)) => {
                    // They are zeros. Dirty first, as when a write is committed.
                    blocks.mark_dirty_if_valid(range.clone());
                    B::keep(promise, BlockCount(range.len() as u32));
                    at = range.end;
                }
                Err(error) => {
                    // Those in front may be fresh, and nobody may see what is on the disk of them.
                    blocks.mark_dirty_if_valid(0..at);
                    return Err(error);
                }
            }
        }
        blocks.mark_dirty_if_valid(0..end);
        Ok(())
    }

    fn forget_blocks(inode: &InodeOf<B>, blocks: Range<u64>) {
        B::Mapper::default().forget(inode, blocks)
    }

    fn has_hole(folio: &StoredFolio<'_, InodeOf<B>>) -> Result<bool> {
        let blocks = folio.blocks().ok_or(EIO)?;
        let end = blocks.count_inside(plain(folio.inode()).size());
        let mut at = 0;
        while at < end {
            // What is dirty has a place, or will get one when it is written.
            if blocks.are_dirty(at..at + 1) {
                at = blocks.next_dirty(at..end).map_or(end, |dirty| dirty.end);
                continue;
            }
            let block = file_block(folio.inode(), folio, at);
            let mapper = B::Mapper::default();
            let mapping = mapper.lookup(folio.inode(), block, BlockCount(end - at))?;
            match Run::of(&mapping, at..end)? {
                Some(run) => at = run.blocks.end,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    fn find(inode: &InodeOf<B>, at: u64, max: u32, intent: Intent) -> Result<FileBlocks<'_>> {
        let (at, blocks) = (LogicalBlock(at), BlockCount(max));
        let mapper = B::Mapper::default();
        let mapping = match intent {
            Intent::Read => mapper.lookup(inode, at, blocks),
            Intent::Overwrite => mapper.lookup_to_overwrite(inode, at, blocks),
        }?;
        file_blocks_of(&mapping, max)
    }

    fn recall(inode: &InodeOf<B>, at: u64, max: u32) -> Option<FileBlocks<'_>> {
        let mapping = B::Mapper::default().recall(inode, LogicalBlock(at), BlockCount(max))?;
        file_blocks_of(&mapping, max).ok()
    }
}

/// Whether what is dirty and has no place can get one still.
fn may_be_given<I: InodeType>(inode: &I) -> bool {
    plain(inode).later() == Later::Possible
}

/// How many bytes a new folio is to have for a write at file position `pos` of which `len` bytes
/// are left: about as many. Who appends in small pieces goes on with that, so a folio at the end of
/// a file grows with the file: it has a quarter of that, and no more than 256 KiB. Blocks of it
/// that are behind the end are not valid, so they cost only memory.
#[inline]
fn folio_size(pos: u64, len: usize, file_size: u64) -> usize {
    const MOST: u64 = 256 << 10;
    match pos == file_size {
        true => len.max((file_size / 4).min(MOST) as usize),
        false => len,
    }
}

/// What a write gets of blocks of a folio.
enum Given<'i, P> {
    /// They have places.
    Run(Run<'i>),
    /// They have been promised some.
    Promised(P, Range<u32>),
}

/// The blocks of `within` from the first on, for who is about to fill them; as many as the mapper
/// likes.
///
/// # Errors
///
/// The mapper's; `EIO` if its answer makes no sense.
fn give<'i, B: Backer>(
    inode: &'i InodeOf<B>,
    folio: &Folio,
    within: Range<u32>,
) -> Result<Given<'i, B::Promise<'i>>> {
    let at = file_block(inode, folio, within.start);
    let max = BlockCount(within.len() as u32);
    match without_fs_reclaim(|| B::back(inode, at, max))? {
        Backed::Mapped(mapping) => {
            let run = Run::given(&mapping, within, plain(inode).block_bits());
            run.map(Given::Run)
        }
        Backed::Promised(_, BlockCount(0)) => Err(EIO),
        Backed::Promised(promise, blocks) => {
            let end = within.end.min(within.start.saturating_add(blocks.0));
            Ok(Given::Promised(promise, within.start..end))
        }
    }
}

/// Backs the blocks that a write touches, and makes ready what it does not cover: how many of them,
/// how, and with what promise.
#[inline]
fn back<'i, B: Backer>(
    place: &WritePlace<'i, InodeOf<B>>,
    file_size: u64,
) -> Result<(u32, Backing, Option<B::Promise<'i>>)> {
    match back_at_once::<B>(place, file_size) {
        Some(promise) => Ok((place.touched().len() as u32, Backing::Old, promise)),
        None => back_any::<B>(place),
    }
}

/// As [`back`] where nothing has to be read or zeroed, and the blocks are known: such are all but
/// few of the writes of who writes in small pieces.
#[inline]
fn back_at_once<'i, B: Backer>(
    place: &WritePlace<'i, InodeOf<B>>,
    file_size: u64,
) -> Option<Option<B::Promise<'i>>> {
    if !place.covers_edges() && !place.folio.is_uptodate() {
        return None;
    }
    let inode = place.folio.inode();
    let touched = place.touched();
    let at = file_block(inode, &place.folio, touched.start);
    let is_behind = at.0 << plain(inode).block_bits() >= file_size;
    // One that goes on behind the end is for who asks about the blocks in front of it first.
    if !is_behind && place.end() > file_size {
        return None;
    }
    B::back_at_once(inode, at, BlockCount(touched.len() as u32), is_behind)
}

/// As [`back`], of any write.
#[inline(never)]
fn back_any<'i, B: Backer>(
    place: &WritePlace<'i, InodeOf<B>>,
) -> Result<(u32, Backing, Option<B::Promise<'i>>)> {
    let touched = place.touched();
    // Of several blocks some may be dirty that were behind the end and have no place.
    let only = place.folio.blocks().filter(|it| it.whole() == touched);
    if touched.len() == 1
        && only.is_some_and(|it| it.are_dirty(touched.clone()))
        && may_be_given(place.folio.inode())
    {
        return Ok((1, Backing::Old, None));
    }
    let first = match give::<B>(place.folio.inode(), &place.folio, touched.clone())? {
        Given::Run(run) => run,
        Given::Promised(promise, blocks) => {
            zero_edges(place, blocks.clone());
            return Ok((blocks.len() as u32, Backing::Old, Some(promise)));
        }
    };
    first.prepare_edges(place)?;
    let mut end = first.blocks.end;
    while end < touched.end {
        let rest = end..touched.end;
        // What is in front of it is ready: an error is for who comes again.
        match Run::like::<B>(place.folio.inode(), &place.folio, rest, first.backing) {
            Ok(Some(run)) if run.prepare_edges(place).is_ok() => end = run.blocks.end,
            _ => break,
        }
    }
    Ok((end - touched.start, first.backing, None))
}

/// Makes valid what a write needs of blocks in a hole that it does not cover.
fn zero_edges<I: InodeType>(place: &WritePlace<'_, I>, blocks: Range<u32>) {
    let touched = place.touched();
    for edge in [touched.start, touched.end.saturating_sub(1)] {
        if blocks.contains(&edge) && !place.covers(edge) && !place.is_valid(edge) {
            place.folio.zero_invalid(edge..edge + 1);
        }
    }
}

/// Blocks of a folio that are consecutive on the disk.
struct Run<'i> {
    blocks: Range<u32>,
    device: &'i BlockDevice,
    start: PhysicalBlock,
    backing: Backing,
}

impl<'i> Run<'i> {
    /// The blocks of `within` from the first on, of `1 << bits` bytes, which are the file's.
    ///
    /// # Errors
    ///
    /// `EIO` if the answer makes no sense.
    fn given(mapping: &Mapping<&'i BlockDevice>, within: Range<u32>, bits: u32) -> Result<Self> {
        let run = Self::of(mapping, within)?.ok_or(EIO)?;
        if run.backing == Backing::Fresh {
            let blocks = run.blocks.len() as u32;
            run.device.forget_cached(run.start.0, blocks, bits);
        }
        Ok(run)
    }

    /// The blocks of a folio from the first of `within` on, if they are as those in front of them;
    /// if these are fresh as [`give`]. Otherwise [`None`].
    fn like<B: Backer>(
        inode: &'i InodeOf<B>,
        folio: &Folio,
        within: Range<u32>,
        backing: Backing,
    ) -> Result<Option<Self>> {
        if backing == Backing::Fresh {
            return Ok(match give::<B>(inode, folio, within)? {
                Given::Run(run) if run.backing == Backing::Fresh => Some(run),
                _ => None,
            });
        }
        let at = file_block(inode, folio, within.start);
        let max = BlockCount(within.len() as u32);
        if at.0 << plain(inode).block_bits() >= plain(inode).size() {
            // Here nobody is asked where blocks behind the end are.
            return Ok(None);
        }
        // The folio with the old end of the file may be locked.
        let mapper = B::Mapper::default();
        let mapping = without_fs_reclaim(|| mapper.lookup(inode, at, max))?;
        Self::of(&mapping, within)
    }

    /// What a mapper has said of the blocks from the first of `within` on; [`None`] of a hole.
    fn of(mapping: &Mapping<&'i BlockDevice>, within: Range<u32>) -> Result<Option<Self>> {
        let Extent::Mapped { device, start } = *mapping.extent() else {
            return Ok(None);
        };
        let len = mapping.len().0.min(within.len() as u32);
        if len == 0 || start.0.checked_add(len.into()).is_none() {
            return Err(EIO);
        }
        Ok(Some(Self {
            blocks: within.start..within.start + len,
            device,
            start,
            backing: match mapping.is_new() {
                true => Backing::Fresh,
                false => Backing::Old,
            },
        }))
    }

    /// Makes valid what a write needs of the run's blocks that it does not cover: the first and the
    /// last block of the write, if they are in the run.
    ///
    /// # Errors
    ///
    /// What the device says.
    fn prepare_edges<I: InodeType>(&self, place: &WritePlace<'i, I>) -> Result {
        let touched = place.touched();
        self.prepare(place, touched.start)?;
        self.prepare(place, touched.end.saturating_sub(1))
    }

    fn prepare<I: InodeType>(&self, place: &WritePlace<'i, I>, block: u32) -> Result {
        if !self.blocks.contains(&block) || place.covers(block) || place.is_valid(block) {
            return Ok(());
        }
        let folio = &place.folio;
        let inode = plain(folio.inode());
        let bits = inode.block_bits();
        let position = file_block(folio.inode(), folio, block).0 << bits;
        if self.backing == Backing::Fresh || position >= inode.size() {
            folio.zero_invalid(block..block + 1);
            return Ok(());
        }
        let offset = u64::from(block - self.blocks.start);
        let start = PhysicalBlock(self.start.0 + offset);
        folio.read_block(block, self.device, sector(start, bits)?)?;
        // Anybody may have left anything on the disk behind the end.
        folio.zero(inode.size()..position + (1 << bits));
        Ok(())
    }
}

/// A mapper's answer to a question for `max` blocks.
fn file_blocks_of<'i>(mapping: &Mapping<&'i BlockDevice>, max: u32) -> Result<FileBlocks<'i>> {
    let place = match *mapping.extent() {
        Extent::Mapped { device, start } => Some((device, start.0)),
        Extent::Hole => None,
    };
    FileBlocks::new(mapping.len().0, max, place)
}

/// The number in the file of a block of a folio.
#[inline]
fn file_block<I: InodeType>(inode: &I, folio: &Folio, block: u32) -> LogicalBlock {
    let first = folio.position() >> plain(inode).block_bits();
    LogicalBlock(first + u64::from(block))
}

#[kernel::macros::kunit_tests(rust_mpage_folio_writes)]
mod tests {
    use super::folio_size;

    #[test]
    fn folios_are_as_large_as_what_is_left() {
        assert_eq!(folio_size(0, 100, 50), 100);
        assert_eq!(folio_size(4096, 1 << 20, 8192), 1 << 20);
        assert_eq!(folio_size(0, 1 << 20, 0), 1 << 20);
    }

    #[test]
    fn folios_at_the_end_grow_with_the_file() {
        assert_eq!(folio_size(0, 100, 0), 100);
        assert_eq!(folio_size(8192, 4096, 8192), 4096);
        assert_eq!(folio_size(1 << 17, 4096, 1 << 17), 1 << 15);
        assert_eq!(folio_size(1 << 40, 4096, 1 << 40), 256 << 10);
        // Not behind a gap.
        assert_eq!(folio_size((1 << 20) + 1, 4096, 1 << 20), 4096);
    }
}
