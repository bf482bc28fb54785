// SPDX-License-Identifier: GPL-2.0

//! Counters: what the library did, for debugfs (`rust_mpage/`) and for tests.
//!
//! A call counts in a value of its own and adds that to the totals once, at its end.

use super::write_stats;
use kernel::{
    debugfs,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Why a folio was read through buffer_heads after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// It had buffers already.
    Buffers,
    /// The mapper had filled a part of it.
    Filled,
    /// There was no memory for a bio.
    NoMemory,
}

/// The totals since the module was loaded.
pub(crate) struct Totals {
    /// Bios submitted.
    pub(crate) bios: Atomic<i64>,
    /// Bytes in them.
    pub(crate) bytes: Atomic<i64>,
    /// Folios that were read by bios of the library, and those that were holes.
    pub(crate) folios: Atomic<i64>,
    /// Folios that were nothing but hole.
    pub(crate) hole_folios: Atomic<i64>,
    /// Folios that took several bios.
    pub(crate) split_folios: Atomic<i64>,
    /// Folios whose mapping failed.
    pub(crate) failed_folios: Atomic<i64>,
    /// Questions to mappers.
    pub(crate) mapper_calls: Atomic<i64>,
    /// [`Fallback::Buffers`].
    pub(crate) fallback_buffers: Atomic<i64>,
    /// [`Fallback::Filled`].
    pub(crate) fallback_filled: Atomic<i64>,
    /// [`Fallback::NoMemory`].
    pub(crate) fallback_no_memory: Atomic<i64>,
}

pub(crate) static READ: Totals = Totals {
    bios: Atomic::new(0),
    bytes: Atomic::new(0),
    folios: Atomic::new(0),
    hole_folios: Atomic::new(0),
    split_folios: Atomic::new(0),
    failed_folios: Atomic::new(0),
    mapper_calls: Atomic::new(0),
    fallback_buffers: Atomic::new(0),
    fallback_filled: Atomic::new(0),
    fallback_no_memory: Atomic::new(0),
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

fn add(total: &Atomic<i64>, value: u64) {
    if value != 0 {
        total.fetch_add(value as i64, Relaxed);
    }
}

impl Tally {
    /// Adds what most calls do not count.
    #[cold]
    fn add_rare(&self) {
        add(&READ.hole_folios, self.hole_folios.into());
        add(&READ.split_folios, self.split_folios.into());
        add(&READ.failed_folios, self.failed_folios.into());
        add(&READ.fallback_buffers, self.fallback_buffers.into());
        add(&READ.fallback_filled, self.fallback_filled.into());
        add(&READ.fallback_no_memory, self.fallback_no_memory.into());
    }
}

impl Drop for Tally {
    #[inline(always)]
    fn drop(&mut self) {
        READ.bios.fetch_add(self.bios.into(), Relaxed);
        READ.bytes.fetch_add(self.bytes as i64, Relaxed);
        READ.folios.fetch_add(self.folios.into(), Relaxed);
        READ.mapper_calls
            .fetch_add(self.mapper_calls.into(), Relaxed);
        let fallbacks = self.fallback_buffers | self.fallback_filled | self.fallback_no_memory;
        if fallbacks | self.hole_folios | self.split_folios | self.failed_folios != 0 {
            self.add_rare();
        }
    }
}

/// Shows the totals in a debugfs directory of that name, a file each, while the value lives.
pub(crate) fn publish(name: &CStr) -> impl PinInit<debugfs::Scope<()>> + '_ {
    debugfs::Scope::dir((), name, |(), dir| {
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
        write_stats::publish(&dir.dir(c"write"));
    })
}
