// SPDX-License-Identifier: GPL-2.0

//! The planner, row by row of the parity table, with a fake mapper.

#[kernel::macros::kunit_tests(rust_mpage_plan)]
mod tests {
    use crate::{
        abstractions::mm::Filled,
        mpage::{
            mapping::{
                BlockCount,
                LogicalBlock,
                Mapping,
                PhysicalBlock, //
            },
            read::plan::{
                FolioPlan,
                Step, //
            },
            window::{
                Run,
                Span,
                Window, //
            },
        },
    };
    use kernel::{
        error::{
            code::{
                EIO,
                ENOSPC, //
            },
            Error, //
        },
        page::PAGE_SIZE,
        prelude::*, //
    };

    /// A device of the fake mapper.
    type Disk = u8;

    /// One extent of the fake file: where it ends, and what it is.
    #[derive(Clone, Copy)]
    enum Fake {
        Hole(u64),
        At(u64, u64),
        Boundary(u64, u64),
        Filled(u64, u64),
        OtherDisk(u64, u64),
        Fails(u64),
        Empty(u64),
        TooLong(u64, u64),
    }

    /// A fake mapper: extents in file order, and how it was asked.
    struct Mapper<'a> {
        extents: &'a [Fake],
        asked: [(u64, u32); 8],
        calls: usize,
    }

    impl<'a> Mapper<'a> {
        fn new(extents: &'a [Fake]) -> Self {
            Self {
                extents,
                asked: [(0, 0); 8],
                calls: 0,
            }
        }

        fn lookup(&mut self, at: LogicalBlock, max: BlockCount) -> Result<Mapping<Disk>> {
            if let Some(asked) = self.asked.get_mut(self.calls) {
                *asked = (at.0, max.0);
            }
            self.calls += 1;
            let mut start = 0;
            for extent in self.extents {
                let (end, mapping) = answer(*extent, start, at.0);
                if at.0 < end {
                    let mut mapping = mapping?;
                    let left = (end - at.0) as u32;
                    if !matches!(extent, Fake::TooLong(..) | Fake::Empty(..)) && left > max.0 {
                        mapping.boundary = false;
                        mapping.len = max;
                    }
                    return Ok(mapping);
                }
                start = end;
            }
            Ok(Mapping::hole(max))
        }
    }

    /// Where an extent that begins at block `start` ends, and what it says of block `at`.
    fn answer(extent: Fake, start: u64, at: u64) -> (u64, Result<Mapping<Disk>>) {
        let mapped = |disk, end: u64, block: u64| {
            let len = BlockCount(end.saturating_sub(at) as u32);
            Mapping::mapped(disk, PhysicalBlock(block + at.saturating_sub(start)), len)
        };
        match extent {
            Fake::Hole(end) => (
                end,
                Ok(Mapping::hole(BlockCount(end.saturating_sub(at) as u32))),
            ),
            Fake::At(end, block) => (end, Ok(mapped(1, end, block))),
            Fake::Boundary(end, block) => (end, Ok(mapped(1, end, block).with_boundary())),
            Fake::Filled(end, block) => (
                end,
                Ok(mapped(1, end, block).with_filled(Filled::IN_A_TEST)),
            ),
            Fake::OtherDisk(end, block) => (end, Ok(mapped(2, end, block))),
            Fake::Fails(end) => (end, Err(ENOSPC)),
            Fake::Empty(end) => (end, Ok(Mapping::hole(BlockCount(0)))),
            Fake::TooLong(end, block) => (
                end,
                Ok(Mapping::mapped(1, PhysicalBlock(block), BlockCount(1000)).with_boundary()),
            ),
        }
    }

    /// Up to six steps of a folio, and the error that ended it.
    type Steps = ([Option<Step<Disk>>; 6], Option<Error>);

    /// Plans the folio of blocks `folio` of a file of `size` blocks of 1 KiB.
    fn plan(
        window: &mut Window<Disk>,
        mapper: &mut Mapper<'_>,
        folio: core::ops::Range<u64>,
        request_end: u64,
    ) -> Steps {
        let mut steps = [None; 6];
        let mut plan = FolioPlan::new(window, folio, request_end);
        for slot in &mut steps {
            match plan.next(|at, max| mapper.lookup(at, max)) {
                Ok(Some(step)) => *slot = Some(step),
                Ok(None) => break,
                Err(error) => return (steps, Some(error)),
            }
        }
        (steps, None)
    }

    fn window(blocks: u64) -> Window<Disk> {
        Window::new(blocks << 10, 10)
    }

    fn read(start: u32, len: u32, block: u64) -> Option<Step<Disk>> {
        Some(Step::Read(run(start, len, block)))
    }

    fn run(start: u32, len: u32, block: u64) -> Run<Disk> {
        Run {
            span: Span { start, len },
            device: 1,
            block: PhysicalBlock(block),
            boundary: false,
        }
    }

    fn zero(start: u32, len: u32) -> Option<Step<Disk>> {
        Some(Step::Zero(Span { start, len }))
    }

    #[test]
    fn r1_one_extent_is_one_run_per_folio() {
        let mut mapper = Mapper::new(&[Fake::At(16, 100)]);
        let mut w = window(16);
        assert_eq!(
            plan(&mut w, &mut mapper, 0..4, 16).0,
            [read(0, 4, 100), None, None, None, None, None]
        );
        assert_eq!(plan(&mut w, &mut mapper, 4..8, 16).0[0], read(0, 4, 104));
    }

    #[test]
    fn r1_another_device_is_another_run() {
        let mut mapper = Mapper::new(&[Fake::At(2, 100), Fake::OtherDisk(4, 102)]);
        let (steps, _) = plan(&mut window(4), &mut mapper, 0..4, 4);
        assert_eq!(steps[0], read(0, 2, 100));
        let other = Run {
            device: 2,
            ..run(2, 2, 102)
        };
        assert_eq!(steps[1], Some(Step::Read(other)));
        assert_eq!(steps[2], None);
    }

    #[test]
    fn r2_one_question_serves_the_window() {
        let mut mapper = Mapper::new(&[Fake::At(64, 100)]);
        let mut w = window(64);
        for folio in 0..8 {
            let start = folio * 4;
            plan(&mut w, &mut mapper, start..start + 4, 32);
        }
        assert_eq!(mapper.calls, 1);
        assert_eq!(mapper.asked[0], (0, 32));
    }

    #[test]
    fn r2_nobody_is_asked_behind_the_end_of_the_file() {
        let mut mapper = Mapper::new(&[Fake::At(64, 100)]);
        let mut w = Window::new((5 << 10) + 1, 10);
        let (steps, _) = plan(&mut w, &mut mapper, 4..8, 64);
        assert_eq!(steps, [read(0, 2, 104), zero(2, 2), None, None, None, None]);
        assert_eq!(mapper.calls, 1);
        assert_eq!(mapper.asked[0], (4, 2));
    }

    #[test]
    fn r3_hole_at_the_end_is_zeroed() {
        let mut mapper = Mapper::new(&[Fake::At(3, 100), Fake::Hole(4)]);
        let (steps, _) = plan(&mut window(4), &mut mapper, 0..4, 4);
        assert_eq!(steps, [read(0, 3, 100), zero(3, 1), None, None, None, None]);
    }

    #[test]
    fn r4_all_hole_is_one_zeroing_and_no_read() {
        let mut mapper = Mapper::new(&[Fake::Hole(64)]);
        let mut w = window(64);
        let only = [zero(0, 4), None, None, None, None, None];
        assert_eq!(plan(&mut w, &mut mapper, 0..4, 64).0, only);
        assert_eq!(plan(&mut w, &mut mapper, 4..8, 64).0, only);
        // The hole's length was one answer.
        assert_eq!(mapper.calls, 1);
    }

    #[test]
    fn r5_data_after_a_hole_is_read() {
        let mut mapper = Mapper::new(&[
            Fake::Hole(1),
            Fake::At(2, 50),
            Fake::Hole(3),
            Fake::At(4, 9),
        ]);
        let (steps, _) = plan(&mut window(4), &mut mapper, 0..4, 4);
        assert_eq!(steps[0], zero(0, 1));
        assert_eq!(steps[1], read(1, 1, 50));
        assert_eq!(steps[2], zero(2, 1));
        assert_eq!(steps[3], read(3, 1, 9));
        assert_eq!(steps[4], None);
    }

    #[test]
    fn r6_scattered_blocks_are_a_run_each() {
        let mut mapper = Mapper::new(&[Fake::At(1, 10), Fake::At(2, 30), Fake::At(4, 20)]);
        let (steps, _) = plan(&mut window(4), &mut mapper, 0..4, 4);
        assert_eq!(
            steps,
            [
                read(0, 1, 10),
                read(1, 1, 30),
                read(2, 2, 20),
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn b3_contiguous_mappings_join_into_one_run() {
        let mut mapper = Mapper::new(&[Fake::Boundary(2, 10), Fake::At(4, 12)]);
        let (steps, _) = plan(&mut window(4), &mut mapper, 0..4, 4);
        // The boundary inside the folio has lost its meaning.
        assert_eq!(steps, [read(0, 4, 10), None, None, None, None, None]);
    }

    #[test]
    fn r8_filled_block_is_not_read() {
        let mut mapper = Mapper::new(&[Fake::At(1, 10), Fake::Filled(3, 11), Fake::At(4, 13)]);
        let (steps, _) = plan(&mut window(4), &mut mapper, 0..4, 4);
        assert_eq!(steps[0], read(0, 1, 10));
        assert_eq!(
            steps[1],
            Some(Step::Filled(run(1, 1, 11), Filled::IN_A_TEST))
        );
        // Only the first block of the answer was filled: the next one is asked for.
        assert_eq!(
            steps[2],
            Some(Step::Filled(run(2, 1, 12), Filled::IN_A_TEST))
        );
        assert_eq!(mapper.asked[2], (2, 2));
    }

    #[test]
    fn r9_mapper_error_is_the_error() {
        let mut mapper = Mapper::new(&[Fake::At(2, 10), Fake::Fails(4)]);
        let (steps, error) = plan(&mut window(4), &mut mapper, 0..4, 4);
        assert_eq!(steps, [None; 6]);
        assert_eq!(error, Some(ENOSPC));
    }

    #[test]
    fn r10_boundary_counts_at_the_end_of_its_mapping_only() {
        let mut mapper = Mapper::new(&[Fake::Boundary(8, 100), Fake::At(16, 200)]);
        let mut w = window(16);
        assert_eq!(plan(&mut w, &mut mapper, 0..4, 16).0[0], read(0, 4, 100));
        let last = Run {
            boundary: true,
            ..run(0, 4, 104)
        };
        assert_eq!(
            plan(&mut w, &mut mapper, 4..8, 16).0[0],
            Some(Step::Read(last))
        );
    }

    /// In a folio of several pages a run in front of metadata is read before the question that
    /// reads the metadata, where a page ends. Within a page the answer may continue it.
    #[test]
    fn r10_boundary_in_a_large_folio_goes_first() {
        let page = PAGE_SIZE as u32 >> 10;
        let (half, end) = (2 * page, 4 * page);
        let extents = [
            Fake::Boundary(half.into(), 100),
            Fake::At(end.into(), 10_000),
        ];
        let mut mapper = Mapper::new(&extents);
        let mut w = window(end.into());
        let mut walk = FolioPlan::new(&mut w, 0..end.into(), end.into());
        let first = Run {
            boundary: true,
            ..run(0, half, 100)
        };
        assert_eq!(
            walk.next(|at, max| mapper.lookup(at, max)),
            Ok(Some(Step::Read(first)))
        );
        assert_eq!(mapper.calls, 1);
        assert_eq!(
            walk.next(|at, max| mapper.lookup(at, max)),
            Ok(Some(Step::Read(run(half, half, 10_000))))
        );

        let within = u64::from(page + page / 2);
        let extents = [
            Fake::Boundary(within, 100),
            Fake::At(end.into(), 100 + within),
        ];
        let mut mapper = Mapper::new(&extents);
        let (steps, _) = plan(
            &mut window(end.into()),
            &mut mapper,
            0..end.into(),
            end.into(),
        );
        assert_eq!(steps[0], read(0, end, 100));
    }

    #[test]
    fn r16_a_large_folio_is_planned_as_a_small_one() {
        let mut mapper = Mapper::new(&[Fake::At(1000, 0), Fake::Hole(1024), Fake::At(2048, 5000)]);
        let (steps, _) = plan(&mut window(2048), &mut mapper, 0..2048, 2048);
        assert_eq!(steps[0], read(0, 1000, 0));
        assert_eq!(steps[1], zero(1000, 24));
        assert_eq!(steps[2], read(1024, 1024, 5000));
        assert_eq!(steps[3], None);
        assert_eq!(mapper.calls, 3);
    }

    #[test]
    fn b5_an_empty_answer_is_an_error_not_a_loop() {
        let mut mapper = Mapper::new(&[Fake::Empty(4)]);
        let (_, error) = plan(&mut window(4), &mut mapper, 0..4, 4);
        assert_eq!(error, Some(EIO));
    }

    #[test]
    fn b5_a_long_answer_is_cut_to_the_question() {
        let mut mapper = Mapper::new(&[Fake::TooLong(8, 7)]);
        let mut w = window(6);
        let (steps, _) = plan(&mut w, &mut mapper, 4..8, 64);
        // Two blocks of file; the boundary was behind them.
        assert_eq!(steps, [read(0, 2, 7), zero(2, 2), None, None, None, None]);
    }

    #[test]
    fn b5_a_block_number_that_wraps_is_an_error() {
        let mut mapper = Mapper::new(&[Fake::TooLong(8, u64::MAX)]);
        let mut w = window(8);
        plan(&mut w, &mut mapper, 0..4, 8);
        let (_, error) = plan(&mut w, &mut mapper, 4..8, 8);
        assert_eq!(error, Some(EIO));
    }

    #[test]
    fn an_empty_file_asks_nothing() {
        let mut mapper = Mapper::new(&[]);
        let (steps, _) = plan(&mut window(0), &mut mapper, 0..4, 4);
        assert_eq!(steps[0], zero(0, 4));
        assert_eq!(mapper.calls, 0);
    }
}
