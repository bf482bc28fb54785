// SPDX-License-Identifier: GPL-2.0

//! A test case of writing: a file with dirty folios, what is asked for, and what was seen.

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
        Bench,
        Bio,
        BufferArgs,
        DirtyState,
        File,
        Request,
        Written,
        OPEN, //
    },
    table::{
        contents,
        extent_at,
        Call,
        Extent,
        What,
        MAIN,
        OTHER, //
    },
    Engine, //
};
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};

/// What stores to a mapped page may leave behind the end of the file.
const JUNK: Contents = Contents::Byte(0x5a);

/// The state of a buffer. Its block, if it is mapped, is the one in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    /// Mapped, dirty, uptodate.
    Good,
    /// The same, and the last in front of metadata.
    Edge,
    /// Mapped and uptodate.
    Clean,
    /// Mapped, not read yet.
    Unread,
    /// Neither mapped nor dirty.
    Hole,
    /// Dirty and uptodate, without a block: stores to a mapped page of a hole.
    Stored,
}

impl Buffer {
    fn args(self, extents: &[Extent], block: u64) -> BufferArgs {
        let place = match extent_at(extents, block).what {
            What::Run(at) | What::Boundary(at) | What::Fresh(at) => Some((MAIN, at)),
            What::Other(at) => Some((OTHER, at)),
            _ => None,
        };
        BufferArgs {
            block: place.filter(|_| !matches!(self, Self::Hole | Self::Stored)),
            dirty: matches!(self, Self::Good | Self::Edge | Self::Stored),
            uptodate: !matches!(self, Self::Unread),
            boundary: self == Self::Edge,
        }
    }
}

/// A request for everything, by somebody who waits.
pub(crate) const SYNC: Request = Request {
    range_start: 0,
    range_end: i64::MAX as u64,
    nr_to_write: isize::MAX,
    sync: true,
    background: false,
    cyclic: false,
    leave: false,
    hook_every: 0,
    filesystem: OPEN,
    fail_nth: 0,
};

/// A request for everything that nobody waits for.
pub(crate) const FLUSH: Request = Request {
    sync: false,
    ..SYNC
};

/// A file with dirty folios, and its disks.
#[derive(Clone, Copy)]
pub(crate) struct WriteCase<'a> {
    setup: Setup<'a>,
    orders: &'a [u8],
    buffers: &'a [(u64, &'a [Buffer])],
    clean: &'a [u64],
    stale: &'a [u64],
    device_blocks: &'a [(u64, u8)],
    requests: &'a [Request],
    hint: u32,
    pages: Option<u64>,
    dirty_again: &'a [u64],
}

impl<'a> OnDisks<'a> for WriteCase<'a> {
    fn setup(&mut self) -> &mut Setup<'a> {
        &mut self.setup
    }
}

impl<'a> WriteCase<'a> {
    /// A file of these extents, which ends where they end, in blocks of `1 << block_bits` bytes,
    /// with single-page folios that are all dirty and have no buffers.
    pub(crate) fn new(block_bits: u32, extents: &'a [Extent]) -> Self {
        Self::of_scale(block_bits, extents, Scale::PAGES)
    }

    /// The same, as much larger as `scale` says.
    pub(crate) fn of_scale(block_bits: u32, extents: &'a [Extent], scale: Scale) -> Self {
        Self {
            setup: Setup::new(block_bits, extents, scale),
            orders: &[],
            buffers: &[],
            clean: &[],
            stale: &[],
            device_blocks: &[],
            requests: &[SYNC],
            hint: 0,
            pages: None,
            dirty_again: &[],
        }
    }

    /// Folios of these orders, and single-page ones behind them.
    pub(crate) fn orders(self, orders: &'a [u8]) -> Self {
        Self { orders, ..self }
    }

    /// The folios of these pages have buffers.
    pub(crate) fn buffers(self, buffers: &'a [(u64, &'a [Buffer])]) -> Self {
        Self { buffers, ..self }
    }

    /// The case as it is, whose folios have no buffers, and the same with these.
    pub(crate) fn without_and_with(self, buffers: &'a [(u64, &'a [Buffer])]) -> [Self; 2] {
        [self, self.buffers(buffers)]
    }

    /// The folios of these pages are not dirty.
    pub(crate) fn clean(self, clean: &'a [u64]) -> Self {
        Self { clean, ..self }
    }

    /// The folios of these pages are dirty, but not uptodate.
    pub(crate) fn stale(self, stale: &'a [u64]) -> Self {
        Self { stale, ..self }
    }

    /// These blocks are dirty in the device's own cache, full of a byte or, with 0, the pattern.
    pub(crate) fn device_blocks(self, device_blocks: &'a [(u64, u8)]) -> Self {
        Self {
            device_blocks,
            ..self
        }
    }

    /// What is asked for, one after the other.
    pub(crate) fn requests(self, requests: &'a [Request]) -> Self {
        Self { requests, ..self }
    }

    /// How long the data will live.
    pub(crate) fn hint(self, hint: u32) -> Self {
        Self { hint, ..self }
    }

    /// The cache has so many pages of the file, whatever its size.
    pub(crate) fn pages(self, pages: u64) -> Self {
        Self {
            pages: Some(pages),
            ..self
        }
    }

    /// The folios of these pages are made dirty again after each request but the last.
    pub(crate) fn dirty_again(self, dirty_again: &'a [u64]) -> Self {
        Self {
            dirty_again,
            ..self
        }
    }

    fn cached_pages(&self) -> u64 {
        let of_file = self.setup.size.div_ceil(PAGE_SIZE as u64);
        self.pages.unwrap_or(of_file)
    }

    /// Has each engine write the file, on the same disks; and, if no folio has buffers, the crate
    /// once more if it is among them, of a file whose folios never have any.
    pub(crate) fn run_each(&self, engines: &[Engine]) -> Result<KVec<SeenWritten>> {
        let mut all = KVec::new();
        all.extend_from_slice(engines, GFP_KERNEL)?;
        if self.buffers.is_empty() && engines.contains(&Engine::Rust) {
            all.push(Engine::Unbuffered, GFP_KERNEL)?;
        }
        setup::each(&all, |bench, engine| self.run_on(bench, engine))
    }

    /// Has the oracle write the file, and what [`Self::run_each`] has.
    pub(crate) fn compare(&self) -> Result<(SeenWritten, KVec<SeenWritten>)> {
        let mut seen = self.run_each(&[Engine::Kernel, Engine::Rust, Engine::CInterface])?;
        let kernel = seen.remove(0).map_err(|_| EINVAL)?;
        Ok((kernel, seen))
    }

    /// Whether both faces of the library write everything, in these bios, and the oracle has the
    /// same.
    pub(crate) fn writes_as_c(&self, bios: &[(u64, u32)]) -> Result<bool> {
        let (kernel, ours) = self.compare()?;
        Ok(ours
            .iter()
            .all(|seen| seen.all_written() && seen.bios_are(bios) && seen.bios_as(&kernel)))
    }

    /// Writes the file on disks that several cases share.
    pub(crate) fn run_on(&self, bench: &Bench, engine: Engine) -> Result<SeenWritten> {
        let file = self.setup.file(bench, engine, 0)?;
        file.set_write_hint(self.hint);
        self.setup.prepare(bench);
        for (block, byte) in self.device_blocks {
            bench.dirty_block(*block, self.setup.block_bits, *byte)?;
        }
        let folios = self.fill(&file)?;
        let mut seen = SeenWritten {
            engine: Some(engine),
            scale: self.setup.scale,
            ..SeenWritten::default()
        };
        for (number, request) in (1..).zip(self.requests) {
            let written = file.writepages(&self.setup.scale.request(request));
            let written = self.setup.scale.written(written);
            seen.written.push(written, GFP_KERNEL)?;
            if number < self.requests.len() {
                for page in self.dirty_again {
                    file.set_dirty(*page)?;
                }
            }
        }
        seen.unplugs = bench.unplugs();
        if !self.device_blocks.is_empty() {
            bench.sync()?;
        }
        for page in folios {
            if let Some(state) = file.dirty_state(page) {
                seen.folios.push((page, state), GFP_KERNEL)?;
            }
        }
        seen.bios = self.setup.bios(bench)?;
        seen.calls = file.table().calls()?;
        Ok(seen)
    }

    /// Brings the folios into the cache and makes them what they are to be; returns their pages.
    fn fill(&self, file: &File<'_>) -> Result<KVec<u64>> {
        let mut folios = KVec::new();
        let mut orders = self.orders.iter();
        let mut page = 0;
        while page < self.cached_pages() {
            // A folio begins at a multiple of its size.
            let order = u32::from(*orders.next().unwrap_or(&0)).min(page.trailing_zeros());
            folios.push((page, order), GFP_KERNEL)?;
            page += 1 << order;
        }
        // Every other folio first, so that neighbours in the file are none in memory.
        for start in [0, 1] {
            for (page, order) in folios.iter().skip(start).step_by(2) {
                file.add_folio(*page, *order)?;
            }
        }
        let mut pages = KVec::new();
        for (page, order) in folios {
            for page in page..page + (1 << order) {
                self.fill_page(file, page)?;
            }
            if let Some((_, buffers)) = self.buffers.iter().find(|(at, _)| *at == page) {
                self.set_buffers(file, page, buffers)?;
            }
            if self.stale.contains(&page) {
                file.set_dirty_stale(page)?;
            } else if !self.clean.contains(&page) {
                file.set_dirty(page)?;
            }
            pages.push(page, GFP_KERNEL)?;
        }
        Ok(pages)
    }

    /// Each sector is what it will be compared with on the disk.
    fn fill_page(&self, file: &File<'_>, page: u64) -> Result {
        let mut bytes = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
        let (sectors, _) = bytes.as_chunks_mut::<SECTOR_SIZE>();
        let first = page * (PAGE_SIZE / SECTOR_SIZE) as u64;
        for (sector, bytes) in (first..).zip(sectors) {
            let inside = sector * (SECTOR_SIZE as u64) < self.setup.size;
            let mapped = contents(self.setup.extents, self.setup.block_bits, sector);
            mapped.filter(|_| inside).unwrap_or(JUNK).fill(bytes);
        }
        file.fill_page(page, &bytes)
    }

    fn set_buffers(&self, file: &File<'_>, page: u64, buffers: &[Buffer]) -> Result {
        let first = page * (PAGE_SIZE as u64 >> self.setup.block_bits);
        let mut args = KVec::new();
        for (block, buffer) in (first..).zip(buffers) {
            args.push(buffer.args(self.setup.extents, block), GFP_KERNEL)?;
        }
        file.set_buffers(page, &args)
    }
}

/// How many bios, folios and questions are shown, at most, of what was not expected.
const SHOWN: usize = 32;

/// What was seen.
#[derive(Default)]
pub(crate) struct SeenWritten {
    /// What wrote it.
    pub(crate) engine: Option<Engine>,
    /// How much larger everything was than is said here.
    scale: Scale,
    /// What each request came to.
    pub(crate) written: KVec<Written>,
    /// Bios that reached the disks, in order.
    pub(crate) bios: KVec<Bio>,
    /// Questions to the mapper, in order.
    pub(crate) calls: KVec<Call>,
    /// Plugs that bios came under.
    pub(crate) unplugs: u32,
    /// The folios of the file and their first pages.
    pub(crate) folios: KVec<(u64, DirtyState)>,
}

impl Seen for SeenWritten {
    // A bio of few vectors comes from a cache, which it notes.
    const FLAGS_ASIDE: u32 = 1 << bindings::req_flag_bits___REQ_ALLOC_CACHE;

    fn bios(&self) -> &[Bio] {
        &self.bios
    }

    fn calls(&self) -> &[Call] {
        &self.calls
    }

    fn expect(&self, what: &str, right: bool) -> bool {
        if !right {
            pr_info!("{:?}: {what}\n", self.engine);
            for written in &self.written {
                pr_info!("  {written:?}\n");
            }
            for bio in self.bios.iter().take(SHOWN) {
                pr_info!("  {bio:?}\n");
            }
            for folio in self.folios.iter().take(SHOWN) {
                pr_info!("  {folio:?}\n");
            }
            for call in self.calls.iter().take(SHOWN) {
                pr_info!("  {call:?}\n");
            }
        }
        right
    }
}

impl SeenWritten {
    /// Whether everything was written, with no error, and nothing is left dirty.
    pub(crate) fn all_written(&self) -> bool {
        let requests = self.written.iter();
        let no_error = requests.fold(true, |right, it| {
            right && it.result == 0 && it.first_error == 0 && it.second_error == 0
        });
        let done = |state: &DirtyState| !state.stuck && !state.dirty && state.dirty_buffers == 0;
        let folios = self.folios.iter().all(|(_, state)| done(state));
        self.expect("not all was written", no_error && folios) && self.right_bytes()
    }

    /// Whether each sector that was written is what it should be.
    pub(crate) fn right_bytes(&self) -> bool {
        let right = self.bios.iter().all(|bio| bio.wrong == 0);
        self.expect("wrong bytes were written", right)
    }

    /// Whether no folio is locked or under writeback for good.
    pub(crate) fn none_stuck(&self) -> bool {
        let right = self.folios.iter().all(|(_, state)| !state.stuck);
        self.expect("a folio is stuck", right)
    }

    /// Whether these folios, and no others, are dirty.
    pub(crate) fn dirty_are(&self, expected: &[u64]) -> bool {
        let dirty = self.folios.iter().filter(|(_, state)| state.dirty);
        let right = dirty.map(|(page, _)| *page).eq(expected.iter().copied());
        self.expect("wrong folios are dirty", right) && self.none_stuck()
    }

    /// Whether a request came to this: what it returned, and what two calls of fsync tell.
    pub(crate) fn came_to(&self, request: usize, result: Result, first: Result) -> bool {
        let errno = |result: Result| result.map_or_else(|error| error.to_errno(), |()| 0);
        let right = self.written.get(request).is_some_and(|it| {
            (it.result, it.first_error, it.second_error) == (errno(result), errno(first), 0)
        });
        self.expect("wrong errors", right)
    }

    /// Whether the first request failed with `error` and gave up what had no block: nothing is
    /// dirty, and so many sectors were written.
    pub(crate) fn gave_up(&self, error: Error, sectors: u32) -> bool {
        let clean = self.folios.iter().all(|(_, it)| it.dirty_buffers == 0);
        self.came_to(0, Err(error), Err(error))
            && self.dirty_are(&[])
            && self.expect("dirty buffers", clean)
            && self.sectors_are((sectors, 0, 0))
    }

    /// Sectors written, of each kind: whole, cut, zero.
    pub(crate) fn sectors(&self) -> (u32, u32, u32) {
        let (whole, cut, zero) = self.bios.iter().fold((0, 0, 0), |sum, bio| {
            (sum.0 + bio.whole, sum.1 + bio.cut, sum.2 + bio.zero)
        });
        let scaled = |count| self.scale.down_u32(count);
        (scaled(whole), scaled(cut), scaled(zero))
    }

    /// Whether so many sectors were written, of each kind: whole, cut, zero.
    pub(crate) fn sectors_are(&self, expected: (u32, u32, u32)) -> bool {
        self.expect("wrong sectors", self.sectors() == expected)
    }

    /// Whether as many sectors were written as in another run, of each kind.
    pub(crate) fn sectors_as(&self, other: &Self) -> bool {
        let right = self.sectors() == other.sectors();
        self.expect("other sectors than", right) || other.expect("these", false)
    }

    /// Whether any folio has buffers.
    pub(crate) fn has_buffers(&self) -> bool {
        self.folios.iter().any(|(_, state)| state.buffers)
    }

    /// Whether something is so that only the caller can tell.
    pub(crate) fn is(&self, what: &str, right: bool) -> bool {
        self.expect(what, right)
    }
}
