// SPDX-License-Identifier: GPL-2.0

//! Counters of writing, for debugfs (`rust_mpage/write/`) and for tests.
//!
//! A call counts in a value of its own and adds that to the totals of its processor once, at its
//! end.

use super::plan::Unfit;
use crate::abstractions::counts::Count;
use kernel::debugfs;

/// Why a folio was written through buffer_heads after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// Its buffers cannot go into a bio as they are.
    Unfit(Unfit),
    /// There was no memory for a bio, or for the shares of several.
    NoMemory,
}

/// The totals since the module was loaded.
struct Totals {
    bios: Count,
    bytes: Count,
    folios: Count,
    split_folios: Count,
    failed_folios: Count,
    redirtied_folios: Count,
    mapper_calls: Count,
    fallback_unmapped: Count,
    fallback_partial: Count,
    fallback_scattered: Count,
    fallback_busy: Count,
    fallback_no_memory: Count,
}

/// Counts 10 to 21; [`read::counters`](crate::mpage::read::counters) has those before.
static WRITE: Totals = Totals {
    bios: Count::number::<10>(),
    bytes: Count::number::<11>(),
    folios: Count::number::<12>(),
    split_folios: Count::number::<13>(),
    failed_folios: Count::number::<14>(),
    redirtied_folios: Count::number::<15>(),
    mapper_calls: Count::number::<16>(),
    fallback_unmapped: Count::number::<17>(),
    fallback_partial: Count::number::<18>(),
    fallback_scattered: Count::number::<19>(),
    fallback_busy: Count::number::<20>(),
    fallback_no_memory: Count::number::<21>(),
};

/// What one call has counted; added to the totals when it is dropped.
#[derive(Default)]
pub(super) struct Tally {
    /// Bios submitted by the library.
    bios: u32,
    /// Bytes in them.
    bytes: u64,
    /// Folios that they write.
    pub(super) folios: u32,
    /// Folios among them that took several bios.
    pub(super) split_folios: u32,
    /// Folios whose mapping failed.
    pub(super) failed_folios: u32,
    /// Folios among them that stay dirty.
    pub(super) redirtied_folios: u32,
    /// Questions to mappers; those of the kernel's buffer functions are not counted.
    pub(super) mapper_calls: u32,
    fallback_unmapped: u32,
    fallback_partial: u32,
    fallback_scattered: u32,
    fallback_busy: u32,
    fallback_no_memory: u32,
}

impl Tally {
    /// Counts a folio that goes through buffer_heads.
    pub(super) fn fallback(&mut self, reason: Fallback) {
        *match reason {
            Fallback::Unfit(Unfit::Unmapped) => &mut self.fallback_unmapped,
            Fallback::Unfit(Unfit::Partial) => &mut self.fallback_partial,
            Fallback::Unfit(Unfit::Scattered) => &mut self.fallback_scattered,
            Fallback::Unfit(Unfit::Busy) => &mut self.fallback_busy,
            Fallback::NoMemory => &mut self.fallback_no_memory,
        } += 1;
    }

    /// Counts a bio of `bytes` bytes.
    pub(super) fn bio(&mut self, bytes: u64) {
        self.bios += 1;
        self.bytes += bytes;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        WRITE.bios.add(self.bios.into());
        WRITE.bytes.add(self.bytes);
        WRITE.folios.add(self.folios.into());
        WRITE.split_folios.add(self.split_folios.into());
        WRITE.failed_folios.add(self.failed_folios.into());
        WRITE.redirtied_folios.add(self.redirtied_folios.into());
        WRITE.mapper_calls.add(self.mapper_calls.into());
        WRITE.fallback_unmapped.add(self.fallback_unmapped.into());
        WRITE.fallback_partial.add(self.fallback_partial.into());
        WRITE.fallback_scattered.add(self.fallback_scattered.into());
        WRITE.fallback_busy.add(self.fallback_busy.into());
        WRITE.fallback_no_memory.add(self.fallback_no_memory.into());
    }
}

/// Shows the totals in a debugfs directory, a file each.
pub(in crate::mpage) fn publish(dir: &debugfs::ScopedDir<'static, '_>) {
    dir.read_only_file(c"bios", &WRITE.bios);
    dir.read_only_file(c"bytes", &WRITE.bytes);
    dir.read_only_file(c"folios", &WRITE.folios);
    dir.read_only_file(c"split_folios", &WRITE.split_folios);
    dir.read_only_file(c"failed_folios", &WRITE.failed_folios);
    dir.read_only_file(c"redirtied_folios", &WRITE.redirtied_folios);
    dir.read_only_file(c"mapper_calls", &WRITE.mapper_calls);
    dir.read_only_file(c"fallback_unmapped", &WRITE.fallback_unmapped);
    dir.read_only_file(c"fallback_partial", &WRITE.fallback_partial);
    dir.read_only_file(c"fallback_scattered", &WRITE.fallback_scattered);
    dir.read_only_file(c"fallback_busy", &WRITE.fallback_busy);
    dir.read_only_file(c"fallback_no_memory", &WRITE.fallback_no_memory);
}
