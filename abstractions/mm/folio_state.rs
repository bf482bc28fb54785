// SPDX-License-Identifier: GPL-2.0

//! What is known of the blocks of a folio that has no buffer_heads.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)
//!
//! A folio of which nothing is kept is wholly one or the other: all blocks are valid if it is
//! uptodate, and none is otherwise; all are dirty if it is dirty. Where that is not so its private
//! word has the [`BlockBits`], or the address of them, with a tag. (The address of a buffer_head is
//! a multiple of 8: what is tagged is none.) Of an uptodate folio all blocks are valid, whatever
//! the bits say.
//!
//! Bits begin and end under the folio's lock, and change under it but for one: who makes a folio
//! dirty without it, because it has the lock of a page table. It sets the flag and then the bits,
//! if there are any; who begins to keep bits sets them and then looks at the flag, see
//! [`dirty_folio`](super::folio_operations::dirty_folio) and [`FolioBlocks::mark_dirty`].
//!
//! The mapping of such folios has `AS_RELEASE_ALWAYS`: without it mm tells nobody of the truncation
//! of a folio that has no private data, and what is behind the new end would stay dirty.

use super::{
    block_bits::{
        inward,
        BlockBits,
        INLINE_BLOCKS,
        TAG_BITS, //
    },
    ByteRange,
    Folio, //
};
use crate::{
    abstractions::fs::{
        Inode,
        InodeType, //
    },
    bindings, //
};
use core::{
    ops::Range,
    ptr,
    slice, //
};
use kernel::{
    ffi::{
        c_ulong,
        c_void, //
    },
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        barrier::smp_mb, //
    },
};

/// The bits are in the word itself.
const INLINE: usize = 1;
/// The word is the address of the bits, and this.
const OUTSIDE: usize = 2;
/// Either.
const TAGS: usize = (1 << TAG_BITS) - 1;

impl Folio {
    /// Whether the folio has buffer_heads. C: `folio_buffers()`.
    #[inline(always)]
    pub fn has_buffers(&self) -> bool {
        let word = self.private_word();
        word != 0 && word & TAGS == 0
    }

    /// Whether more is kept of the folio's blocks than what its flags say.
    #[inline(always)]
    pub fn has_block_bits(&self) -> bool {
        self.private_word() & TAGS != 0
    }

    /// Whether the folio has buffer_heads or block bits. C: `folio_get_private()`.
    #[inline(always)]
    pub fn has_private(&self) -> bool {
        self.private_word() != 0
    }

    #[inline(always)]
    fn private_word(&self) -> usize {
        self.private().load(Acquire) as usize
    }

    #[inline(always)]
    fn private(&self) -> &Atomic<*mut c_void> {
        // SAFETY: The folio is valid; the field is aligned and only ever accessed as a whole.
        unsafe { Atomic::from_ptr(self.private_field()) }
    }

    /// Whether the folio may get buffer_heads: those of its mapping do.
    #[inline]
    pub fn may_have_buffers(&self) -> bool {
        self.mapping_flags() & 1 << bindings::mapping_flags_AS_RELEASE_ALWAYS == 0
    }

    /// The flags of the folio's mapping.
    #[inline(always)]
    pub(super) fn mapping_flags(&self) -> c_ulong {
        // SAFETY: The mapping is valid by the type invariants; its flags change bit by bit.
        unsafe { ptr::addr_of!((*self.mapping()).flags).read_volatile() }
    }

    /// How many blocks of `1 << block_bits` bytes the folio has.
    fn block_count(&self, block_bits: u32) -> u32 {
        (self.size() >> block_bits) as u32
    }

    /// The bits of `blocks` blocks that are kept outside of the folio, at what `word` tells.
    ///
    /// # Safety
    ///
    /// `word` must be what the folio, of so many blocks, has had in its private field, with the tag
    /// `OUTSIDE`, since the caller has locked it or begun an RCU section, which lasts for `'b`.
    unsafe fn bits_outside<'b>(word: usize, blocks: u32) -> BlockBits<'b> {
        let words: *const Atomic<u64> = ptr::with_exposed_provenance(word & !TAGS);
        // SAFETY: The word is what `attach` has stored for so many blocks. `detach` frees the
        // memory when nobody has the folio's lock, and after an RCU grace period.
        let words = unsafe { slice::from_raw_parts(words, BlockBits::words_for(blocks)) };
        BlockBits::new(words, blocks)
    }

    /// Makes all valid blocks dirty if bits are kept, without the folio's lock, and says whether
    /// they are. Others may begin to keep bits, or have done with them, meanwhile: what is in the
    /// private field is changed only while it has the tag.
    ///
    /// # Safety
    ///
    /// The caller must have a reference to the folio, which has no buffers, and whose blocks have
    /// this size, and be in an RCU section.
    pub(super) unsafe fn dirty_kept(&self, block_bits: u32) -> bool {
        let blocks = self.block_count(block_bits);
        let mut seen = self.private().load(Acquire);
        loop {
            let word = seen as usize;
            match word & TAGS {
                INLINE => {
                    let copy = [Atomic::new(word as u64)];
                    all_dirty(self, &BlockBits::new(&copy, blocks.min(INLINE_BLOCKS)));
                    let [copy] = &copy;
                    let new = ptr::without_provenance_mut(copy.load(Relaxed) as usize);
                    match self.private().cmpxchg(seen, new, Full) {
                        Ok(_) => return true,
                        Err(now) => seen = now,
                    }
                }
                OUTSIDE => {
                    // SAFETY: Read in this RCU section.
                    all_dirty(self, &unsafe { Self::bits_outside(word, blocks) });
                    return true;
                }
                _ => return false,
            }
        }
    }

    /// Keeps bits for `blocks` blocks, none of them set. May sleep until there is memory.
    ///
    /// # Safety
    ///
    /// The caller must have locked the folio, which has so many blocks and nothing private.
    unsafe fn attach(&self, blocks: u32) {
        let word = if blocks <= INLINE_BLOCKS {
            INLINE
        } else {
            // SAFETY: Process context; does not fail.
            let words =
                unsafe { bindings::rust_mpage_helper_words_alloc(BlockBits::words_for(blocks)) };
            words.expose_provenance() | OUTSIDE
        };
        // SAFETY: The folio is valid and locked.
        unsafe {
            bindings::rust_mpage_helper_folio_attach_private(
                self.as_raw(),
                ptr::without_provenance_mut(word),
            );
        }
    }

    /// Forgets what is kept of the folio's blocks.
    ///
    /// # Safety
    ///
    /// The caller must have locked the folio, whose mapping has no folios with buffers, and must
    /// not use bits of it any more.
    pub(super) unsafe fn detach(&self) {
        // SAFETY:
        // - the folio is locked by the safety requirements, so its private word is ours to take;
        // - a word with this tag is the address of what `attach` has allocated, and with it taken
        //   nobody finds that any more;
        // - nobody uses the bits any more, by the safety requirements.
        unsafe {
            let word = bindings::rust_mpage_helper_folio_detach_private(self.as_raw()) as usize;
            if word & TAGS == OUTSIDE {
                bindings::rust_mpage_helper_words_free(ptr::with_exposed_provenance_mut(
                    word & !TAGS,
                ));
            }
        }
    }

    /// The folio's blocks; [`None`] if folios of its mapping may have buffers.
    ///
    /// # Safety
    ///
    /// The folio must be locked for the life of the value.
    #[inline]
    pub(super) unsafe fn blocks_without_buffers(&self) -> Option<FolioBlocks<'_>> {
        // SAFETY: The folio is locked by the safety requirements; those of its mapping have no
        // buffers.
        (!self.may_have_buffers()).then(|| unsafe { self.blocks() })
    }

    /// The folio's blocks.
    ///
    /// # Safety
    ///
    /// The folio must be locked for the life of the value, and its mapping not have folios with
    /// buffers.
    #[inline]
    pub(super) unsafe fn blocks(&self) -> FolioBlocks<'_> {
        // SAFETY: The host is an inode, and in use, as long as the folio is locked.
        let block_bits = unsafe { Inode::from_raw(self.host()) }.block_bits();
        // SAFETY: By the safety requirements.
        unsafe { self.blocks_of(block_bits) }
    }

    /// As [`Self::blocks`], for who knows that they are of `1 << block_bits` bytes.
    ///
    /// # Safety
    ///
    /// As of [`Self::blocks`], and it must be so.
    #[inline]
    pub(super) unsafe fn blocks_of(&self, block_bits: u32) -> FolioBlocks<'_> {
        // INVARIANT: By the safety requirements.
        FolioBlocks {
            folio: self,
            block_bits,
        }
    }
}

/// The blocks of a folio without buffer_heads. Positions are blocks from the start of the folio.
///
/// # Invariants
///
/// The folio is locked while the value lives, its mapping's folios have no buffers, and its blocks
/// `1 << block_bits` bytes.
pub struct FolioBlocks<'f> {
    pub(super) folio: &'f Folio,
    block_bits: u32,
}

impl FolioBlocks<'_> {
    #[inline]
    pub(super) fn bits(&self) -> Option<BlockBits<'_>> {
        let blocks = self.folio.block_count(self.block_bits);
        let word = self.folio.private_word();
        match word & TAGS {
            INLINE => {
                let field = self.folio.private_field().cast_const().cast();
                // SAFETY: The field is aligned, and has the bits as long as the folio is locked.
                // All who change it then are atomic.
                let words = unsafe { slice::from_raw_parts(field, 1) };
                Some(BlockBits::new(words, blocks.min(INLINE_BLOCKS)))
            }
            // SAFETY: Read with the folio locked, which it stays, by the type invariants.
            OUTSIDE => Some(unsafe { Folio::bits_outside(word, blocks) }),
            _ => None,
        }
    }

    pub(super) fn bits_or_new(&self) -> Option<BlockBits<'_>> {
        if !self.folio.has_block_bits() {
            let blocks = self.folio.block_count(self.block_bits);
            // SAFETY: The folio is locked, and not one with buffers, by the type invariants; so it
            // has nothing private.
            unsafe { self.folio.attach(blocks) };
        }
        self.bits()
    }

    /// Base-2 logarithm of their size.
    pub(super) fn block_bits(&self) -> u32 {
        self.block_bits
    }

    /// All of them.
    pub fn whole(&self) -> Range<u32> {
        0..self.folio.block_count(self.block_bits)
    }

    /// How many of them are in a file of `size` bytes, at least in part.
    pub(crate) fn count_inside(&self, size: u64) -> u32 {
        let inside = size.saturating_sub(self.folio.position());
        let inside = inside.div_ceil(1 << self.block_bits);
        let all = self.whole().end;
        u32::try_from(inside).map_or(all, |inside| inside.min(all))
    }

    /// The bytes of these blocks.
    pub(in crate::abstractions) fn bytes(&self, blocks: Range<u32>) -> ByteRange {
        let bits = self.block_bits;
        ByteRange {
            start: (blocks.start as usize) << bits,
            len: blocks.len() << bits,
        }
    }

    /// Whether all these are valid.
    pub fn are_valid(&self, range: Range<u32>) -> bool {
        self.next_invalid(range).is_none()
    }

    /// The first of the range that are not valid.
    pub fn next_invalid(&self, range: Range<u32>) -> Option<Range<u32>> {
        if range.is_empty() || self.folio.is_uptodate() {
            return None;
        }
        match self.bits() {
            Some(bits) => bits.valid().next_clear(range),
            None => Some(range),
        }
    }

    /// Whether all these are dirty.
    pub fn are_dirty(&self, range: Range<u32>) -> bool {
        self.folio.flag(bindings::pageflags_PG_dirty)
            && self.bits().is_none_or(|bits| bits.dirty().all(range))
    }

    /// The first of the range that are dirty, of a folio that is, or was until somebody took its
    /// dirty flag to write it.
    pub fn next_dirty(&self, range: Range<u32>) -> Option<Range<u32>> {
        match self.bits() {
            Some(bits) => bits.dirty().next_set(range),
            None => (!range.is_empty()).then_some(range),
        }
    }

    /// Whether bits are kept, and one of them says that a block is dirty.
    pub(super) fn keeps_dirty(&self) -> bool {
        let whole = self.whole();
        self.bits()
            .is_some_and(|bits| bits.dirty().next_set(whole).is_some())
    }

    /// Notes that what is in memory of these is what is to be read of them. If that is so of all,
    /// the folio is uptodate.
    pub(super) fn mark_valid(&self, range: Range<u32>) {
        if range.is_empty() || self.folio.is_uptodate() {
            return;
        }
        let whole = self.whole();
        let complete = range == whole
            || self.bits_or_new().is_some_and(|bits| {
                bits.valid().set(range);
                bits.valid().all(whole)
            });
        if complete {
            // SAFETY: The folio is locked, and valid from end to end. The barrier in there has
            // whoever sees the flag see the bytes.
            unsafe { bindings::rust_mpage_helper_folio_mark_uptodate(self.folio.as_raw()) };
        }
    }

    /// As [`Self::mark_valid`], and then [`Self::mark_dirty`].
    pub(super) fn mark_written(&self, range: Range<u32>) {
        let folio = self.folio;
        // It stays dirty while it is locked.
        let is_dirty = folio.flag(bindings::pageflags_PG_dirty);
        match self.bits().filter(|_| is_dirty) {
            // Of what is in memory some is written anew.
            Some(bits) if folio.is_uptodate() => bits.set_dirty(range),
            // A folio that is filled block after block, and is not full yet.
            // SAFETY: The folio is locked by the type invariants.
            Some(bits) if unsafe { bits.fill(&range) } => {}
            _ => {
                self.mark_valid(range.clone());
                self.mark_dirty(range);
            }
        }
    }

    /// Makes these blocks dirty, which are valid.
    pub(super) fn mark_dirty(&self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let partial = range != self.whole();
        match self.bits() {
            Some(bits) if partial => bits.dirty().set(range),
            Some(bits) => self.all_dirty(&bits),
            // All blocks are dirty.
            None if self.folio.flag(bindings::pageflags_PG_dirty) => {}
            None if partial => {
                if let Some(bits) = self.bits_or_new() {
                    bits.dirty().set(range);
                    // Who has made the folio dirty and not seen the bits meant all blocks.
                    smp_mb(Full);
                    if self.folio.flag(bindings::pageflags_PG_dirty) {
                        self.all_dirty(&bits);
                    }
                }
            }
            None => {}
        }
        // SAFETY: The folio is locked and in its mapping.
        unsafe { bindings::filemap_dirty_folio(self.folio.mapping(), self.folio.as_raw()) };
    }

    /// As [`Self::mark_dirty`], if all of them are valid; else nothing is done.
    pub(crate) fn mark_dirty_if_valid(&self, range: Range<u32>) {
        if self.are_valid(range.clone()) {
            self.mark_dirty(range);
        }
    }

    pub(super) fn all_dirty(&self, bits: &BlockBits<'_>) {
        all_dirty(self.folio, bits);
    }

    /// Notes that these blocks need not be written: a bio has them, or nobody can. Where nothing is
    /// kept the folio's flag says all, and that is the caller's. Bits of a folio that somebody has
    /// pinned stay: it may change at any time, and who unpins it does not make a folio dirty that
    /// is so already.
    fn clean(&self, range: Range<u32>) {
        if let Some(bits) = self.bits() {
            if !self.is_pinned() {
                bits.dirty().clear(range);
            }
        }
    }

    /// As [`Self::clean`], of bytes that are whole blocks.
    pub(super) fn clean_bytes(&self, bytes: Range<usize>) {
        self.clean(inward(bytes, self.block_bits));
    }

    /// Notes that these blocks need not be written, whoever has pinned them.
    pub(crate) fn forget(&self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let kept = self.bits();
        let bits = kept.or_else(|| {
            // All blocks are dirty, or none is.
            let dirty = self.folio.flag(bindings::pageflags_PG_dirty);
            let bits = dirty.then(|| self.bits_or_new()).flatten()?;
            all_dirty(self.folio, &bits);
            Some(bits)
        });
        if let Some(bits) = bits {
            bits.dirty().clear(range);
        }
    }

    /// As [`Self::forget`], from `start` on, of a folio whose dirty flag somebody has taken.
    pub(super) fn forget_from(&self, start: u32) {
        if let Some(bits) = self.bits() {
            bits.dirty().clear(start..self.whole().end);
        }
    }
}

/// Makes all blocks dirty that can be: those that are valid.
fn all_dirty(folio: &Folio, bits: &BlockBits<'_>) {
    if folio.is_uptodate() {
        bits.dirty().set(bits.whole());
    } else {
        bits.dirty_valid();
    }
}
