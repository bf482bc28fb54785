// SPDX-License-Identifier: GPL-2.0

//! A write into a folio that has no buffer_heads.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)
//!
//! A [`WriteFolio`] is what a write has of the cache before there is data, a [`CopiedWrite`] what
//! it has when some of it, perhaps not all, has been copied. What counts of that is decided here:
//! of a block that was not valid and is not covered wholly, nothing, unless nothing of the file is
//! in it.
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

/// How a write gets into the cache of a file whose folios have no buffer_heads. The library has the
/// one way, `FolioWrites`.
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
    /// bytes of the write count, perhaps fewer than were copied. The folios stay locked.
    fn end<'i>(write: CopiedWrite<'_, 'i, Self::Inode, Self::Promise<'i>>) -> usize;

    /// Gives all blocks of a folio that are in the file a place, or a promise of one, and makes the
    /// folio dirty: somebody is about to store to it through a mapping. `invalidate_lock` of the
    /// file is held.
    fn give_blocks(folio: &StoredFolio<'_, Self::Inode>) -> Result;

    /// These blocks are not in the cache any more, or no part of the file, and nothing of them that
    /// has not been written will be. The folio is locked that they were in.
    fn forget_blocks(inode: &Self::Inode, blocks: Range<u64>);

    /// Whether a block of the folio that is in the file has no place and will not get one.
    fn has_hole(folio: &StoredFolio<'_, Self::Inode>) -> Result<bool>;

    /// Where block `at` of the file and those behind it are, for `max` blocks at most, at least 1;
    /// they lie before the end of the file. For who does not go through the page cache. Nothing is
    /// allocated.
    fn find(inode: &Self::Inode, at: u64, max: u32, intent: Intent) -> Result<FileBlocks<'_>>;

    /// The same if it is known without waiting for anything, to read or to overwrite.
    fn recall(inode: &Self::Inode, at: u64, max: u32) -> Option<FileBlocks<'_>>;
}

/// A folio that is about to be written to.
///
/// # Invariants
///
/// The bytes `range` are in the folio, one at least; folios of its mapping have no buffers. What
/// `range` does not cover of its first and of its last block is valid. `touched` are the blocks, of
/// `1 << bits` bytes, that `range` touches.
#[must_use = "the write does not take place"]
pub struct WriteFolio<'i, I, P> {
    // The folios are unlocked in this order.
    folio: GrabbedFolio<'i, I>,
    _old_end: Option<GrabbedFolio<'i, I>>,
    range: Range<usize>,
    touched: Range<u32>,
    bits: u32,
    backing: Backing,
    /// That of the touched blocks, if they have no place.
    promise: Option<P>,
}

/// The place of a write in the cache, of which nothing is known yet.
///
/// # Invariants
///
/// The bytes `range` are in the folio, one at least; folios of its mapping have no buffers.
/// `touched` are the blocks, of `1 << bits` bytes, that `range` touches.
#[must_use = "the write does not take place"]
pub(crate) struct WritePlace<'i, I> {
    /// The folio.
    pub(crate) folio: GrabbedFolio<'i, I>,
    old_end: Option<GrabbedFolio<'i, I>>,
    range: Range<usize>,
    touched: Range<u32>,
    bits: u32,
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
        let offset = pos.wrapping_sub(folio.position());
        let size = folio.size();
        if offset >= size as u64 || len == 0 || folio.may_have_buffers() {
            return Err(EINVAL);
        }
        let start = offset as usize;
        let end = start + len.min(size - start);
        let bits = plain(&folio).block_bits();
        // INVARIANT: In the folio, and not empty, since neither `len` nor what the folio has from
        // `start` on is nothing. Folios of a mapping have all buffers, or none.
        Ok(Self {
            folio,
            old_end,
            range: start..end,
            touched: outward(start..end, bits),
            bits,
        })
    }

    /// The blocks of the folio that the write touches.
    #[inline]
    pub(crate) fn touched(&self) -> Range<u32> {
        self.touched.clone()
    }

    /// Whether the write covers all of a block of the folio.
    #[inline]
    pub(crate) fn covers(&self, block: u32) -> bool {
        let bits = self.bits;
        let (start, end) = ((block as usize) << bits, (block as usize + 1) << bits);
        self.range.start <= start && end <= self.range.end
    }

    /// Whether the write covers all of the first and of the last block that it touches, and so all
    /// of each.
    #[inline]
    pub(crate) fn covers_edges(&self) -> bool {
        (self.range.start | self.range.end) & within(self.bits) == 0
    }

    /// Where in the file it ends.
    #[inline]
    pub(crate) fn end(&self) -> u64 {
        self.folio.position().saturating_add(self.range.end as u64)
    }

    /// The first `blocks` of the touched blocks are backed, and ready: that many at most are
    /// written to, and if they have no place yet `promise` is that they will get one. `EINVAL` if
    /// that is none, or one of them is neither valid nor covered.
    #[inline]
    pub(crate) fn ready<P>(
        self,
        blocks: u32,
        backing: Backing,
        promise: Option<P>,
    ) -> Result<WriteFolio<'i, I, P>> {
        let all = blocks >= self.touched.len() as u32;
        let (end, blocks_end) = match all && (self.covers_edges() || self.folio.is_uptodate()) {
            true => (self.range.end, self.touched.end),
            false => self.ends_in_part(blocks)?,
        };
        // INVARIANT: All blocks are covered, or valid, up to these ends.
        Ok(WriteFolio {
            folio: self.folio,
            _old_end: self.old_end,
            range: self.range.start..end,
            touched: self.touched.start..blocks_end,
            bits: self.bits,
            backing,
            promise,
        })
    }

    /// Where what can be written ends if the first `blocks` of the touched blocks are ready: in
    /// bytes, and in blocks. Up to there all blocks are covered, or valid.
    ///
    /// Says that only, so that a write that is ready as a whole is not moved through memory.
    #[inline(never)]
    fn ends_in_part(&self, blocks: u32) -> Result<(usize, u32)> {
        let touched = self.touched();
        let end = touched.start.saturating_add(blocks).min(touched.end);
        let edge = |block| self.covers(block) || self.is_valid(block);
        if end <= touched.start || !edge(touched.start) || !edge(end - 1) {
            return Err(EINVAL);
        }
        // As just tested; the blocks between these two are covered.
        let last = (end as usize) << self.bits;
        Ok((self.range.end.min(last), end))
    }

    /// Whether a block is valid.
    pub(crate) fn is_valid(&self, block: u32) -> bool {
        let valid = |blocks: FolioBlocks<'_>| blocks.are_valid(block..block.saturating_add(1));
        self.folio.blocks().is_some_and(valid)
    }
}

impl<'i, I: InodeType, P> WriteFolio<'i, I, P> {
    /// How many bytes can be written.
    #[inline]
    pub(in crate::abstractions) fn len(&self) -> usize {
        self.range.len()
    }

    #[inline]
    fn blocks(&self) -> FolioBlocks<'_> {
        // SAFETY: The folio is locked while it is borrowed, and one without buffers, by the type
        // invariants.
        unsafe { self.folio.blocks_of(self.bits) }
    }

    /// Whether anything of the folio is dirty already.
    #[inline]
    pub(in crate::abstractions) fn is_dirty(&self) -> bool {
        self.folio.flag(bindings::pageflags_PG_dirty)
    }

    /// Copies up to [`Self::len`] bytes to the folio, from memory that is not to be waited for:
    /// what is not there is not copied.
    ///
    /// # Safety
    ///
    /// `iter` must be valid, a source, and the caller's.
    #[inline]
    pub(in crate::abstractions) unsafe fn copy_from(
        &mut self,
        iter: *mut bindings::iov_iter,
    ) -> CopiedWrite<'_, 'i, I, P> {
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
#[must_use = "what has been written does not count"]
pub struct CopiedWrite<'w, 'i, I, P> {
    write: &'w mut WriteFolio<'i, I, P>,
    copied: usize,
}

impl<'i, I: InodeType, P> CopiedWrite<'_, 'i, I, P> {
    /// How many bytes have been copied.
    #[inline]
    pub(in crate::abstractions) fn copied(&self) -> usize {
        self.copied
    }

    /// The inode.
    #[inline]
    pub(crate) fn inode(&self) -> ExclusiveInode<'i, I> {
        // SAFETY: By the type invariants of the folio.
        unsafe { ExclusiveInode::new(self.write.folio.inode()) }
    }

    /// Makes what was written valid and dirty; `keep` takes a promise, and of how many blocks it is
    /// kept. Returns how many bytes of the write count, perhaps fewer than were copied, and where
    /// in the file they end. The folios stay locked.
    #[inline]
    pub(crate) fn commit(&mut self, keep: impl FnOnce(P, u32)) -> (usize, u64) {
        let promise = self.write.promise.take();
        let (counts, dirty) = self.counts();
        // Nothing of it counts twice.
        self.copied = 0;
        let folio = &self.write.folio;
        let touched = dirty.len() as u32;
        // Dirty first: who brings all of the file to the device misses no block that has a place.
        // The folio is locked, so that nobody writes what is not promised yet.
        self.write.blocks().mark_written(dirty);
        if let Some(promise) = promise {
            // A promise is of the first blocks that the write touches, and so are these.
            keep(promise, touched);
        }
        (counts.len(), folio.position() + counts.end as u64)
    }

    /// Which bytes of the folio count as written, and which blocks become dirty.
    #[inline]
    fn counts(&self) -> (Range<usize>, Range<u32>) {
        let WriteFolio { folio, range, .. } = &self.write;
        let is_whole = self.copied == range.len();
        let ends_block = range.end & within(self.write.bits) == 0 || folio.is_uptodate();
        match self.write.backing {
            Backing::Old if is_whole && ends_block => (range.clone(), self.write.touched.clone()),
            _ => self.counts_of_any(),
        }
    }

    /// As [`Self::counts`], if not all has been copied, or blocks are fresh, whose rest is zero
    /// then.
    #[inline(never)]
    fn counts_of_any(&self) -> (Range<usize>, Range<u32>) {
        let WriteFolio {
            folio,
            range,
            bits,
            backing,
            ..
        } = &self.write;
        let blocks = self.write.blocks();
        let written = range.start..range.start + self.copied;
        let (counts, dirty) = match backing {
            Backing::Fresh => {
                zero_rest(folio, &blocks, written.end..range.end, *bits);
                (written, range.clone())
            }
            Backing::Old => {
                let end = accepted(written, *bits, |block| {
                    blocks.are_valid(block..block.saturating_add(1))
                });
                (range.start..end, range.start..end)
            }
        };
        (counts, outward(dirty, *bits))
    }
}

/// The inode of a folio.
#[inline]
fn plain<'i, I: InodeType>(folio: &GrabbedFolio<'i, I>) -> &'i Inode {
    folio.inode().as_ref()
}

/// The bits of a position that say where in its block it is.
#[inline]
fn within(bits: u32) -> usize {
    !(usize::MAX.wrapping_shl(bits))
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
#[inline]
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
