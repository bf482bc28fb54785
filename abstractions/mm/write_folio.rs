// SPDX-License-Identifier: GPL-2.0

//! A write into a folio that has no buffer_heads.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)
//!
//! A [`WriteFolio`] is what a write has of the cache before there is data, a [`CopiedWrite`] what it
//! has when some of it, perhaps not all, has been copied. What counts of that is decided here: of a
//! block that was not valid and is not covered wholly, nothing, unless nothing of the file is in it.
//!
//! Locks: the folio is locked, and that with the file's old end, if there is a gap behind it.

use super::{
    block_bits::outward,
    ByteRange,
    FileBlocks,
    FolioBlocks,
    GrabbedFolio,
    Intent,
    StoredFolio, //
};
use crate::{
    abstractions::fs::{
        Called,
        ExclusiveInode,
        Inode,
        InodeType,
        SealedWrites, //
    },
    bindings,
};
use core::ops::Range;
use kernel::error::{
    code::EINVAL,
    Result, //
};

/// What is on the disk of blocks that are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// They are the file's, and what is on the disk of them is, too.
    Old,
    /// They have become the file's for this write. Nobody may see what is on the disk of them.
    Fresh,
}

/// How a write gets into the cache of a file whose folios have no buffer_heads. The library has the one
/// way, `FolioWrites`.
///
/// Locks: from the begin to the end of a write its folios are locked.
pub trait FileWrites: SealedWrites + 'static {
    /// The inode type.
    type Inode: InodeType;

    /// Blocks that have been promised to a write, and get their places later.
    type Promise<'i>;

    /// Begins a write of up to `len` bytes at file position `pos`, as many as one folio takes.
    ///
    /// With an error, blocks that were allocated for this may be there still; behind the end of the
    /// file they are to be cut.
    fn begin<'i>(
        called: Called,
        inode: &ExclusiveInode<'i, Self::Inode>,
        pos: u64,
        len: usize,
    ) -> Result<WriteFolio<'i, Self::Inode, Self::Promise<'i>>>;

    /// Ends a write: marks what was copied dirty and moves the end of the file. Returns how many
    /// bytes of the write count, perhaps fewer than were copied.
    fn end<'i>(write: CopiedWrite<'i, Self::Inode, Self::Promise<'i>>) -> usize;

    /// Gives all blocks of a folio that are in the file a place, or a promise of one, and makes the folio dirty: somebody
    /// is about to store to it through a mapping. `invalidate_lock` of the file is held.
    fn give_blocks(folio: &StoredFolio<'_, Self::Inode>) -> Result;

    /// These blocks are not in the cache any more, or no part of the file, and nothing of them that has
    /// not been written will be. The folio is locked that they were in.
    fn forget_blocks(inode: &Self::Inode, blocks: Range<u64>);

    /// Whether a block of the folio that is in the file has no place and will not get one.
    fn has_hole(folio: &StoredFolio<'_, Self::Inode>) -> Result<bool>;

    /// Where block `at` of the file and those behind it are, for `max` blocks at most, at least 1; they
    /// lie before the end of the file. For who does not go through the page cache. Nothing is allocated.
    fn find(inode: &Self::Inode, at: u64, max: u32, intent: Intent) -> Result<FileBlocks<'_>>;

    /// The same if it is known without waiting for anything, to read or to overwrite.
    fn recall(inode: &Self::Inode, at: u64, max: u32) -> Option<FileBlocks<'_>>;
}

/// A folio that is about to be written to.
///
/// # Invariants
///
/// The bytes `range` are in the folio, one at least; folios of its mapping have no buffers. What
/// `range` does not cover of its first and of its last block is valid.
pub struct WriteFolio<'i, I, P> {
    folio: GrabbedFolio<'i, I>,
    old_end: Option<GrabbedFolio<'i, I>>,
    range: Range<usize>,
    backing: Backing,
    /// That of the touched blocks, if they have no place.
    promise: Option<P>,
}

/// The place of a write in the cache, of which nothing is known yet.
pub(crate) struct WritePlace<'i, I> {
    /// The folio.
    pub(crate) folio: GrabbedFolio<'i, I>,
    old_end: Option<GrabbedFolio<'i, I>>,
    range: Range<usize>,
}

impl<'i, I: InodeType> WritePlace<'i, I> {
    /// Of a write of up to `len` bytes at file position `pos`, as many as the folio has.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it has none of them.
    #[inline]
    pub(crate) fn new(
        folio: GrabbedFolio<'i, I>,
        old_end: Option<GrabbedFolio<'i, I>>,
        pos: u64,
        len: usize,
    ) -> Result<Self> {
        if !folio.has(pos) || len == 0 || folio.may_have_buffers() {
            return Err(EINVAL);
        }
        // In the folio, so it fits.
        let start = pos.saturating_sub(folio.position()) as usize;
        let end = start.saturating_add(len).min(folio.size());
        Ok(Self {
            folio,
            old_end,
            range: start..end,
        })
    }

    fn block_bits(&self) -> u32 {
        block_bits(&self.folio)
    }

    /// The blocks of the folio that the write touches.
    #[inline]
    pub(crate) fn touched(&self) -> Range<u32> {
        outward(self.range.clone(), self.block_bits())
    }

    /// Whether the write covers all of a block of the folio.
    #[inline]
    pub(crate) fn covers(&self, block: u32) -> bool {
        let bits = self.block_bits();
        let (start, end) = ((block as usize) << bits, (block as usize + 1) << bits);
        self.range.start <= start && end <= self.range.end
    }

    /// The first `blocks` of the touched blocks are backed, and ready: that many at most are written
    /// to, and if they have no place yet `promise` is that they will get one. `EINVAL` if that is none,
    /// or one of them is neither valid nor covered.
    #[inline]
    pub(crate) fn ready<P>(
        self,
        blocks: u32,
        backing: Backing,
        promise: Option<P>,
    ) -> Result<WriteFolio<'i, I, P>> {
        let touched = self.touched();
        let end = touched.start.saturating_add(blocks).min(touched.end);
        let edge = |block| self.covers(block) || self.is_valid(block);
        if end <= touched.start || !edge(touched.start) || !edge(end - 1) {
            return Err(EINVAL);
        }
        let last = (end as usize) << self.block_bits();
        let range = self.range.start..self.range.end.min(last);
        // INVARIANT: As just tested; the blocks between these two are covered.
        Ok(WriteFolio {
            folio: self.folio,
            old_end: self.old_end,
            range,
            backing,
            promise,
        })
    }

    /// Whether a block is valid.
    pub(crate) fn is_valid(&self, block: u32) -> bool {
        let valid = |blocks: FolioBlocks<'_>| blocks.are_valid(block..block.saturating_add(1));
        self.folio.blocks().is_some_and(valid)
    }
}

impl<'i, I: InodeType, P> WriteFolio<'i, I, P> {
    /// How many bytes can be written.
    pub(in crate::abstractions) fn len(&self) -> usize {
        self.range.len()
    }

    /// Copies up to [`Self::len`] bytes to the folio, from memory that is not to be waited for: what
    /// is not there is not copied.
    ///
    /// # Safety
    ///
    /// `iter` must be valid, a source, and the caller's.
    pub(in crate::abstractions) unsafe fn copy_from(
        self,
        iter: *mut bindings::iov_iter,
    ) -> CopiedWrite<'i, I, P> {
        // SAFETY: The folio is locked, and the range in it.
        let copied = unsafe {
            bindings::rust_mpage_helper_copy_from_iter(
                self.folio.as_raw(),
                self.range.start,
                self.range.len(),
                iter,
            )
        };
        // INVARIANT: Copied just above.
        CopiedWrite {
            copied: copied.min(self.range.len()),
            write: self,
        }
    }
}

/// A folio that has been written to.
///
/// # Invariants
///
/// The first `copied` bytes of the range have been written.
pub struct CopiedWrite<'i, I, P> {
    write: WriteFolio<'i, I, P>,
    copied: usize,
}

impl<'i, I: InodeType, P> CopiedWrite<'i, I, P> {
    /// How many bytes have been copied.
    pub(in crate::abstractions) fn copied(&self) -> usize {
        self.copied
    }

    /// The inode.
    pub(crate) fn inode(&self) -> ExclusiveInode<'i, I> {
        // SAFETY: By the type invariants of the folio.
        unsafe { ExclusiveInode::new(self.write.folio.inode()) }
    }

    /// Makes what was written valid and dirty; `keep` takes a promise, and of how many blocks it is
    /// kept. Returns how many bytes of the write count, perhaps fewer than were copied, and where in the
    /// file they end. The folios stay locked.
    pub(crate) fn commit(&mut self, keep: impl FnOnce(P, u32)) -> (usize, u64) {
        let promise = self.write.promise.take();
        let WriteFolio {
            folio,
            range,
            backing,
            ..
        } = &self.write;
        let bits = block_bits(folio);
        let written = range.start..range.start + self.copied;
        // Nothing of it counts twice.
        self.copied = 0;
        let Some(blocks) = folio.blocks() else {
            return (0, folio.position());
        };
        let (counts, dirty) = match backing {
            Backing::Fresh => {
                zero_rest(folio, &blocks, written.end..range.end, bits);
                (written.clone(), range.clone())
            }
            Backing::Old => {
                let end = accepted(written.clone(), bits, |block| {
                    blocks.are_valid(block..block.saturating_add(1))
                });
                (range.start..end, range.start..end)
            }
        };
        let dirty = outward(dirty, bits);
        let touched = dirty.len() as u32;
        // Dirty first: who brings all of the file to the device misses no block that has a place. The
        // folio is locked, so that nobody writes what is not promised yet.
        blocks.mark_written(dirty);
        if let Some(promise) = promise {
            // A promise is of the first blocks that the write touches, and so are these.
            keep(promise, touched);
        }
        (counts.len(), folio.position() + counts.end as u64)
    }

    /// Unlocks the folios, that of the data first.
    pub(crate) fn unlock(self) {
        drop(self.write.folio);
        drop(self.write.old_end);
    }
}

/// Base-2 logarithm of the size of the file's blocks.
fn block_bits<I: InodeType>(folio: &GrabbedFolio<'_, I>) -> u32 {
    let inode: &Inode = folio.inode().as_ref();
    inode.block_bits()
}

/// Zeroes what of `rest` is in blocks that are not valid.
fn zero_rest<I: InodeType>(
    folio: &GrabbedFolio<'_, I>,
    blocks: &FolioBlocks<'_>,
    rest: Range<usize>,
    bits: u32,
) {
    let touched = outward(rest.clone(), bits);
    let mut at = touched.start;
    while let Some(run) = blocks.next_invalid(at..touched.end) {
        at = run.end;
        let start = rest.start.max((run.start as usize) << bits);
        folio.zero_bytes(ByteRange {
            start,
            len: ((run.end as usize) << bits).saturating_sub(start),
        });
    }
}

/// Where in the folio what counts of the written bytes ends: not in a block that was not valid.
fn accepted(written: Range<usize>, bits: u32, is_valid: impl FnOnce(u32) -> bool) -> usize {
    let inside = written.end & ((1 << bits) - 1);
    if inside == 0 || is_valid((written.end >> bits) as u32) {
        written.end
    } else {
        (written.end - inside).max(written.start)
    }
}

#[kernel::macros::kunit_tests(rust_mpage_write_folio)]
mod tests {
    use super::accepted;

    #[test]
    fn whole_blocks_count() {
        assert_eq!(accepted(0..4096, 10, |_| false), 4096);
        assert_eq!(accepted(0..1024, 10, |_| false), 1024);
        assert_eq!(accepted(0..1023, 10, |_| false), 0);
        assert_eq!(accepted(0..3000, 10, |_| false), 2048);
    }

    #[test]
    fn in_a_valid_block_every_byte_counts() {
        assert_eq!(accepted(0..3000, 10, |block| block == 2), 3000);
        assert_eq!(accepted(100..101, 10, |block| block == 0), 101);
    }

    #[test]
    fn nothing_counts_of_a_block_that_was_not_reached() {
        assert_eq!(accepted(1500..1500, 10, |_| false), 1500);
        assert_eq!(accepted(1500..1900, 10, |_| false), 1500);
        assert_eq!(accepted(1500..2100, 10, |_| false), 2048);
    }
}
