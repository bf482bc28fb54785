// SPDX-License-Identifier: GPL-2.0

//! A test case: a file, its disks, how it is read, and what was seen.

use crate::{
    pattern::{
        Contents,
        SECTOR_SIZE, //
    },
    support::{
        on_shared_bench,
        Bench,
        Bio,
        BufferState,
        Completion,
        Faults,
        File,
        FileArgs,
        FolioState,
        SECTORS, //
    },
    table::{
        contents,
        Call,
        Extent,
        Table, //
    },
    Engine, //
};
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};

/// What the uptodate buffers of [`How::ReadWithBuffers`] hold.
const NEWER: u8 = 0xb7;

/// How a file is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// Readahead over the whole file.
    Readahead,
    /// Readahead over so many pages.
    ReadaheadPages(u64),
    /// Readahead in folios of these orders.
    ReadaheadOrders(&'static [u8]),
    /// The same, and then page by page, as by readers that need them.
    ReadaheadThenRead(&'static [u8]),
    /// The same, when buffers of the mask have become uptodate and dirty in between.
    ReadaheadDirtyThenRead(&'static [u8], u64),
    /// Readahead in folios of these orders, with the nth allocation failing.
    ReadaheadFailing(&'static [u8], u32),
    /// Folio by folio, as by readers that need them.
    Read,
    /// One call of `read_folio` with the nth allocation failing.
    ReadFailing(u32),
    /// As [`Self::Read`], when the first folio has buffers and those of the mask are uptodate.
    ReadWithBuffers(u64),
}

/// A file and its disks.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    block_bits: u32,
    extents: &'a [Extent],
    size: u64,
    order: u32,
    sectors: u64,
    faults: Faults,
    completion: Completion,
    fail_call: Option<(usize, Error)>,
    hold_back_memory: bool,
}

impl<'a> Case<'a> {
    /// A file of these extents, which ends where they end, in blocks of `1 << block_bits` bytes and
    /// single-page folios, on disks of 1 GiB.
    pub(crate) fn new(block_bits: u32, extents: &'a [Extent]) -> Self {
        let blocks: u64 = extents.iter().map(|extent| extent.len).sum();
        Self {
            block_bits,
            extents,
            size: blocks << block_bits,
            order: 0,
            sectors: SECTORS,
            faults: Faults::default(),
            completion: Completion::AtOnce,
            fail_call: None,
            hold_back_memory: false,
        }
    }

    /// A file of `size` bytes.
    pub(crate) fn size(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// Folios of `order`.
    pub(crate) fn order(self, order: u32) -> Self {
        Self { order, ..self }
    }

    /// A main disk of so many sectors.
    pub(crate) fn sectors(self, sectors: u64) -> Self {
        Self { sectors, ..self }
    }

    /// `count` sectors of the main disk from `first` on cannot be read.
    pub(crate) fn bad_sectors(self, first: u64, count: u64) -> Self {
        let faults = Faults {
            sector: first,
            sectors: count,
            nth: 0,
        };
        Self { faults, ..self }
    }

    /// The nth bio to the main disk fails, from 1.
    pub(crate) fn fail_bio(self, nth: u32) -> Self {
        let faults = Faults {
            nth,
            ..Faults::default()
        };
        Self { faults, ..self }
    }

    /// When bios end.
    pub(crate) fn completion(self, completion: Completion) -> Self {
        Self { completion, ..self }
    }

    /// The nth question to the mapper fails, from 1.
    pub(crate) fn fail_call(self, nth: usize, error: Error) -> Self {
        Self {
            fail_call: Some((nth, error)),
            ..self
        }
    }

    /// Allocations for the mapping may fail.
    pub(crate) fn hold_back_memory(self) -> Self {
        Self {
            hold_back_memory: true,
            ..self
        }
    }

    fn pages(&self) -> u64 {
        self.size.div_ceil(PAGE_SIZE as u64)
    }

    /// Reads the file.
    pub(crate) fn run(&self, engine: Engine, how: How) -> Result<Seen> {
        on_shared_bench(|bench| self.run_on(bench, engine, how))
    }

    /// Has each engine read the file, on the same disks.
    pub(crate) fn run_each(&self, engines: &[Engine], how: How) -> Result<KVec<Seen>> {
        on_shared_bench(|bench| {
            let mut seen = KVec::new();
            for engine in engines {
                seen.push(self.run_on(bench, *engine, how)?, GFP_KERNEL)?;
            }
            Ok(seen)
        })
    }

    /// Has the oracle read the file, and both faces of the library.
    pub(crate) fn compare(&self, how: How) -> Result<(Seen, KVec<Seen>)> {
        let mut seen = self.run_each(&[Engine::Kernel, Engine::Rust, Engine::CInterface], how)?;
        let kernel = seen.remove(0).map_err(|_| EINVAL)?;
        Ok((kernel, seen))
    }

    /// Reads the file on disks that several cases share.
    pub(crate) fn run_on(&self, bench: &Bench, engine: Engine, how: How) -> Result<Seen> {
        let table = Table::new(self.extents, self.fail_call)?;
        let args = FileArgs {
            engine,
            size: self.size,
            block_bits: self.block_bits,
            order: self.order,
        };
        let file = File::new(bench, &args, table)?;
        bench.prepare(self.sectors, &self.faults, self.completion);
        if self.hold_back_memory {
            file.hold_back_memory();
        }
        let mut seen = Seen {
            engine,
            pages: self.pages(),
            ..Seen::default()
        };
        self.read(&file, how, &mut seen.results)?;
        seen.folios = self.folios(&file, how)?;
        seen.bios = bench.bios()?;
        seen.calls = file.table().calls()?;
        seen.most_waiting = bench.most_waiting();
        Ok(seen)
    }

    fn read(&self, file: &File<'_>, how: How, results: &mut KVec<Result>) -> Result {
        match how {
            How::Readahead => file.readahead(0, self.pages()),
            How::ReadaheadPages(pages) => file.readahead(0, pages),
            How::ReadaheadOrders(orders) => file.readahead_orders(orders, 0)?,
            How::ReadaheadFailing(orders, nth) => file.readahead_orders(orders, nth)?,
            How::ReadaheadThenRead(orders) => {
                file.readahead_orders(orders, 0)?;
                self.read_each(file, results)?;
            }
            How::ReadaheadDirtyThenRead(orders, dirty) => {
                file.readahead_orders(orders, 0)?;
                file.add_buffers(0, dirty, NEWER, BufferState::Dirty)?;
                self.read_each(file, results)?;
            }
            How::ReadFailing(nth) => results.push(file.read_failing(0, nth), GFP_KERNEL)?,
            How::Read => self.read_each(file, results)?,
            How::ReadWithBuffers(uptodate) => {
                file.add_buffers(0, uptodate, NEWER, BufferState::Clean)?;
                self.read_each(file, results)?;
            }
        }
        Ok(())
    }

    /// Reads folios of the mapping's order, one after the other.
    fn read_each(&self, file: &File<'_>, results: &mut KVec<Result>) -> Result {
        for page in (0..self.pages()).step_by(1 << self.order) {
            results.push(file.read(page), GFP_KERNEL)?;
        }
        Ok(())
    }

    /// The folios of the file, with their contents compared.
    fn folios(&self, file: &File<'_>, how: How) -> Result<KVec<Folio>> {
        let mut folios = KVec::new();
        let mut bytes = KBox::new([0; PAGE_SIZE], GFP_KERNEL)?;
        let mut page = 0;
        while page < self.pages() {
            let Some(state) = file.folio(page) else {
                page += 1;
                continue;
            };
            let mut wrong = 0;
            for page in state.index..state.index + (1 << state.order) {
                file.copy_page(page, &mut bytes)?;
                let (sectors, _) = bytes.as_chunks::<SECTOR_SIZE>();
                let first = page * (PAGE_SIZE / SECTOR_SIZE) as u64;
                for (sector, bytes) in (first..).zip(sectors) {
                    let right = self.contents(sector, how).is_some_and(|it| it.is(bytes));
                    wrong += u32::from(!right);
                }
            }
            page = state.index + (1 << state.order);
            folios.push(Folio { state, wrong }, GFP_KERNEL)?;
        }
        Ok(folios)
    }

    /// What a sector of the file should hold: as the table says, but for buffers that are newer,
    /// what is behind the end of the file, and what is behind the end of the disk.
    fn contents(&self, sector: u64, how: How) -> Option<Contents> {
        let block = sector >> (self.block_bits - 9);
        if let How::ReadWithBuffers(uptodate) | How::ReadaheadDirtyThenRead(_, uptodate) = how {
            let mask = u32::try_from(block)
                .ok()
                .and_then(|bit| 1u64.checked_shl(bit));
            if uptodate & mask.unwrap_or(0) != 0 {
                return Some(Contents::Byte(NEWER));
            }
        }
        if block << self.block_bits >= self.size {
            return Some(Contents::Zero);
        }
        match contents(self.extents, self.block_bits, sector)? {
            Contents::Disk { sector, .. } if sector >= self.sectors => Some(Contents::Zero),
            contents => Some(contents),
        }
    }
}

/// A folio after it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folio {
    /// Its state.
    pub(crate) state: FolioState,
    /// Sectors that do not hold what they should.
    pub(crate) wrong: u32,
}

impl Folio {
    /// It was read, and right.
    pub(crate) fn is_right(&self) -> bool {
        self.state.uptodate && !self.state.locked && self.wrong == 0
    }

    /// It was not read, but anybody may try again.
    pub(crate) fn is_failed(&self) -> bool {
        !self.state.uptodate && !self.state.locked
    }
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// What read it.
    pub(crate) engine: Engine,
    pages: u64,
    /// What readers got, folio by folio.
    pub(crate) results: KVec<Result>,
    /// Bios that reached the disks, in order.
    pub(crate) bios: KVec<Bio>,
    /// Questions to the mapper, in order.
    pub(crate) calls: KVec<Call>,
    /// Folios in the cache, in file order.
    pub(crate) folios: KVec<Folio>,
    /// Bios that were on their way at one time.
    pub(crate) most_waiting: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            engine: Engine::Kernel,
            pages: 0,
            results: KVec::new(),
            bios: KVec::new(),
            calls: KVec::new(),
            folios: KVec::new(),
            most_waiting: 0,
        }
    }
}

impl Seen {
    /// Shows what was seen if that is not what was expected.
    fn expect(&self, what: &str, right: bool) -> bool {
        if !right {
            pr_info!("{:?}: {what}\n", self.engine);
            for folio in &self.folios {
                pr_info!("  {folio:?}\n");
            }
            for bio in &self.bios {
                let Bio {
                    sector,
                    bytes,
                    opf,
                    segments,
                    disk,
                    ..
                } = bio;
                pr_info!("  bio {disk}:{sector} bytes {bytes} opf {opf:#x} segments {segments}\n");
            }
            for call in &self.calls {
                pr_info!("  {call:?}\n");
            }
            pr_info!("  results {:?}\n", self.results);
        }
        right
    }

    /// Whether every page of the file is in the cache, read and right.
    pub(crate) fn all_right(&self) -> bool {
        let cached: u64 = self.folios.iter().map(|folio| 1 << folio.state.order).sum();
        let right = self.folios.iter().all(Folio::is_right) && cached >= self.pages;
        self.expect("not all was read", right)
    }

    /// Whether each folio that is in the cache is either right or failed, and which failed.
    pub(crate) fn failed(&self, expected: &[u64]) -> bool {
        let failed = || self.folios.iter().filter(|folio| folio.is_failed());
        let indices = failed().map(|folio| folio.state.index);
        let ended = self.folios.iter().all(|it| it.is_right() || it.is_failed());
        let right = ended && indices.eq(expected.iter().copied());
        self.expect("the wrong folios failed", right)
    }

    /// Whether these, and no others, are the bios: first sector and bytes.
    pub(crate) fn bios_are(&self, expected: &[(u64, u32)]) -> bool {
        let bios = self.bios.iter().map(|bio| (bio.sector, bio.bytes));
        self.expect("wrong bios", bios.eq(expected.iter().copied()))
    }

    /// Whether the bios are those of another run: disks, sectors, sizes, flags and order.
    pub(crate) fn bios_as(&self, other: &Self) -> bool {
        let plain = |bio: &Bio| (bio.disk, bio.sector, bio.bytes, bio.opf);
        let right = self.bios.iter().map(plain).eq(other.bios.iter().map(plain));
        self.expect("other bios than", right) || other.expect("these", false)
    }

    /// Whether these, and no others, were the questions: first block and blocks.
    pub(crate) fn calls_are(&self, expected: &[(u64, u64)]) -> bool {
        let calls = self.calls.iter().map(|call| (call.at, call.max));
        self.expect("wrong questions", calls.eq(expected.iter().copied()))
    }

    /// Whether the questions are those of another run.
    pub(crate) fn calls_as(&self, other: &Self) -> bool {
        let right = self.calls.iter().eq(other.calls.iter());
        self.expect("other questions than", right) || other.expect("these", false)
    }

    /// Whether all bios have the flag of readahead, or none.
    pub(crate) fn bios_flagged_ahead(&self, flagged: bool) -> bool {
        let flag = 1 << bindings::req_flag_bits___REQ_RAHEAD;
        let right = self.bios.iter().all(|bio| (bio.opf & flag != 0) == flagged);
        self.expect("wrong flags", right)
    }

    /// Whether any folio has buffers.
    pub(crate) fn has_buffers(&self) -> bool {
        self.folios.iter().any(|folio| folio.state.buffers)
    }

    /// Whether exactly these folios are marked mapped-to-disk.
    pub(crate) fn mapped_to_disk(&self, expected: &[u64]) -> bool {
        let mapped = self
            .folios
            .iter()
            .filter(|folio| folio.state.mapped_to_disk);
        let indices = mapped.map(|folio| folio.state.index);
        self.expect("wrong folios mapped", indices.eq(expected.iter().copied()))
    }
}
