// SPDX-License-Identifier: GPL-2.0

//! Counters of reading, for debugfs (`rust_mpage/`) and for tests.
//!
//! A call counts in a value of its own and adds that to the totals of its processor once, at its
//! end.

use crate::abstractions::counts::Count;
use kernel::debugfs;

/// Why a folio was read through buffer_heads after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    /// It had buffers already.
    Buffers,
    /// The mapper had filled a part of it.
    Filled,
    /// There was no memory for a bio.
    NoMemory,
}

/// The totals since the module was loaded.
struct Totals {
    /// Bios submitted.
    bios: Count,
    /// Bytes in them.
    bytes: Count,
    /// Folios that were read by bios of the library, and those that were holes.
    folios: Count,
    /// Folios that were nothing but hole.
    hole_folios: Count,
    /// Folios that took several bios.
    split_folios: Count,
    /// Folios whose mapping failed.
    failed_folios: Count,
    /// Questions to mappers.
    mapper_calls: Count,
    /// [`Fallback::Buffers`].
    fallback_buffers: Count,
    /// [`Fallback::Filled`].
    fallback_filled: Count,
    /// [`Fallback::NoMemory`].
    fallback_no_memory: Count,
}

/// Counts 0 to 9; [`write::counters`](crate::mpage::write::counters) has the next.
static READ: Totals = Totals {
    bios: Count::number::<0>(),
    bytes: Count::number::<1>(),
    folios: Count::number::<2>(),
    hole_folios: Count::number::<3>(),
    split_folios: Count::number::<4>(),
    failed_folios: Count::number::<5>(),
    mapper_calls: Count::number::<6>(),
    fallback_buffers: Count::number::<7>(),
    fallback_filled: Count::number::<8>(),
    fallback_no_memory: Count::number::<9>(),
};

/// What one call has counted; added to [`READ`] when it is dropped.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) bios: u32,
    pub(super) bytes: u64,
    pub(super) folios: u32,
    pub(super) hole_folios: u32,
    pub(super) split_folios: u32,
    pub(super) failed_folios: u32,
    pub(super) mapper_calls: u32,
    fallback_buffers: u32,
    fallback_filled: u32,
    fallback_no_memory: u32,
}

impl Tally {
    /// Counts a folio that goes through buffer_heads.
    pub(super) fn fallback(&mut self, reason: Fallback) {
        match reason {
            Fallback::Buffers => self.fallback_buffers += 1,
            Fallback::Filled => self.fallback_filled += 1,
            Fallback::NoMemory => self.fallback_no_memory += 1,
        }
    }

    /// Counts a bio of `bytes` bytes.
    pub(super) fn bio(&mut self, bytes: u64) {
        self.bios += 1;
        self.bytes += bytes;
    }
}

impl Tally {
    /// Adds what most calls do not count.
    #[cold]
    fn add_rare(&self) {
        READ.hole_folios.add(self.hole_folios.into());
        READ.split_folios.add(self.split_folios.into());
        READ.failed_folios.add(self.failed_folios.into());
        READ.fallback_buffers.add(self.fallback_buffers.into());
        READ.fallback_filled.add(self.fallback_filled.into());
        READ.fallback_no_memory.add(self.fallback_no_memory.into());
    }
}

impl Drop for Tally {
    #[inline(always)]
    fn drop(&mut self) {
        READ.bios.add(self.bios.into());
        READ.bytes.add(self.bytes);
        READ.folios.add(self.folios.into());
        READ.mapper_calls.add(self.mapper_calls.into());
        let fallbacks = self.fallback_buffers | self.fallback_filled | self.fallback_no_memory;
        if fallbacks | self.hole_folios | self.split_folios | self.failed_folios != 0 {
            self.add_rare();
        }
    }
}

/// Shows the totals in a debugfs directory, a file each.
pub(in crate::mpage) fn publish(dir: &debugfs::ScopedDir<'static, '_>) {
    dir.read_only_file(c"bios", &READ.bios);
    dir.read_only_file(c"bytes", &READ.bytes);
    dir.read_only_file(c"folios", &READ.folios);
    dir.read_only_file(c"hole_folios", &READ.hole_folios);
    dir.read_only_file(c"split_folios", &READ.split_folios);
    dir.read_only_file(c"failed_folios", &READ.failed_folios);
    dir.read_only_file(c"mapper_calls", &READ.mapper_calls);
    dir.read_only_file(c"fallback_buffers", &READ.fallback_buffers);
    dir.read_only_file(c"fallback_filled", &READ.fallback_filled);
    dir.read_only_file(c"fallback_no_memory", &READ.fallback_no_memory);
}
