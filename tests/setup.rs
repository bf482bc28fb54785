// SPDX-License-Identifier: GPL-2.0

//! What cases of reading and of writing begin with: a file and its disks.

use crate::{
    scale::Scale,
    support::{
        on_shared_bench,
        Bench,
        Bio,
        Completion,
        Faults,
        File,
        FileArgs,
        SECTORS, //
    },
    table::{
        Extent,
        Table, //
    },
    Engine, //
};
use kernel::prelude::*;

/// A file, and the disks that it is on.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) block_bits: u32,
    pub(crate) extents: &'a [Extent],
    pub(crate) size: u64,
    pub(crate) sectors: u64,
    pub(crate) scale: Scale,
    faults: Faults,
    completion: Completion,
    fail_call: Option<(usize, Error)>,
}

impl<'a> Setup<'a> {
    /// A file of these extents, which ends where they end, in blocks of `1 << block_bits` bytes, on
    /// disks of 1 GiB on which nothing fails; all that is as much larger as `scale` says.
    pub(crate) fn new(block_bits: u32, extents: &'a [Extent], scale: Scale) -> Self {
        let blocks: u64 = extents.iter().map(|extent| extent.len).sum();
        let block_bits = scale.bits(block_bits);
        Self {
            block_bits,
            extents,
            size: blocks << block_bits,
            sectors: scale.up(SECTORS),
            scale,
            faults: Faults::default(),
            completion: Completion::AtOnce,
            fail_call: None,
        }
    }

    /// The file for `engine`, with folios of `order`.
    pub(crate) fn file<'b>(
        &self,
        bench: &'b Bench,
        engine: Engine,
        order: u32,
    ) -> Result<File<'b>> {
        let table = Table::new(self.extents, self.fail_call)?;
        let args = FileArgs {
            engine,
            size: self.size,
            block_bits: self.block_bits,
            order,
        };
        File::new(bench, &args, table)
    }

    /// Has the disks do from now on what they are to do.
    pub(crate) fn prepare(&self, bench: &Bench) {
        bench.prepare(self.sectors, &self.faults, self.completion);
    }

    /// The bios that have reached the disks since then.
    pub(crate) fn bios(&self, bench: &Bench) -> Result<KVec<Bio>> {
        let mut bios = bench.bios()?;
        for bio in &mut bios {
            *bio = self.scale.bio(*bio);
        }
        Ok(bios)
    }
}

/// A case, of which the file and its disks can be said.
pub(crate) trait OnDisks<'a>: Sized {
    /// What it begins with.
    fn setup(&mut self) -> &mut Setup<'a>;

    /// A file of `size` bytes.
    fn size(mut self, size: u64) -> Self {
        let setup = self.setup();
        setup.size = setup.scale.up(size);
        self
    }

    /// A main disk of so many sectors.
    fn sectors(mut self, sectors: u64) -> Self {
        let setup = self.setup();
        setup.sectors = setup.scale.up(sectors);
        self
    }

    /// `count` sectors of the main disk from `first` on cannot be read or written.
    fn bad_sectors(mut self, first: u64, count: u64) -> Self {
        let setup = self.setup();
        setup.faults = Faults {
            sector: setup.scale.up(first),
            sectors: setup.scale.up(count),
            nth: 0,
        };
        self
    }

    /// The nth bio to the main disk fails, from 1.
    fn fail_bio(mut self, nth: u32) -> Self {
        self.setup().faults = Faults {
            nth,
            ..Faults::default()
        };
        self
    }

    /// When bios end.
    fn completion(mut self, completion: Completion) -> Self {
        self.setup().completion = completion;
        self
    }

    /// The nth question to the mapper fails, from 1.
    fn fail_call(mut self, nth: usize, error: Error) -> Self {
        self.setup().fail_call = Some((nth, error));
        self
    }
}

/// Has each engine run, on the same disks.
pub(crate) fn each<S>(
    engines: &[Engine],
    run: impl Fn(&Bench, Engine) -> Result<S>,
) -> Result<KVec<S>> {
    on_shared_bench(|bench| {
        let mut seen = KVec::new();
        for engine in engines {
            seen.push(run(bench, *engine)?, GFP_KERNEL)?;
        }
        Ok(seen)
    })
}

/// Has the oracle run, and both faces of the library.
pub(crate) fn compare<S>(run: impl Fn(&Bench, Engine) -> Result<S>) -> Result<(S, KVec<S>)> {
    let mut seen = each(&[Engine::Kernel, Engine::Rust, Engine::CInterface], run)?;
    let kernel = seen.remove(0).map_err(|_| EINVAL)?;
    Ok((kernel, seen))
}
