// SPDX-License-Identifier: GPL-2.0

//! Rows about what is asked of the mapper and what it answers: R2, R7 to R10, B5.

use kernel::prelude::*;

#[kunit_tests(rust_mpage_mapper)]
mod tests {
    use crate::{
        read::case::{
            Case,
            How, //
        },
        seen::Seen,
        setup::OnDisks,
        support::{
            orders,
            Completion, //
        },
        table::{
            ext,
            What::*,
            ABSURD, //
        },
        Engine, //
    };
    use kernel::prelude::*;

    #[test]
    fn r2_one_answer_serves_following_folios() -> Result {
        let extents = [ext(10, Run(100)), ext(22, Run(200))];
        for bits in [10, 12] {
            let case = Case::new(bits, &extents);
            let (kernel, ours) = case.compare(How::Readahead)?;
            for seen in ours {
                assert!(seen.all_right());
                assert!(seen.calls_are(&[(0, 32), (10, 22)]));
            }
            // At 1k the second answer begins inside a folio, which C then asks about again.
            assert!(bits == 10 || kernel.calls_are(&[(0, 32), (10, 22)]));
        }
        Ok(())
    }

    /// The question ends with the readahead window, rounded up to blocks.
    #[test]
    fn r2_asks_up_to_the_end_of_the_window() -> Result {
        let extents = [ext(64, Run(100))];
        let case = Case::new(10, &extents);
        let (kernel, ours) = case.compare(How::ReadaheadPages(5))?;
        for seen in ours {
            assert!(seen.calls_are(&[(0, 20)]));
            assert!(seen.bios_are(&[(200, 20 << 10)]));
            assert!(seen.failed(&[]));
            assert!(seen.calls_as(&kernel));
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    /// Nobody is asked about blocks behind the end of the file.
    #[test]
    fn r2_asks_up_to_the_end_of_the_file() -> Result {
        let extents = [ext(64, Run(100))];
        for order in orders(&[0, 3]) {
            let case = Case::new(10, &extents).order(order).size((9 << 10) + 1);
            let (kernel, ours) = case.compare(How::Readahead)?;
            for seen in ours {
                assert!(seen.all_right());
                assert!(seen.calls_are(&[(0, 10)]));
                assert!(seen.calls_as(&kernel));
            }
        }
        Ok(())
    }

    /// A hole is one answer, where a `get_block_t` can only say it of one block.
    #[test]
    fn r2_holes_have_lengths() -> Result {
        let extents = [ext(60, Hole), ext(4, Run(100))];
        let case = Case::new(10, &extents);
        let kernel = case.run(Engine::Kernel, How::Readahead)?;
        let seen = case.run(Engine::Rust, How::Readahead)?;
        assert!(seen.all_right());
        assert!(seen.calls_are(&[(0, 64), (60, 4)]));
        let seen = case.run(Engine::CInterface, How::Readahead)?;
        assert!(seen.all_right());
        assert_eq!(seen.calls.len(), 61);
        assert!(seen.calls_as(&kernel));
        Ok(())
    }

    /// A folio with buffers, some newer than the disk, is read through them; others are not.
    #[test]
    fn r7_folio_with_buffers() -> Result {
        let extents = [ext(8, Run(100))];
        let case = Case::new(10, &extents);
        for uptodate in [0b0000, 0b0101, 0b1000, 0b1111] {
            let how = How::ReadWithBuffers(uptodate);
            let (kernel, ours) = case.compare(how)?;
            for seen in ours {
                assert!(seen.all_right());
                let buffers = seen.folios.iter().map(|folio| folio.state.buffers);
                assert!(buffers.eq([true, false]));
                assert!(seen.bios_as(&kernel));
            }
        }
        Ok(())
    }

    /// A mapper fills a block that is the whole folio: no I/O, no buffers. (A Rust mapper has no
    /// access to the folio, so this is about the C interface.)
    #[test]
    fn r8_filled_folio() -> Result {
        let extents = [ext(2, Run(100)), ext(2, Filled(102)), ext(2, Run(104))];
        let case = Case::new(12, &extents);
        for how in [How::Readahead, How::Read] {
            let kernel = case.run(Engine::Kernel, how)?;
            let seen = case.run(Engine::CInterface, how)?;
            assert!(seen.all_right());
            assert!(!seen.has_buffers());
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    /// A mapper fills one block of a folio: that goes to the folio's buffers.
    #[test]
    fn r8_filled_block() -> Result {
        for filled in 0..4 {
            let extents = [
                ext(4, Run(100)),
                ext(filled, Run(104)),
                ext(1, Filled(104 + filled)),
                ext(7 - filled, Run(105 + filled)),
            ];
            let case = Case::new(10, &extents);
            for how in [How::Readahead, How::Read] {
                let kernel = case.run(Engine::Kernel, how)?;
                let seen = case.run(Engine::CInterface, how)?;
                assert!(seen.all_right());
                let buffers = seen.folios.iter().map(|folio| folio.state.buffers);
                assert!(buffers.eq([false, true, false]));
                assert!(seen.bios_as(&kernel));
            }
        }
        Ok(())
    }

    /// A mapper fills a block of a folio after other parts of the folio had to be read.
    #[test]
    fn r8_filled_block_of_scattered_folio() -> Result {
        let extents = [
            ext(1, Run(100)),
            ext(1, Run(50)),
            ext(1, Run(70)),
            ext(1, Filled(90)),
            ext(4, Run(20)),
        ];
        let case = Case::new(10, &extents);
        for how in [How::Readahead, How::Read] {
            assert!(case.run(Engine::Kernel, how)?.all_right());
            assert!(case.run(Engine::CInterface, how)?.all_right());
        }
        Ok(())
    }

    /// The reader of the folio gets the mapper's errno (`EIO` from C); the others get their data.
    #[test]
    fn r9_errno_reaches_the_reader() -> Result {
        let extents = [ext(2, Run(100)), ext(1, Fails(ENODATA)), ext(3, Run(103))];
        let case = Case::new(12, &extents);
        for seen in case.run_each(&Engine::ALL, How::Read)? {
            let error = if seen.engine == Engine::Kernel {
                EIO
            } else {
                ENODATA
            };
            let expected = [Ok(()), Ok(()), Err(error), Ok(()), Ok(()), Ok(())];
            assert!(seen.results.iter().eq(&expected));
            assert!(seen.failed(&[2]));
        }
        Ok(())
    }

    /// The same when parts of the folio are being read already, which end before the folio does.
    #[test]
    fn r9_error_in_scattered_folio() -> Result {
        let extents = [
            ext(1, Run(100)),
            ext(1, Run(50)),
            ext(1, Run(70)),
            ext(1, Fails(ENODATA)),
            ext(4, Run(20)),
        ];
        let case = Case::new(10, &extents);
        for completion in [
            Completion::AtOnce,
            Completion::InOrder,
            Completion::Reversed,
        ] {
            let case = case.completion(completion);
            for seen in case.run_each(&Engine::OURS, How::Read)? {
                assert!(seen.results.iter().eq(&[Err(ENODATA), Ok(())]));
                assert!(seen.failed(&[0]));
                assert!(!seen.has_buffers());
            }
        }
        Ok(())
    }

    /// A mapper is asked once about a block that it cannot map. (C asks again, through buffers.)
    #[test]
    fn r9_error_is_not_asked_for_again() -> Result {
        let extents = [ext(1, Run(100)), ext(1, Run(200))];
        let case = Case::new(12, &extents).fail_call(1, EUCLEAN);
        for seen in case.run_each(&Engine::OURS, How::Read)? {
            assert!(seen.results.iter().eq(&[Err(EUCLEAN), Ok(())]));
            assert!(seen.calls_are(&[(0, 1), (1, 1)]));
            assert!(seen.failed(&[0]));
        }
        Ok(())
    }

    /// The bio has gone out when the mapper is asked about what is behind the boundary.
    #[test]
    fn r10_boundary_submits_before_the_next_question() -> Result {
        let extents = [ext(12, Boundary(100)), ext(20, Run(113))];
        for bits in [10, 12] {
            let case = Case::new(bits, &extents);
            let (kernel, ours) = case.compare(How::Readahead)?;
            for seen in ours {
                assert!(seen.all_right());
                assert!(seen.calls_are(&[(0, 32), (12, 20)]));
                assert!(seen.calls.iter().map(|call| call.bios_before).eq([0, 1]));
                assert!(seen.calls_as(&kernel));
                assert!(seen.bios_as(&kernel));
            }
        }
        Ok(())
    }

    /// Within a large folio, too.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn r10_boundary_submits_within_a_large_folio() -> Result {
        let extents = [ext(12, Boundary(100)), ext(20, Run(113))];
        for (bits, order) in [(10, 3), (12, 5)] {
            let case = Case::new(bits, &extents).order(order);
            for seen in case.run_each(&Engine::OURS, How::Readahead)? {
                assert!(seen.all_right());
                assert!(seen.calls_are(&[(0, 32), (12, 20)]));
                assert!(seen.calls.iter().map(|call| call.bios_before).eq([0, 1]));
                let sector = |block: u64| block << (bits - 9);
                let bios = [(sector(100), 12 << bits), (sector(113), 20 << bits)];
                assert!(seen.bios_are(&bios));
            }
        }
        Ok(())
    }

    /// Even if the next block continues it.
    #[test]
    fn r10_boundary_submits_what_could_be_continued() -> Result {
        let extents = [ext(4, Boundary(100)), ext(4, Run(104))];
        let case = Case::new(12, &extents);
        let (kernel, ours) = case.compare(How::Readahead)?;
        for seen in ours {
            assert!(seen.all_right());
            assert!(seen.bios_are(&[(800, 4 << 12), (832, 4 << 12)]));
            assert!(seen.calls_as(&kernel));
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    /// A window that ends inside the mapping does not end at its boundary.
    #[test]
    fn r10_no_boundary_inside_a_mapping() -> Result {
        let extents = [ext(12, Boundary(100)), ext(4, Run(113))];
        let case = Case::new(12, &extents);
        for seen in case.run_each(&Engine::OURS, How::ReadaheadPages(8))? {
            assert!(seen.bios_are(&[(800, 8 << 12)]));
            assert!(seen.failed(&[]));
        }
        Ok(())
    }

    #[test]
    fn b5_mapping_of_no_length() -> Result {
        let extents = [ext(2, Run(100)), ext(1, NoLength(102)), ext(1, Run(103))];
        let case = Case::new(12, &extents);
        assert!(case.fails_alone(2)?);
        Ok(())
    }

    /// What was not asked for is not used: the file ends where it ends.
    #[test]
    fn b5_mapping_longer_than_asked() -> Result {
        let extents = [ext(8, TooLong(100)), ext(8, Run(300))];
        let case = Case::new(10, &extents).size(7 << 10);
        for seen in case.run_each(&Engine::OURS, How::Readahead)? {
            assert!(seen.all_right());
            assert!(seen.bios_are(&[(200, 7 << 10)]));
        }
        Ok(())
    }

    #[test]
    fn b5_mapping_without_device() -> Result {
        let extents = [ext(1, Run(100)), ext(1, NoDevice(101)), ext(1, Run(102))];
        let case = Case::new(12, &extents);
        assert!(case.fails_alone(1)?);
        Ok(())
    }

    /// Blocks that no device can have, whole and as a part of a scattered folio.
    #[test]
    fn b5_absurd_block_numbers() -> Result {
        for block in ABSURD {
            let whole = [ext(4, Run(100)), ext(4, Run(block)), ext(4, Run(104))];
            let part = [ext(6, Run(100)), ext(2, Run(block)), ext(4, Run(104))];
            for extents in [&whole, &part] {
                let case = Case::new(10, extents);
                assert!(case.fails_alone(1)?);
            }
        }
        Ok(())
    }
}
