// SPDX-License-Identifier: GPL-2.0

//! A mapper that reads its answers off a table, and remembers the questions.
//!
//! Locks: the mutex of a table's record, innermost.

use crate::{
    pattern::{
        Contents,
        FILLED, //
    },
    support::TestInode, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use rust_mpage::{
    block::BlockDevice,
    BlockCount,
    BlockMapper,
    LogicalBlock,
    Mapping,
    PhysicalBlock, //
};

/// Numbers of blocks that no disk of the tests has, and most of them no disk at all.
pub(crate) const ABSURD: [u64; 6] = [
    u64::MAX,
    u64::MAX - 1,
    u64::MAX >> 1,
    1 << 54,
    1 << 53,
    1 << 40,
];

/// Number of the disk that a file is on.
pub(crate) const MAIN: u32 = 1;
/// Number of the disk that [`What::Other`] is on.
pub(crate) const OTHER: u32 = 2;

/// A part of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// File blocks.
    pub(crate) len: u64,
    /// What the mapper says of them.
    pub(crate) what: What,
}

/// What a mapper says of an extent. Numbers are the first block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    /// Nothing there.
    Hole,
    /// Consecutive blocks.
    Run(u64),
    /// The same, in front of metadata.
    Boundary(u64),
    /// Consecutive blocks of the other device.
    Other(u64),
    /// The mapper fills the blocks, one at a time; they live from here on.
    Filled(u64),
    /// A hole until blocks are allocated, which are these.
    Fresh(u64),
    /// It fails.
    Fails(Error),
    /// A mapping of no length.
    NoLength(u64),
    /// A mapping a thousand blocks longer than the question; fresh blocks if it is to write.
    TooLong(u64),
    /// A mapping without a device. A C mapper can say that; from a Rust one it is an error.
    NoDevice(u64),
}

/// `len` blocks that are `what`.
pub(crate) const fn ext(len: u64, what: What) -> Extent {
    Extent { len, what }
}

/// A question that the mapper was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// About this file block
    pub(crate) at: u64,
    /// and those behind it, so many in all.
    pub(crate) max: u64,
    /// Whether missing blocks are to be allocated.
    pub(crate) create: bool,
    /// Bios that had reached the disks by then.
    pub(crate) bios_before: u32,
}

/// The blocks of a file, and what was asked about them.
#[pin_data]
pub(crate) struct Table {
    extents: KVec<Extent>,
    fail_call: Option<(usize, Error)>,
    #[pin]
    calls: Mutex<KVec<Call>>,
}

/// An answer in plain terms: `len` blocks that are `what`, which begins at the block asked for.
pub(crate) struct Answer {
    pub(crate) len: u64,
    pub(crate) what: What,
}

/// The extent that covers file block `at`, cut off in front of it. Behind the last is a hole.
pub(crate) fn extent_at(extents: &[Extent], at: u64) -> Extent {
    let mut skip = at;
    for extent in extents {
        if skip >= extent.len {
            skip -= extent.len;
            continue;
        }
        let what = match extent.what {
            What::Run(block) => What::Run(block.wrapping_add(skip)),
            What::Boundary(block) => What::Boundary(block.wrapping_add(skip)),
            What::Other(block) => What::Other(block.wrapping_add(skip)),
            What::Filled(block) => What::Filled(block.wrapping_add(skip)),
            What::TooLong(block) => What::TooLong(block.wrapping_add(skip)),
            What::Fresh(block) => What::Fresh(block.wrapping_add(skip)),
            what => what,
        };
        return Extent {
            len: extent.len - skip,
            what,
        };
    }
    ext(u64::MAX - at, What::Hole)
}

/// What sector `sector` of the file should hold once it has been read; [`None`] if it cannot be.
pub(crate) fn contents(extents: &[Extent], block_bits: u32, sector: u64) -> Option<Contents> {
    let shift = block_bits - 9;
    let extent = extent_at(extents, sector >> shift);
    let on = |number, block: u64| {
        let sector = (block << shift) + (sector & ((1 << shift) - 1));
        Some(Contents::Disk { number, sector })
    };
    match extent.what {
        What::Hole => Some(Contents::Zero),
        What::Filled(_) => Some(Contents::Byte(FILLED)),
        What::Run(block) | What::Boundary(block) | What::TooLong(block) | What::Fresh(block) => {
            on(MAIN, block)
        }
        What::Other(block) => on(OTHER, block),
        What::Fails(_) | What::NoLength(_) | What::NoDevice(_) => None,
    }
}

impl Table {
    /// A table of these extents. Call number `fail_call.0`, from 1, fails.
    pub(crate) fn new(
        extents: &[Extent],
        fail_call: Option<(usize, Error)>,
    ) -> Result<Pin<KBox<Self>>> {
        let mut copy = KVec::new();
        copy.extend_from_slice(extents, GFP_KERNEL)?;
        // Room enough that a mapper does not allocate while the nth allocation is to fail.
        let calls = KVec::with_capacity(64, GFP_KERNEL)?;
        KBox::pin_init(
            pin_init!(Self {
                extents: copy,
                fail_call,
                calls <- new_mutex!(calls),
            }),
            GFP_KERNEL,
        )
    }

    /// What was asked so far, in order.
    pub(crate) fn calls(&self) -> Result<KVec<Call>> {
        let mut copy = KVec::new();
        copy.extend_from_slice(&self.calls.lock(), GFP_KERNEL)?;
        Ok(copy)
    }

    /// The answer to a question.
    pub(crate) fn answer(&self, call: Call) -> Result<Answer> {
        let mut calls = self.calls.lock();
        calls.push(call, GFP_KERNEL)?;
        match self.fail_call {
            Some((number, error)) if number == calls.len() => return Err(error),
            _ => {}
        }
        let extent = extent_at(&self.extents, call.at);
        let (len, what) = match extent.what {
            What::Fails(error) => return Err(error),
            What::NoLength(_) => (0, extent.what),
            What::TooLong(_) => (call.max + 1000, extent.what),
            What::Filled(_) => (1, extent.what),
            What::Hole if call.create => return Err(ENOSPC),
            What::Fresh(_) if !call.create => (extent.len.min(call.max), What::Hole),
            What::Boundary(block) if extent.len > call.max => (call.max, What::Run(block)),
            what => (extent.len.min(call.max), what),
        };
        Ok(Answer { len, what })
    }
}

/// The table behind the library's Rust interface.
#[derive(Clone, Copy, Default)]
pub(crate) struct TableMapper;

impl BlockMapper for TableMapper {
    type Inode = TestInode;

    fn lookup<'i>(
        &self,
        inode: &'i TestInode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        TableMapper::ask(inode, at, max, false)
    }

    fn allocate<'i>(
        &self,
        inode: &'i TestInode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        TableMapper::ask(inode, at, max, true)
    }
}

impl TableMapper {
    fn ask(
        inode: &TestInode,
        at: LogicalBlock,
        max: BlockCount,
        create: bool,
    ) -> Result<Mapping<&BlockDevice>> {
        let answer = inode.ask(at.0, max.0.into(), create)?;
        let len = BlockCount(u32::try_from(answer.len)?);
        let main = |block| Mapping::mapped(inode.main_device(), PhysicalBlock(block), len);
        Ok(match answer.what {
            What::Hole => Mapping::hole(len),
            What::TooLong(block) if create => main(block).with_new(),
            What::Run(block) | What::NoLength(block) | What::TooLong(block) => main(block),
            What::Boundary(block) => main(block).with_boundary(),
            What::Fresh(block) => main(block).with_new(),
            // A Rust mapper gets no folio to fill: what is there is read.
            What::Filled(block) => main(block),
            What::Other(block) => Mapping::mapped(inode.other_device(), PhysicalBlock(block), len),
            What::NoDevice(_) => return Err(EIO),
            What::Fails(error) => return Err(error),
        })
    }
}
