// SPDX-License-Identifier: GPL-2.0

//! Reads the rest of a folio: some of its blocks have been written in memory, and what is on the
//! disk of them may be older.
//!
//! Locks: as those of [`engine`](super::engine).
//!
//! C counterpart: `block_read_full_folio()`, which leaves out buffers that are uptodate.

use super::{
    engine::Reader,
    plan::{
        FolioPlan,
        Step, //
    }, //
};
use crate::{
    abstractions::{
        block::SplitReader,
        mm::LockedFolio, //
    },
    mpage::{
        mapping::{
            plain,
            MapSource, //
        },
        window::Span, //
    },
};
use core::ops::Range;
use kernel::{
    error::{
        code::{
            EIO,
            ENOMEM, //
        },
        Result, //
    },
    page::PAGE_SHIFT, //
};

impl<M: MapSource> Reader<'_, M> {
    /// Reads the blocks of a folio that are not valid; the request has `pages_left` pages from its
    /// start on.
    pub(super) fn read_rest(
        &mut self,
        folio: LockedFolio<'_, M::Inode>,
        pages_left: u32,
    ) -> Result {
        let bits = self.sink.block_bits;
        self.window.set_size(plain(self.inode).size(), bits);
        let first = folio.position() >> bits;
        let blocks = (folio.size() >> bits) as u32;
        let request = first + ((u64::from(pages_left) << PAGE_SHIFT) >> bits);
        self.sink.flush();
        let mut split = SplitReader::new(folio).map_err(|_folio| ENOMEM)?;
        self.sink.tally.folios += 1;
        self.sink.tally.split_folios += 1;
        let mut at = 0;
        while let Some(gap) = split.skip_valid(at..blocks) {
            at = gap.end;
            self.read_gap(&mut split, first, gap, request)
                .inspect_err(|_| split.fail())?;
        }
        match split.has_failed() {
            true => Err(EIO),
            false => Ok(()),
        }
    }

    /// Reads consecutive blocks of a folio whose first is block `first` of the file.
    fn read_gap(
        &mut self,
        split: &mut SplitReader<'_>,
        first: u64,
        gap: Range<u32>,
        request_end: u64,
    ) -> Result {
        let (mapper, inode) = (self.mapper, self.inode);
        let place = first + u64::from(gap.start)..first + u64::from(gap.end);
        let mut plan = FolioPlan::new(&mut self.window, place, request_end);
        let in_folio = |span: Span| Span {
            start: gap.start + span.start,
            len: span.len,
        };
        loop {
            let calls = &mut self.sink.tally.mapper_calls;
            let step = plan.next(|at, max| {
                *calls += 1;
                mapper.map(inode, split.folio(), at, max)
            });
            match step? {
                None => return Ok(()),
                Some(Step::Zero(span)) => split.zero(self.sink.bytes(in_folio(span))),
                Some(Step::Read(mut run)) => {
                    run.span = in_folio(run.span);
                    self.sink.read_piece(split, run)?;
                }
                Some(Step::Filled(run, filled)) => {
                    split.note_filled(self.sink.bytes(in_folio(run.span)), filled);
                }
            }
        }
    }
}
