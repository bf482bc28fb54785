// SPDX-License-Identifier: GPL-2.0

//! Where the blocks of a file are: the mapper that `rust_mpage` asks.
//!
//! A question costs one indirect block read for each level, which the buffer cache answers, and a
//! walk along the last array of pointers for as long as the run goes. Nothing is allocated, and the
//! depth of the walk is bounded by the format, so that no loop on disk is one here.
//!
//! C counterpart: `ext2_get_blocks()`. It answers holes block by block; here a missing pointer is
//! a hole as long as what it would cover, and so are those after it.
//!
//! Left out: allocation, and looking again after racing with truncation.

#![deny(unsafe_code)]

use crate::{
    inode::Ext2Inode,
    path::{
        BlockPath,
        PointerRun, //
    },
    report, //
};
use core::cmp;
use kernel::prelude::*;
use rust_mpage_core::{
    abstractions::{
        block::BlockDevice,
        fs::Buffer, //
    },
    mpage::{
        BlockCount,
        BlockMapper,
        LogicalBlock,
        Mapping,
        PhysicalBlock, //
    },
};

/// The mapper.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mapper;

impl BlockMapper for Mapper {
    type Inode = Ext2Inode;

    fn lookup<'i>(
        &self,
        inode: &'i Ext2Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let size = inode.super_block().data().geometry.block_size();
        let path = BlockPath::new(size, at.0).map_err(|error| error.errno())?;
        let question = Question {
            inode,
            path: &path,
            max: max.0,
        };
        let mut buffer: Option<Buffer> = None;

        for (level, &offset) in path.offsets().iter().enumerate() {
            let step = match &buffer {
                None => question.step(level, |i| inode.data().pointer(offset.checked_add(i)?)),
                Some(buffer) => {
                    question.step(level, |i| buffer.le32(offset.checked_add(i)? as usize))
                }
            }?;
            match step {
                Step::Answer(mapping) => return Ok(mapping),
                Step::Indirect(block) => {
                    buffer = Some(inode.super_block().bread(block.into())?);
                }
            }
        }
        // The last level always answers.
        Err(EUCLEAN)
    }
}

/// What following a pointer leads to.
enum Step<'i> {
    /// The end of the search.
    Answer(Mapping<&'i BlockDevice>),
    /// This indirect block.
    Indirect(u32),
}

/// What is asked for.
struct Question<'i, 'p> {
    inode: &'i Ext2Inode,
    path: &'p BlockPath,
    max: u32,
}

impl<'i> Question<'i, '_> {
    /// Follows the path's pointer at `level`; `pointer(i)` is the `i`-th after it in its array.
    #[inline(always)]
    fn step(&self, level: usize, pointer: impl Fn(u32) -> Option<u32>) -> Result<Step<'i>> {
        let path = self.path;
        let is_last = level + 1 == path.depth();
        // As many pointers as could matter: those that lead to indirect blocks only if null.
        let wanted = u64::from(self.max).div_ceil(path.span(level)) + u64::from(!is_last);
        let end = cmp::min(path.siblings(level).into(), wanted) as u32;

        match PointerRun::of((0..end).map_while(pointer)).ok_or(EUCLEAN)? {
            PointerRun::Null { len } => {
                let len = cmp::min(path.hole_len(level, len), self.max.into());
                Ok(Step::Answer(Mapping::hole(BlockCount(len as u32))))
            }
            PointerRun::Blocks { first, .. } if !is_last => {
                self.check(first, 1)?;
                Ok(Step::Indirect(first))
            }
            PointerRun::Blocks { first, len } => {
                self.check(first, len)?;
                let start = PhysicalBlock(first.into());
                let mapping = Mapping::mapped(self.inode.device(), start, BlockCount(len));
                // The end of the array: what follows is behind another indirect block.
                Ok(Step::Answer(if len > path.blocks_to_boundary() {
                    mapping.with_boundary()
                } else {
                    mapping
                }))
            }
        }
    }

    /// Checks block numbers from disk.
    #[inline]
    fn check(&self, start: u32, count: u32) -> Result {
        let sb = self.inode.super_block();
        sb.data()
            .geometry
            .check_data_blocks(start, count)
            .map_err(|error| {
                report::corrupt(sb, fmt!("inode {}: {error}", self.inode.number()));
                error.errno()
            })
    }
}
