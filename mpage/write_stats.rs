// SPDX-License-Identifier: GPL-2.0

//! Counters of writing, for debugfs (`rust_mpage/write/`) and for tests.
//!
//! A call counts in a value of its own and adds that to the totals once, at its end.

use super::plan_write::Unfit;
use kernel::{
    debugfs,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

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
    bios: Atomic<i64>,
    bytes: Atomic<i64>,
    folios: Atomic<i64>,
    split_folios: Atomic<i64>,
    failed_folios: Atomic<i64>,
    redirtied_folios: Atomic<i64>,
    mapper_calls: Atomic<i64>,
    fallback_unmapped: Atomic<i64>,
    fallback_partial: Atomic<i64>,
    fallback_scattered: Atomic<i64>,
    fallback_busy: Atomic<i64>,
    fallback_no_memory: Atomic<i64>,
}

static WRITE: Totals = Totals {
    bios: Atomic::new(0),
    bytes: Atomic::new(0),
    folios: Atomic::new(0),
    split_folios: Atomic::new(0),
    failed_folios: Atomic::new(0),
    redirtied_folios: Atomic::new(0),
    mapper_calls: Atomic::new(0),
    fallback_unmapped: Atomic::new(0),
    fallback_partial: Atomic::new(0),
    fallback_scattered: Atomic::new(0),
    fallback_busy: Atomic::new(0),
    fallback_no_memory: Atomic::new(0),
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
        fn add(total: &Atomic<i64>, value: u64) {
            if value != 0 {
                total.fetch_add(value as i64, Relaxed);
            }
        }
        add(&WRITE.bios, self.bios.into());
        add(&WRITE.bytes, self.bytes);
        add(&WRITE.folios, self.folios.into());
        add(&WRITE.split_folios, self.split_folios.into());
        add(&WRITE.failed_folios, self.failed_folios.into());
        add(&WRITE.redirtied_folios, self.redirtied_folios.into());
        add(&WRITE.mapper_calls, self.mapper_calls.into());
        add(&WRITE.fallback_unmapped, self.fallback_unmapped.into());
        add(&WRITE.fallback_partial, self.fallback_partial.into());
        add(&WRITE.fallback_scattered, self.fallback_scattered.into());
        add(&WRITE.fallback_busy, self.fallback_busy.into());
        add(&WRITE.fallback_no_memory, self.fallback_no_memory.into());
    }
}

/// Shows the totals in a debugfs directory, a file each.
pub(super) fn publish(dir: &debugfs::ScopedDir<'static, '_>) {
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
