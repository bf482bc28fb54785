// SPDX-License-Identifier: GPL-2.0

//! A test case: a file, its disks, how it is read, and what was seen.

use crate::{
    pattern::{
        Contents,
        SECTOR_SIZE, //
    },
    scale::Scale,
    seen::Seen,
    setup::{
        self,
        OnDisks,
        Setup, //
    },
    support::{
        on_shared_bench,
        Bench,
        Bio,
        BufferState,
        File,
        FolioState, //
    },
    table::{
        contents,
        Call,
        Extent, //
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
    setup: Setup<'a>,
    order: u32,
    hold_back_memory: bool,
}

impl<'a> OnDisks<'a> for Case<'a> {
    fn setup(&mut self) -> &mut Setup<'a> {
        &mut self.setup
    }
}

impl<'a> Case<'a> {
    /// A file of these extents, which ends where they end, in blocks of `1 << block_bits` bytes and
    /// single-page folios, on disks of 1 GiB.
    pub(crate) fn new(block_bits: u32, extents: &'a [Extent]) -> Self {
        Self::of_scale(block_bits, extents, Scale::PAGES)
    }

    /// The same, as much larger as `scale` says.
    pub(crate) fn of_scale(block_bits: u32, extents: &'a [Extent], scale: Scale) -> Self {
        Self {
            setup: Setup::new(block_bits, extents, scale),
            order: 0,
            hold_back_memory: false,
        }
    }

    /// Folios of `order`.
    pub(crate) fn order(self, order: u32) -> Self {
        Self { order, ..self }
    }

    /// Allocations for the mapping may fail.
    pub(crate) fn hold_back_memory(self) -> Self {
        Self {
            hold_back_memory: true,
            ..self
        }
    }

    fn pages(&self) -> u64 {
        self.setup.size.div_ceil(PAGE_SIZE as u64)
    }

    /// Reads the file.
    pub(crate) fn run(&self, engine: Engine, how: How) -> Result<SeenRead> {
        on_shared_bench(|bench| self.run_on(bench, engine, how))
    }

    /// Has each engine read the file, on the same disks.
    pub(crate) fn run_each(&self, engines: &[Engine], how: How) -> Result<KVec<SeenRead>> {
        setup::each(engines, |bench, engine| self.run_on(bench, engine, how))
    }

    /// Has the oracle read the file, and both faces of the library.
    pub(crate) fn compare(&self, how: How) -> Result<(SeenRead, KVec<SeenRead>)> {
        setup::compare(|bench, engine| self.run_on(bench, engine, how))
    }

    /// Whether both faces of the library read everything, in these bios, and the oracle has the
    /// same.
    pub(crate) fn reads_as_c(&self, how: How, bios: &[(u64, u32)]) -> Result<bool> {
        let (kernel, ours) = self.compare(how)?;
        Ok(ours
            .iter()
            .all(|seen| seen.all_right() && seen.bios_are(bios) && seen.bios_as(&kernel)))
    }

    /// Whether the folio of `page` alone fails, with `EIO`, in both faces of the library: read
    /// ahead, and for readers that need the folios.
    pub(crate) fn fails_alone(&self, page: u64) -> Result<bool> {
        for seen in self.run_each(&Engine::OURS, How::Read)? {
            let expected = (0..self.pages()).map(|at| if at == page { Err(EIO) } else { Ok(()) });
            let right = seen.results.iter().copied().eq(expected);
            if !seen.expect("wrong results", right) || !seen.failed(&[page]) {
                return Ok(false);
            }
        }
        let ahead = self.run_each(&Engine::OURS, How::Readahead)?;
        Ok(ahead.iter().all(|seen| seen.failed(&[page])))
    }

    /// Reads the file on disks that several cases share.
    pub(crate) fn run_on(&self, bench: &Bench, engine: Engine, how: How) -> Result<SeenRead> {
        let file = self.setup.file(bench, engine, self.order)?;
        self.setup.prepare(bench);
        if self.hold_back_memory {
            file.hold_back_memory();
        }
        let mut seen = SeenRead {
            engine,
            pages: self.pages(),
            ..SeenRead::default()
        };
        self.read(&file, how, &mut seen.results)?;
        seen.folios = self.folios(&file, how)?;
        seen.bios = self.setup.bios(bench)?;
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
        let mut bytes = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
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
            let wrong = self.setup.scale.down_u32(wrong);
            page = state.index + (1 << state.order);
            folios.push(Folio { state, wrong }, GFP_KERNEL)?;
        }
        Ok(folios)
    }

    /// What a sector of the file should hold: as the table says, but for buffers that are newer,
    /// what is behind the end of the file, and what is behind the end of the disk.
    fn contents(&self, sector: u64, how: How) -> Option<Contents> {
        let block = sector >> (self.setup.block_bits - 9);
        if let How::ReadWithBuffers(uptodate) | How::ReadaheadDirtyThenRead(_, uptodate) = how {
            let mask = u32::try_from(block)
                .ok()
                .and_then(|bit| 1u64.checked_shl(bit));
            if uptodate & mask.unwrap_or(0) != 0 {
                return Some(Contents::Byte(NEWER));
            }
        }
        if block << self.setup.block_bits >= self.setup.size {
            return Some(Contents::Zero);
        }
        match contents(self.setup.extents, self.setup.block_bits, sector)? {
            Contents::Disk { sector, .. } if sector >= self.setup.sectors => Some(Contents::Zero),
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
pub(crate) struct SeenRead {
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

impl Default for SeenRead {
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

impl Seen for SeenRead {
    const FLAGS_ASIDE: u32 = 0;

    fn bios(&self) -> &[Bio] {
        &self.bios
    }

    fn calls(&self) -> &[Call] {
        &self.calls
    }

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
}

impl SeenRead {
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
