// SPDX-License-Identifier: GPL-2.0

//! Rows about completion, failing I/O, odd disks and missing memory: R11, R12, R14, R15.

use kernel::prelude::*;

#[kunit_tests(rust_mpage_failure)]
mod tests {
    use crate::{
        read::case::{
            Case,
            How, //
        },
        seen::Seen,
        setup::OnDisks,
        support::{
            has_order,
            orders,
            Completion::{
                self,
                AtOnce,
                InOrder,
                Reversed, //
            }, //
        },
        table::{
            ext,
            Extent,
            What::*, //
        },
        Engine, //
    };
    use kernel::prelude::*;

    const COMPLETIONS: [Completion; 3] = [AtOnce, InOrder, Reversed];

    /// Three folios of four runs each.
    const SCATTERED: [Extent; 12] = [
        ext(1, Run(100)),
        ext(1, Run(200)),
        ext(1, Run(300)),
        ext(1, Run(400)),
        ext(1, Run(500)),
        ext(1, Run(600)),
        ext(1, Run(700)),
        ext(1, Run(800)),
        ext(1, Run(900)),
        ext(1, Run(1000)),
        ext(1, Run(1100)),
        ext(1, Run(1200)),
    ];

    /// The folios of the bio that failed fail, no others.
    #[test]
    fn r11_error_fails_the_folios_of_the_bio() -> Result {
        let extents = [ext(3, Run(100)), ext(3, Run(200)), ext(3, Run(300))];
        for completion in COMPLETIONS {
            let case = Case::new(12, &extents).completion(completion).fail_bio(2);
            for seen in case.run_each(&Engine::ALL, How::Readahead)? {
                assert!(seen.failed(&[3, 4, 5]));
                assert_eq!(seen.bios.len(), 3);
            }
        }
        Ok(())
    }

    /// The pieces of scattered folios end in any order, all on their way at once.
    #[test]
    fn r11_scattered_folios_end_once() -> Result {
        for completion in COMPLETIONS {
            let case = Case::new(10, &SCATTERED).completion(completion);
            for seen in case.run_each(&Engine::OURS, How::Readahead)? {
                assert!(seen.all_right());
                assert_eq!(seen.bios.len(), 12);
                assert!(matches!(completion, AtOnce) || seen.most_waiting > 1);
            }
            for seen in case.run_each(&Engine::OURS, How::Read)? {
                assert!(seen.all_right());
            }
        }
        Ok(())
    }

    /// One piece of a scattered folio fails: that folio fails, once all its pieces have ended.
    #[test]
    fn r11_error_in_one_piece() -> Result {
        for completion in COMPLETIONS {
            for piece in 0..4 {
                let sector = 2 * (500 + 100 * piece);
                let case = Case::new(10, &SCATTERED).completion(completion);
                let case = case.bad_sectors(sector, 1);
                for seen in case.run_each(&Engine::OURS, How::Read)? {
                    assert!(seen.results.iter().eq(&[Ok(()), Err(EIO), Ok(())]));
                    assert!(seen.failed(&[1]));
                    assert!(!seen.has_buffers());
                }
                for seen in case.run_each(&Engine::OURS, How::Readahead)? {
                    assert!(seen.failed(&[1]));
                }
            }
        }
        Ok(())
    }

    /// A bio that is dropped before it is submitted ends its folios as failed reads.
    #[test]
    fn r11_dropped_bio_ends_its_folios() -> Result {
        let extents = [ext(8, Run(100))];
        for order in orders(&[0, 3]) {
            let case = Case::new(12, &extents).order(order);
            let seen = case.run(Engine::Dropping, How::Read)?;
            assert!(seen.results.iter().all(|result| *result == Err(EIO)));
            assert!(seen.folios.iter().all(|folio| folio.is_failed()));
            assert_eq!(seen.folios.len(), 8 >> order);
            assert!(seen.bios_are(&[]));
        }
        Ok(())
    }

    /// What a bio cannot have of a folio it does not take, and what nobody has filled nobody reads.
    #[test]
    fn safe_wrong_ranges_reach_nothing() -> Result {
        let extents = [
            ext(8, Run(800)),
            ext(1, Run(0)),
            ext(7, Hole),
            ext(32, Run(100)),
        ];
        let case = Case::new(9, &extents);
        let seen = case.run(Engine::Careless, How::Read)?;
        let expected = [Ok(()), Ok(()), Err(EIO), Err(EIO), Err(EIO), Err(EIO)];
        assert!(seen.results.iter().eq(&expected));
        assert!(seen.failed(&[2, 3, 4, 5]));
        assert!(seen.bios_are(&[(800, 4096), (0, 512)]));
        Ok(())
    }

    /// Folios of files without buffers get none.
    #[test]
    fn safe_no_buffers_where_there_are_none() -> Result {
        let extents = [ext(4, Run(100))];
        let seen = Case::new(12, &extents).run(Engine::Buffered, How::Read)?;
        assert!(seen.results.iter().all(|result| *result == Err(EINVAL)));
        assert!(seen.failed(&[0, 1, 2, 3]) && seen.bios_are(&[]));
        assert!(!seen.folios.iter().any(|folio| folio.state.buffers));
        Ok(())
    }

    /// What can be read of the last block is, and the rest is zeroed.
    #[test]
    fn r12_bio_over_the_end_is_trimmed() -> Result {
        for (bits, order) in [(12, 0), (12, 2), (11, 0), (10, 0), (10, 3)] {
            if !has_order(order) {
                continue;
            }
            for sectors in [1001, 1003, 1007] {
                // Two pages before the last one that the disk has a part of, and that.
                let first = (sectors / 8 - 2) << (12 - bits);
                let extents = [ext(3 << (12 - bits), Run(first))];
                let case = Case::new(bits, &extents).order(order).sectors(sectors);
                let (kernel, ours) = case.compare(How::Readahead)?;
                assert!(kernel.all_right());
                for seen in ours {
                    let start = first << (bits - 9);
                    assert!(seen.all_right());
                    assert!(seen.bios_are(&[(start, ((sectors - start) << 9) as u32)]));
                    assert!(seen.bios_as(&kernel));
                }
                for seen in case.run_each(&Engine::OURS, How::Read)? {
                    assert!(seen.all_right());
                }
            }
        }
        Ok(())
    }

    /// The last piece of a scattered folio is over the end.
    #[test]
    fn r12_piece_over_the_end_is_trimmed() -> Result {
        let extents = [ext(1, Run(100)), ext(1, Run(200)), ext(2, Run(499))];
        for completion in COMPLETIONS {
            let case = Case::new(10, &extents).sectors(1001).completion(completion);
            for seen in case.run_each(&Engine::OURS, How::Read)? {
                assert!(seen.all_right());
                assert!(seen.bios_are(&[(200, 1024), (400, 1024), (998, 3 << 9)]));
            }
        }
        Ok(())
    }

    #[test]
    fn r12_bio_beyond_the_end_fails() -> Result {
        let extents = [ext(2, Run(100)), ext(2, Run(126)), ext(1, Run(102))];
        let case = Case::new(12, &extents).sectors(1003);
        for seen in case.run_each(&Engine::ALL, How::Read)? {
            let expected = [Ok(()), Ok(()), Err(EIO), Err(EIO), Ok(())];
            assert!(seen.results.iter().eq(&expected));
            assert!(seen.failed(&[2, 3]));
        }
        Ok(())
    }

    /// No memory to keep track of a scattered folio: buffers do it. Not a failure. Which allocation
    /// that is depends on what the slab allocator does underneath; no other one matters.
    #[test]
    #[cfg(CONFIG_FAILSLAB)]
    fn r14_no_memory_to_split() -> Result {
        let extents = [ext(2, Run(100)), ext(2, Run(50)), ext(4, Run(200))];
        let case = Case::new(10, &extents);
        for engine in Engine::OURS {
            let (mut ahead, mut demand) = (false, false);
            for nth in 1..=4 {
                let seen = case.run(engine, How::ReadaheadFailing(&[0, 0], nth))?;
                assert!(seen.all_right());
                ahead |= seen.has_buffers();
                let seen = case.run(engine, How::ReadFailing(nth))?;
                assert!(seen.failed(&[]));
                demand |= seen.has_buffers();
            }
            assert!(ahead && demand);
        }
        Ok(())
    }

    /// No memory for a bio: buffers do it for that folio, and the next one tries again.
    #[test]
    #[cfg(CONFIG_FAILSLAB)]
    fn r14_no_memory_for_a_bio() -> Result {
        let extents = [ext(8, Run(100))];
        let case = Case::new(12, &extents).hold_back_memory();
        let how = How::ReadaheadFailing(&[0, 0, 0, 0, 0, 0, 0, 0], 1);
        for seen in case.run_each(&Engine::ALL, how)? {
            assert!(seen.all_right());
            assert!(seen.folios.iter().take(1).all(|folio| folio.state.buffers));
            assert!(seen.folios.iter().skip(1).all(|folio| !folio.state.buffers));
            assert!(seen.bios_are(&[(800, 1 << 12), (808, 7 << 12)]));
        }
        Ok(())
    }

    /// No memory for the bio of a piece: other pieces may be on their way, so it waits.
    #[test]
    #[cfg(CONFIG_FAILSLAB)]
    fn r14_no_memory_for_a_piece() -> Result {
        let case = Case::new(10, &SCATTERED).hold_back_memory();
        for engine in Engine::OURS {
            for nth in 1..=6 {
                let seen = case.run(engine, How::ReadaheadFailing(&[0, 0, 0], nth))?;
                assert!(seen.all_right());
                let seen = case.run(engine, How::ReadFailing(nth))?;
                assert!(seen.results.iter().eq(&[Ok(())]));
                assert!(seen.failed(&[]));
            }
        }
        Ok(())
    }

    #[test]
    fn r15_readahead_is_flagged() -> Result {
        let extents = [
            ext(4, Run(100)),
            ext(2, Run(50)),
            ext(2, Run(60)),
            ext(4, Run(70)),
        ];
        let case = Case::new(10, &extents);
        for seen in case.run_each(&Engine::OURS, How::Readahead)? {
            assert!(seen.all_right());
            assert_eq!(seen.bios.len(), 4);
            assert!(seen.bios_flagged_ahead(true));
        }
        for seen in case.run_each(&Engine::OURS, How::Read)? {
            assert!(seen.bios_flagged_ahead(false));
        }
        Ok(())
    }

    /// Readahead ends with the folio that cannot be mapped; what is behind it leaves the cache.
    #[test]
    fn r15_stops_at_a_mapper_error() -> Result {
        let extents = [ext(2, Run(100)), ext(1, Fails(ENODATA)), ext(3, Run(103))];
        let case = Case::new(12, &extents);
        for seen in case.run_each(&Engine::ALL, How::Readahead)? {
            assert!(seen.failed(&[2]));
            assert_eq!(seen.folios.len(), 3);
            assert!(seen.calls.iter().all(|call| call.at <= 2));
            assert!(seen.engine == Engine::Kernel || seen.calls_are(&[(0, 6), (2, 4)]));
        }
        Ok(())
    }

    /// And with the folio whose bio has failed by then, as on a disk that is gone.
    #[test]
    fn r15_stops_at_a_failed_bio() -> Result {
        let tail = [
            ext(2, Run(100)),
            ext(2, Hole),
            ext(4, Run(200)),
            ext(4, Run(300)),
        ];
        let whole = [ext(4, Boundary(100)), ext(4, Run(200)), ext(4, Run(300))];
        let extents: [&[Extent]; 2] = [&tail, &whole];
        for extents in extents {
            let case = Case::new(10, extents).fail_bio(1);
            for seen in case.run_each(&Engine::ALL, How::Readahead)? {
                assert!(seen.failed(&[0]));
                assert_eq!(seen.folios.len(), 1);
                assert_eq!(seen.bios.len(), 1);
            }
        }
        Ok(())
    }

    /// The same for a scattered folio.
    #[test]
    fn r15_stops_at_a_failed_piece() -> Result {
        let case = Case::new(10, &SCATTERED).fail_bio(6);
        for seen in case.run_each(&Engine::OURS, How::Readahead)? {
            assert!(seen.failed(&[1]));
            assert_eq!(seen.folios.len(), 2);
        }
        Ok(())
    }
}
