// SPDX-License-Identifier: GPL-2.0

//! Writes the dirty blocks of a folio of a file without buffer_heads.
//!
//! A run of them is looked at, given its places, and clean from when a bio has it, before that goes
//! out: who stores to it later makes it dirty again, and what cannot be written has never been
//! clean. A block that cannot get a place keeps no other from being written, in front of it or
//! behind, and why it cannot decides nothing of another.
//!
//! Locks: as those of [`engine`](super::engine).
//!
//! C counterpart: `__block_write_full_folio()`.

use super::{
    engine::Writer,
    plan::{
        after_error,
        first_known,
        Afterwards,
        Answer,
        Failures,
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
    code::{
        EIO,
        ENOMEM, //
    },
    Error,
    Result, //
};

/// What is known of a folio while its dirty blocks are written.
struct Progress {
    /// Its first block, in the file.
    first: u64,
    /// How many of its blocks are the file's.
    file_blocks: u32,
    /// Those in front of this one are in bios that went out, or could not be written.
    issued: u32,
    failures: Failures,
}

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
        let mut progress = Progress {
            first,
            file_blocks,
            issued: 0,
            failures: Failures::default(),
        };
        let mut target = Target::Whole(folio);
        let mut held: Option<Run<&'i BlockDevice>> = None;
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
            // The last question; an error is told behind the run in front of it.
            let mut asked = dirty.start;
            let mut has_failed = false;
            loop {
                let step = plan.next(|block, max| {
                    asked = (block.0 - first) as u32;
                    let answer = self.allocate(target.folio(), block, max);
                    has_failed = answer.is_err();
                    if let Ok(Answer::LeftOut { len, error }) = answer {
                        let blocks = asked..asked + len.0.min(max.0);
                        self.leave_out(request, &target, &mut progress, blocks, error);
                    }
                    answer
                });
                let mut run = match step {
                    Err(_) if plan.is_decided() => break,
                    Err(error) => {
                        if has_failed {
                            at = self.first_found(target.folio(), first, asked + 1..dirty.end);
                        }
                        self.leave_out(request, &target, &mut progress, asked..at, error);
                        break;
                    }
                    Ok(None) => break,
                    Ok(Some(run)) => run,
                };
                run.span.start += dirty.start;
                let Some(earlier) = held.replace(run) else {
                    continue;
                };
                // What there is no memory to write stays dirty.
                target = self.split(target).map_err(|_folio| ENOMEM)?;
                progress.issued = earlier.span.end();
                target.write(&mut self.sink, request, earlier);
            }
        }
        if let Some(error) = progress.failures.first() {
            if let Some(run) = held {
                target = self.save(request, target, run, error)?;
            }
            return self.end_left_out(request, target, &progress.failures, error);
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

    /// These blocks of a folio have no place because of `error`, which is told of them and decides
    /// what becomes of them, and of no others: they stay dirty, or are given up.
    #[cold]
    fn leave_out(
        &self,
        request: &WritebackControl<'_, M::Inode>,
        target: &Target<'i, M::Inode>,
        progress: &mut Progress,
        blocks: Range<u32>,
        error: Error,
    ) {
        let afterwards = after_error(error, request.reason(), self.sink.inode.later());
        progress.failures.note(error, afterwards);
        request.record_error(error);
        if afterwards == Afterwards::Clean {
            // While nothing is kept what is dirty still is not told from what is written.
            let unwritten = match target.keeps_some() || progress.failures.keeps_some() {
                true => 0,
                false => progress.issued,
            };
            let in_file = |block: u32| progress.first + u64::from(block);
            self.mapper
                .give_up(self.inode, in_file(blocks.start)..in_file(blocks.end));
            target.give_up(blocks, unwritten..progress.file_blocks);
        }
    }

    /// What could be written of a folio is being written, and of all else it is said what becomes
    /// of it. `error` was the first.
    #[cold]
    fn end_left_out(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        target: Target<'i, M::Inode>,
        failures: &Failures,
        error: Error,
    ) -> Result {
        self.sink.fail(request, error);
        let is_dirty = target.keeps_some() || failures.keeps_some();
        if is_dirty {
            self.sink.tally.redirtied_folios += 1;
        }
        match target {
            Target::Whole(folio) if is_dirty => drop(folio),
            Target::Whole(folio) => folio.end_clean(),
            // Otherwise it is so already.
            Target::Split(split) if is_dirty && !split.keeps_some() => split.redirty(),
            Target::Split(_) => {}
        }
        Err(error)
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
