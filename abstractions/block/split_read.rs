// SPDX-License-Identifier: GPL-2.0

//! A folio that several bios read.
//!
//! A folio whose blocks are scattered needs one bio for each run. Every bio holds a share of one
//! [`SplitRead`], and so does the [`SplitReader`] that issues them; when the last share goes, in
//! any order and on any processor, the folio ends: uptodate if no piece failed, and if the pieces
//! were all of it, in order, which [`Covered`] counts. There is no count of bios to get wrong.
//!
//! Pieces are submitted one by one: holding an unsubmitted bio while another is allocated could
//! empty the bio pool and wait for itself.

use super::{
    read_bio::ReadPiece,
    BlockDevice,
    ReadIntent,
    Sector, //
};
use crate::abstractions::{
    fs::{
        Inode,
        InodeType, //
    },
    mm::{
        without_fs_reclaim,
        ByteRange,
        Filled,
        Folio,
        LockedFolio, //
    },
};
use core::{
    mem::ManuallyDrop,
    ops::Range, //
};
use kernel::{
    alloc::flags::{
        __GFP_NOWARN, //
        GFP_KERNEL,
        GFP_NOWAIT,
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        UniqueArc, //
    },
};

/// The shares of a locked folio that several bios read.
pub(super) struct SplitRead<'f> {
    folio: ManuallyDrop<LockedFolio<'f, Inode>>,
    failed: Atomic<i32>,
}

impl SplitRead<'_> {
    /// The folio.
    pub(super) fn folio(&self) -> &Folio {
        &self.folio
    }

    /// A piece could not be read: the folio will not be uptodate.
    pub(super) fn fail(&self) {
        self.failed.store(1, Relaxed);
    }

    fn has_failed(&self) -> bool {
        self.failed.load(Relaxed) != 0
    }
}

impl Drop for SplitRead<'_> {
    fn drop(&mut self) {
        let success = !self.has_failed();
        // SAFETY: The value is going away; the folio is not used again.
        let folio = unsafe { ManuallyDrop::take(&mut self.folio) };
        folio.end_read(success);
    }
}

/// Issues the reads of a folio's pieces; dropping it says that there is no other. What of the folio
/// was no piece by then has nothing valid in it, and the folio will not be uptodate.
#[must_use = "without any piece the folio will not be uptodate"]
pub struct SplitReader<'f> {
    split: Arc<SplitRead<'f>>,
    covered: Covered,
}

impl<'f> SplitReader<'f> {
    /// Starts a split read of `folio`. With no memory the folio comes back: at once, if it can be
    /// read through buffers.
    pub fn new<I: InodeType>(folio: LockedFolio<'f, I>) -> Result<Self, LockedFolio<'f, I>> {
        // Memory first, so that there is no value to unwind.
        let place = UniqueArc::<SplitRead<'f>>::new_uninit(GFP_NOWAIT | __GFP_NOWARN);
        let Ok(place) = place.or_else(|error| match folio.may_have_buffers() {
            true => Err(error),
            // There is no other way.
            false => without_fs_reclaim(|| UniqueArc::new_uninit(GFP_KERNEL)),
        }) else {
            return Err(folio);
        };
        let split = SplitRead {
            folio: ManuallyDrop::new(folio.into_any()),
            failed: Atomic::new(0),
        };
        Ok(Self {
            split: place.write(split).into(),
            covered: Covered::default(),
        })
    }

    /// The folio.
    pub fn folio(&self) -> &Folio {
        self.split.folio()
    }

    /// A piece cannot be read: the folio will not be uptodate.
    pub fn fail(&self) {
        self.split.fail();
    }

    /// Whether a piece has failed so far.
    pub fn has_failed(&self) -> bool {
        self.split.has_failed()
    }

    /// Zeroes `range` of the folio, which no piece reads.
    pub fn zero(&mut self, range: ByteRange) {
        self.split.folio.zero(range);
        self.cover(range);
    }

    /// The first blocks of the folio in a range of it that are to be read, for nothing is known of
    /// them; those in front are valid, and no pieces any more. Positions are blocks.
    pub(crate) fn skip_valid(&mut self, range: Range<u32>) -> Option<Range<u32>> {
        let blocks = self.split.folio.blocks()?;
        let invalid = blocks.next_invalid(range.clone());
        let end = invalid.as_ref().map_or(range.end, |run| run.start);
        let valid = blocks.bytes(range.start..end);
        if valid.len != 0 {
            self.cover(valid);
        }
        invalid
    }

    /// Notes that the mapper has filled `range` of the folio.
    pub(crate) fn note_filled(&mut self, range: ByteRange, _: Filled) {
        self.cover(range);
    }

    /// Reads `range` of the folio from `sector` of `device` with a bio of its own, and returns
    /// whether there was memory for one, if need be after waiting: other pieces may be on their
    /// way, so there is no other way to read the folio. If there was none, or if there are no such
    /// sectors in the folio, it will not be uptodate.
    ///
    /// Who keeps a bio meanwhile that he has not submitted may be waiting for that one, for ever.
    pub fn read_piece(
        &mut self,
        device: &BlockDevice,
        sector: Sector,
        range: ByteRange,
        intent: ReadIntent,
    ) -> bool {
        let Some(piece) = ReadPiece::new(device, sector, intent, self.split.clone(), range) else {
            self.fail();
            return false;
        };
        piece.submit();
        self.cover(range);
        true
    }

    fn cover(&mut self, range: ByteRange) {
        if !self.covered.add(range) {
            self.fail();
        }
    }
}

impl Drop for SplitReader<'_> {
    fn drop(&mut self) {
        if !self.covered.is_all_of(self.folio().size()) {
            self.fail();
        }
    }
}

/// How many bytes of a folio, from its start on, are taken care of.
#[derive(Default)]
struct Covered(usize);

impl Covered {
    /// Adds a range. Whether it comes next, as it has to.
    fn add(&mut self, range: ByteRange) -> bool {
        let comes_next = range.start == self.0;
        if comes_next {
            self.0 = range.end();
        }
        comes_next
    }

    /// Whether that is all of `size` bytes, and no more.
    fn is_all_of(&self, size: usize) -> bool {
        self.0 == size
    }
}

#[kernel::macros::kunit_tests(rust_mpage_covered)]
mod tests {
    use super::{
        ByteRange,
        Covered, //
    };

    /// Whether these ranges, each a first byte and the one behind the last, are all of a folio.
    fn is_all(ranges: &[(usize, usize)]) -> bool {
        let mut covered = Covered::default();
        let in_order = ranges.iter().all(|&(start, end)| {
            covered.add(ByteRange {
                start,
                len: end - start,
            })
        });
        in_order && covered.is_all_of(4096)
    }

    #[test]
    fn in_order() {
        assert!(is_all(&[(0, 4096)]));
        assert!(is_all(&[(0, 1024), (1024, 3072), (3072, 4096)]));
    }

    #[test]
    fn too_little_or_too_much() {
        assert!(!is_all(&[]));
        assert!(!is_all(&[(0, 3072)]));
        assert!(!is_all(&[(0, 1024), (1024, 3072)]));
        assert!(!is_all(&[(0, 8192)]));
        assert!(!is_all(&[(0, 1024), (2048, 4096)]));
    }

    #[test]
    fn twice_or_out_of_order() {
        assert!(!is_all(&[(0, 2048), (0, 2048)]));
        assert!(!is_all(&[(0, 2048), (1024, 4096)]));
        assert!(!is_all(&[(1024, 4096), (0, 1024)]));
    }
}
