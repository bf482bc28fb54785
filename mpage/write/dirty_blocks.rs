// SPDX-License-Identifier: GPL-2.0

//! Writes the dirty blocks of a folio of a file without buffer_heads.
//!
//! A run of them is looked at, given its places, and clean from when a bio has it, before that goes
//! out: who stores to it later makes it dirty again, and what cannot be written has never been
//! clean. A block that cannot get a place keeps no other from being written, in front of it or
//! behind.
//!
//! Locks: as those of [`engine`](super::engine).
//!
//! C counterpart: `__block_write_full_folio()`.

use super::{
    counters::Fallback,
    engine::Writer,
    plan::{
        first_known,
        WritePlan, //
    },
    target::Target,
};
use crate::{
    abstractions::{
        block::BlockDevice,
        mm::{
            without_fs_reclaim,
            DirtyFolio,
            Folio,
            WritebackControl, //
        },
    },
    mpage::{
        mapping::{
            BlockCount,
            LogicalBlock,
            MapSource, //
        },
        window::{
            Run,
            Window, //
        },
    },
};
use core::ops::Range;
use kernel::error::{
    code::EIO,
    Result, //
};

impl<'i, M: MapSource> Writer<'i, M> {
    /// Writes the dirty ones of the first `file_blocks` blocks of a folio.
    pub(super) fn write_dirty_blocks(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        folio: DirtyFolio<'i, M::Inode>,
        file_blocks: u32,
    ) -> Result {
        let bits = self.sink.block_bits;
        let first = folio.position() >> bits;
        let mut target = Target::Whole(folio);
        let mut held: Option<Run<&'i BlockDevice>> = None;
        let mut left_out = None;
        let mut at = 0;
        if !target.folio().has_block_bits() && !target.folio().is_uptodate() {
            // Nobody may have made such a folio dirty; what is in it is not the file.
            return self.rescue(request, target, None, EIO);
        }
        target.keep_if_pinned(file_blocks);
        while let Some(dirty) = target.next_dirty(at..file_blocks) {
            at = dirty.end;
            let start = first + u64::from(dirty.start);
            let len = dirty.len() as u32;
            let mut window = Window::new((start + u64::from(len)) << bits, bits);
            let mut plan = WritePlan::new(&mut window, start, len);
            // Told behind the run in front of it.
            let mut failed = None;
            loop {
                let step = plan.next(|at, max| {
                    self.allocate(target.folio(), at, max)
                        .inspect_err(|_| failed = Some(at))
                });
                let mut run = match step {
                    Err(error) => {
                        left_out.get_or_insert(error);
                        if let Some(block) = failed {
                            let behind = (block.0 - first) as u32 + 1..dirty.end;
                            at = self.first_found(target.folio(), first, behind);
                        }
                        break;
                    }
                    Ok(None) => break,
                    Ok(Some(run)) => run,
                };
                run.span.start += dirty.start;
                let Some(earlier) = held.replace(run) else {
                    continue;
                };
                target = match self.split(target) {
                    Ok(split) => split,
                    Err(folio) => return self.write_through_buffers(folio, Fallback::NoMemory),
                };
                target.write(&mut self.sink, request, earlier);
            }
        }
        if let Some(error) = left_out {
            return self.rescue(request, target, held, error);
        }
        match (target, held) {
            (Target::Whole(folio), Some(run)) => self.join(request, folio, run),
            (target, Some(run)) => {
                self.sink.tally.split_folios += 1;
                target.write(&mut self.sink, request, run);
                Ok(())
            }
            (Target::Whole(folio), None) => {
                folio.end_clean();
                Ok(())
            }
            (Target::Split(_), None) => Ok(()),
        }
    }

    /// The first block of `behind` of which the mapper knows whether it has a place, or the end of
    /// it; it knows nothing of the block in front. The folio's first is block `first` of the file.
    #[cold]
    fn first_found(&mut self, folio: &Folio, first: u64, behind: Range<u32>) -> u32 {
        let end = behind.end;
        let found = first_known(behind, |block| {
            self.sink.tally.mapper_calls += 1;
            let block = LogicalBlock(first + u64::from(block));
            without_fs_reclaim(|| self.mapper.map(self.inode, folio, block, BlockCount(1))).is_ok()
        });
        found.unwrap_or(end)
    }
}
