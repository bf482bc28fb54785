// SPDX-License-Identifier: GPL-2.0

//! The planner of writing, row by row of the parity table, with fake buffers and a fake mapper.

#[kernel::macros::kunit_tests(rust_mpage_plan_write)]
mod tests {
    use crate::{
        abstractions::{
            fs::Later,
            mm::{
                BufferState,
                Filled,
                WritebackReason, //
            },
        },
        mpage::{
            mapping::{
                BlockCount,
                LogicalBlock,
                Mapping,
                PhysicalBlock, //
            },
            window::{
                Placed,
                Run,
                Span,
                Window, //
            },
            write::plan::{
                after_error,
                first_known,
                next_unmapped,
                next_writable,
                pages_left,
                whole_run,
                Afterwards,
                Answer,
                Bounds,
                Failures,
                Place,
                Unfit,
                WritePlan, //
            },
        },
    };
    use kernel::prelude::*;

    type Buffer = BufferState<u8>;

    /// A dirty, uptodate buffer of block `block` of disk 1.
    const fn at(block: u64) -> Buffer {
        Buffer {
            block: Some((1, block)),
            dirty: true,
            uptodate: true,
            busy: false,
            boundary: false,
        }
    }

    /// A dirty buffer without a block.
    const UNMAPPED: Buffer = Buffer {
        block: None,
        ..at(0)
    };

    /// A buffer of a hole that nobody has written to.
    const HOLE: Buffer = Buffer {
        dirty: false,
        ..UNMAPPED
    };

    fn run(start: u32, len: u32, block: u64) -> Run<u8> {
        Run {
            span: Span { start, len },
            device: 1,
            block: PhysicalBlock(block),
            boundary: false,
        }
    }

    fn of(buffers: &[Buffer]) -> Result<Run<u8>, Unfit> {
        whole_run(buffers.iter().copied())
    }

    #[test]
    fn w1_mapped_dirty_uptodate_contiguous_is_one_run() {
        assert_eq!(of(&[at(7)]), Ok(run(0, 1, 7)));
        assert_eq!(of(&[at(7), at(8), at(9), at(10)]), Ok(run(0, 4, 7)));
    }

    #[test]
    fn w1_unmapped_at_the_end_only() {
        assert_eq!(of(&[at(7), at(8), HOLE, HOLE]), Ok(run(0, 2, 7)));
        assert_eq!(of(&[at(7), HOLE, at(9)]), Err(Unfit::Scattered));
        assert_eq!(of(&[HOLE, at(8)]), Err(Unfit::Scattered));
        // Nothing that a bio could write.
        assert_eq!(of(&[HOLE, HOLE]), Err(Unfit::Partial));
        assert_eq!(of(&[]), Err(Unfit::Partial));
    }

    #[test]
    fn w2_any_other_state_is_for_buffers() {
        let clean = Buffer {
            dirty: false,
            ..at(8)
        };
        let stale = Buffer {
            uptodate: false,
            ..at(8)
        };
        let busy = Buffer {
            busy: true,
            ..at(8)
        };
        let other_disk = Buffer {
            block: Some((2, 8)),
            ..at(8)
        };
        for (second, unfit) in [
            (clean, Unfit::Partial),
            (stale, Unfit::Partial),
            (busy, Unfit::Busy),
            (other_disk, Unfit::Scattered),
            (at(9), Unfit::Scattered),
            (at(7), Unfit::Scattered),
            (UNMAPPED, Unfit::Unmapped),
        ] {
            assert_eq!(of(&[at(7), second]), Err(unfit));
            assert_eq!(of(&[at(7), second, at(9), at(10)]).is_err(), true);
        }
        assert_eq!(of(&[clean, at(9)]), Err(Unfit::Partial));
    }

    #[test]
    fn w6_boundary_is_that_of_the_last_block() {
        let boundary = |block| Buffer {
            boundary: true,
            ..at(block)
        };
        let last = Run {
            boundary: true,
            ..run(0, 2, 7)
        };
        assert_eq!(of(&[at(7), boundary(8)]), Ok(last));
        assert_eq!(of(&[at(7), boundary(8), HOLE]), Ok(last));
        // What was a boundary is none if the disk goes on.
        assert_eq!(of(&[boundary(7), at(8)]), Ok(run(0, 2, 7)));
    }

    /// A block number that wraps does not continue anything.
    #[test]
    fn b5_the_last_block_number_has_none_behind_it() {
        assert_eq!(of(&[at(u64::MAX), at(0)]), Err(Unfit::Scattered));
    }

    #[test]
    fn w4_where_the_end_of_the_file_is() {
        assert_eq!(Place::of(0, 4096, 4096), Place::Inside);
        assert_eq!(Place::of(0, 4096, 4097), Place::Inside);
        assert_eq!(Place::of(0, 4096, 4095), Place::Straddles(4095));
        assert_eq!(Place::of(8192, 4096, 8193), Place::Straddles(1));
        assert_eq!(Place::of(8192, 4096, 8192), Place::Beyond);
        assert_eq!(Place::of(8192, 4096, 0), Place::Beyond);
        assert_eq!(Place::of(0, 2 << 20, u64::MAX), Place::Inside);
        // A block of which a byte belongs to the file does.
        assert_eq!(Place::Inside.file_blocks(4, 10), 4);
        assert_eq!(Place::Straddles(1).file_blocks(4, 10), 1);
        assert_eq!(Place::Straddles(1024).file_blocks(4, 10), 1);
        assert_eq!(Place::Straddles(1025).file_blocks(4, 10), 2);
        assert_eq!(Place::Straddles(4095).file_blocks(4, 10), 4);
        assert_eq!(Place::Beyond.file_blocks(4, 10), 0);
    }

    #[test]
    fn w17_the_buffers_without_a_block() {
        let buffers = [at(7), UNMAPPED, UNMAPPED, HOLE, UNMAPPED];
        let next = |from, end| next_unmapped(buffers.iter().copied(), from, end);
        assert_eq!(next(0, 5), Some(Span { start: 1, len: 2 }));
        assert_eq!(next(2, 5), Some(Span { start: 2, len: 1 }));
        assert_eq!(next(3, 5), Some(Span { start: 4, len: 1 }));
        // Those behind the end of the file get none.
        assert_eq!(next(3, 4), None);
        assert_eq!(next(5, 5), None);
        assert_eq!(next(0, 2), Some(Span { start: 1, len: 1 }));
    }

    #[test]
    fn w17_the_runs_that_can_be_saved() {
        let clean = Buffer {
            dirty: false,
            ..at(4)
        };
        // Its earlier write has failed.
        let stale = Buffer {
            uptodate: false,
            ..at(5)
        };
        let busy = Buffer {
            busy: true,
            ..at(10)
        };
        let buffers = [
            at(1),
            at(2),
            UNMAPPED,
            clean,
            stale,
            at(6),
            at(9),
            busy,
            HOLE,
        ];
        let next = |from, end| next_writable(buffers.iter().copied(), from, end);
        assert_eq!(next(0, 9), Some(run(0, 2, 1)));
        assert_eq!(next(2, 9), Some(run(4, 2, 5)));
        assert_eq!(next(6, 9), Some(run(6, 1, 9)));
        assert_eq!(next(7, 9), None);
        assert_eq!(next(4, 5), Some(run(4, 1, 5)));
        assert_eq!(next(2, 4), None);
    }

    #[test]
    fn b1_a_run_is_mapped_with_one_question() -> Result {
        let mut window = Window::new(1 << 20, 10);
        let mut plan = WritePlan::new(&mut window, 8, 4);
        let mut asked = None;
        let first = plan.next(|at, max| {
            asked = Some((at.0, max.0));
            Ok(Mapping::mapped(1, PhysicalBlock(70), max).with_new())
        })?;
        assert_eq!(first, Some(run(0, 4, 70)));
        assert_eq!(asked, Some((8, 4)));
        assert_eq!(plan.next::<Mapping<u8>>(|_, _| Err(EIO))?, None);
        Ok(())
    }

    /// Its blocks may have been another file's since, for no lock of this folio kept them.
    #[test]
    fn an_answer_for_an_earlier_folio_is_not_used() -> Result {
        let mut window = Window::new(1 << 20, 10);
        window.cached = Some(Placed {
            start: LogicalBlock(6),
            mapping: Mapping::mapped(1, PhysicalBlock(33), BlockCount(6)),
        });
        let mut plan = WritePlan::new(&mut window, 8, 4);
        let first = plan.next(|_, max| Ok(Mapping::mapped(1, PhysicalBlock(70), max)))?;
        assert_eq!(first, Some(run(0, 4, 70)));
        Ok(())
    }

    /// Answers that continue each other are one run, others are not.
    #[test]
    fn w3_short_answers_are_joined() -> Result {
        let mut window = Window::new(1 << 20, 10);
        let mut plan = WritePlan::new(&mut window, 8, 4);
        let mut answer = |at: crate::mpage::LogicalBlock, _| {
            let block = if at.0 < 11 { 60 + at.0 } else { 200 };
            Ok(Mapping::mapped(1, PhysicalBlock(block), BlockCount(1))
                .with_filled(Filled::IN_A_TEST))
        };
        assert_eq!(plan.next(&mut answer)?, Some(run(0, 3, 68)));
        assert_eq!(plan.next(&mut answer)?, Some(run(3, 1, 200)));
        assert_eq!(plan.next(&mut answer)?, None);
        Ok(())
    }

    #[test]
    fn w4_nothing_is_mapped_behind_the_end() -> Result {
        let mut window = Window::new(11 << 10, 10);
        let mut plan = WritePlan::new(&mut window, 8, 3);
        let mut asked = None;
        let first = plan.next(|at, max| {
            asked = Some((at.0, max.0));
            Ok(Mapping::mapped(1, PhysicalBlock(70), BlockCount(100)))
        })?;
        assert_eq!(first, Some(run(0, 3, 70)));
        assert_eq!(asked, Some((8, 3)));
        assert_eq!(plan.next::<Mapping<u8>>(|_, _| Err(EIO))?, None);
        Ok(())
    }

    /// What could not be mapped does not take with it what could.
    #[test]
    fn w17_an_error_comes_after_what_was_mapped() -> Result {
        let mut window = Window::new(1 << 20, 10);
        let mut plan = WritePlan::new(&mut window, 8, 4);
        let mut answer = |at: crate::mpage::LogicalBlock, _| match at.0 {
            8 => Ok(Mapping::mapped(1, PhysicalBlock(70), BlockCount(1))),
            9 => Ok(Mapping::mapped(1, PhysicalBlock(90), BlockCount(1))),
            _ => Err(ENOSPC),
        };
        assert_eq!(plan.next(&mut answer)?, Some(run(0, 1, 70)));
        assert_eq!(plan.next(&mut answer)?, Some(run(1, 1, 90)));
        assert_eq!(plan.next(&mut answer).err(), Some(ENOSPC));
        Ok(())
    }

    /// The same where the answer in front of the error is the only one.
    #[test]
    fn w17_the_first_blocks_come_before_the_error() -> Result {
        for last in [
            Err(EDQUOT),
            Ok(Mapping::hole(BlockCount(1))),
            Ok(Mapping::mapped(1, PhysicalBlock(1), BlockCount(0))),
        ] {
            let mut window = Window::new(1 << 20, 10);
            let mut plan = WritePlan::new(&mut window, 8, 4);
            let mut answer = |at: crate::mpage::LogicalBlock, _| match at.0 {
                8 => Ok(Mapping::mapped(1, PhysicalBlock(70), BlockCount(2)).with_new()),
                _ => last,
            };
            assert_eq!(plan.next(&mut answer)?, Some(run(0, 2, 70)));
            let error = last.err().unwrap_or(EIO);
            assert_eq!(plan.next(&mut answer).err(), Some(error));
        }
        Ok(())
    }

    /// Whatever is known of a range, the first block that is told is one, and if errors come in
    /// runs of 64 at least it is the first of all.
    #[test]
    fn w18_what_is_behind_an_error_is_found() {
        for (from, bad, end) in [
            (0, 0, 1),
            (0, 1, 1),
            (1, 5, 9),
            (7, 64, 4096),
            (0, 63, 64),
            (0, 64, 64),
            (0, 2047, 2048),
            (1, 256, 2048),
        ] {
            let mut asked = 0;
            let found = first_known(from..end, |at| {
                asked += 1;
                at >= bad
            });
            let first = from.max(bad);
            assert_eq!(found, Some(first).filter(|at| *at < end));
            assert!(asked <= 16 + (end - from) / 64);
        }
        assert_eq!(first_known(3..3, |_| true), None);
        assert_eq!(first_known(0..0, |_| true), None);
        assert_eq!(first_known(0..900, |_| false), None);
    }

    /// Blocks that were left out are an error at the end only.
    #[test]
    fn w17_what_is_behind_blocks_that_are_left_out_is_told() -> Result {
        let mut window = Window::new(1 << 20, 10);
        let mut plan = WritePlan::new(&mut window, 8, 4);
        let mut answer = |at: crate::mpage::LogicalBlock, _| {
            Ok(match at.0 {
                9 => Mapping::mapped(1, PhysicalBlock(70), BlockCount(1)).into(),
                11 => Mapping::mapped(1, PhysicalBlock(90), BlockCount(1)).into(),
                8 => Answer::LeftOut {
                    len: BlockCount(1),
                    error: EROFS,
                },
                _ => Answer::LeftOut {
                    len: BlockCount(1),
                    error: ENOSPC,
                },
            })
        };
        assert_eq!(plan.next(&mut answer)?, Some(run(1, 1, 70)));
        assert!(!plan.is_decided());
        assert_eq!(plan.next(&mut answer)?, Some(run(3, 1, 90)));
        assert_eq!(plan.next(&mut answer).err(), Some(EROFS));
        assert!(plan.is_decided());
        Ok(())
    }

    #[test]
    fn b5_a_hole_or_an_empty_answer_is_an_error() {
        for answer in [
            Mapping::hole(BlockCount(4)),
            Mapping::mapped(1, PhysicalBlock(1), BlockCount(0)),
        ] {
            let mut window = Window::new(1 << 20, 10);
            let mut plan = WritePlan::new(&mut window, 8, 4);
            assert_eq!(plan.next(|_, _| Ok(answer)).err(), Some(EIO));
            assert!(!plan.is_decided());
        }
    }

    #[test]
    fn w17_each_error_is_of_its_own_blocks() {
        let mut failures = Failures::default();
        assert!(failures.first().is_none() && !failures.keeps_some());
        failures.note(EIO, Afterwards::Clean);
        assert!(failures.first() == Some(EIO) && !failures.keeps_some());
        failures.note(ENOSPC, Afterwards::Dirty);
        failures.note(EUCLEAN, Afterwards::Clean);
        assert!(failures.first() == Some(EIO) && failures.keeps_some());
    }

    #[test]
    fn w17_a_full_disk_may_have_room_later() {
        for error in [ENOSPC, EDQUOT, ENOMEM] {
            for reason in [WritebackReason::Integrity, WritebackReason::Other] {
                let after = |later| after_error(error, reason, later);
                assert_eq!(after(Later::Possible), Afterwards::Dirty);
                // Nobody may allocate anything any more.
                assert_eq!(after(Later::Never), Afterwards::Clean);
            }
        }
        // Nobody could write anything any more.
        let in_need = |error| after_error(error, WritebackReason::Memory, Later::Possible);
        assert_eq!(in_need(ENOSPC), Afterwards::Clean);
        assert_eq!(in_need(EDQUOT), Afterwards::Clean);
        // But memory there may be in a moment.
        assert_eq!(in_need(ENOMEM), Afterwards::Dirty);
        for error in [EIO, EROFS, EUCLEAN] {
            for reason in [WritebackReason::Integrity, WritebackReason::Other] {
                let after = after_error(error, reason, Later::Possible);
                assert_eq!(after, Afterwards::Clean);
            }
        }
    }

    #[test]
    fn b7_a_bio_is_as_large_as_what_is_left() {
        let all = Bounds {
            size: 100 << 12,
            range_end: u64::MAX,
            pages_wanted: u64::MAX,
            pages_cached: u64::MAX,
        };
        assert_eq!(pages_left(0, &all, 12), 100);
        assert_eq!(pages_left(99 << 12, &all, 12), 1);
        assert_eq!(pages_left(100 << 12, &all, 12), 1);
        let odd = Bounds {
            size: (100 << 12) + 1,
            ..all
        };
        assert_eq!(pages_left(98 << 12, &odd, 12), 3);
        let range = Bounds {
            range_end: 10 << 12,
            ..all
        };
        assert_eq!(pages_left(4 << 12, &range, 12), 6);
        let few = Bounds {
            pages_wanted: 5,
            ..all
        };
        assert_eq!(pages_left(0, &few, 12), 5);
        let cached = Bounds {
            pages_cached: 3,
            ..all
        };
        assert_eq!(pages_left(0, &cached, 12), 3);
        let huge = Bounds {
            size: u64::MAX,
            ..all
        };
        assert_eq!(pages_left(0, &huge, 12), u32::MAX);
    }
}
