// SPDX-License-Identifier: GPL-2.0

//! Rows about what goes wrong: W8, W9, W17, B5.

use kernel::prelude::*;

#[kunit_tests(rust_mpage_write_failure)]
mod tests {
    use crate::{
        seen::Seen,
        setup::OnDisks,
        support::{
            Completion::{
                AtOnce,
                InOrder,
                Reversed, //
            },
            Request, //
        },
        table::{
            ext,
            What::*,
            ABSURD, //
        },
        write::case::{
            Buffer::{
                Good,
                Stored, //
            },
            WriteCase,
            FLUSH,
            SYNC, //
        },
        Engine, //
    };
    use kernel::prelude::*;

    /// The error of a bio is told once, and every folio ends.
    #[test]
    fn w9_error_is_told_once() -> Result {
        let extents = [ext(3, Run(100)), ext(3, Run(200)), ext(3, Run(300))];
        for completion in [AtOnce, InOrder, Reversed] {
            for nth in 1..=3 {
                let case = WriteCase::new(12, &extents)
                    .completion(completion)
                    .fail_bio(nth);
                for seen in case.run_each(&Engine::ALL)? {
                    assert!(seen.came_to(0, Ok(()), Err(EIO)));
                    assert!(seen.dirty_are(&[]));
                    assert!(seen.right_bytes());
                    assert!(seen.bios.len() == 3);
                }
            }
        }
        Ok(())
    }

    /// The same for a folio that several bios write, whichever fails.
    #[test]
    fn w9_error_of_a_piece() -> Result {
        let extents = [ext(1, Run(100)), ext(1, Run(200)), ext(2, Run(300))];
        for completion in [AtOnce, InOrder, Reversed] {
            for nth in 1..=3 {
                let case = WriteCase::new(10, &extents)
                    .completion(completion)
                    .fail_bio(nth);
                for seen in case.run_each(&Engine::OURS)? {
                    assert!(seen.came_to(0, Ok(()), Err(EIO)));
                    assert!(seen.dirty_are(&[]));
                    assert!(seen.bios_are(&[(200, 1 << 10), (400, 1 << 10), (600, 2 << 10)]));
                }
            }
        }
        Ok(())
    }

    /// A failed write is not repeated, and does not spoil the next one.
    #[test]
    fn w9_the_next_write_is_fine() -> Result {
        let extents = [ext(3, Run(100))];
        let requests = [SYNC, SYNC];
        let case = WriteCase::new(12, &extents)
            .fail_bio(1)
            .requests(&requests)
            .dirty_again(&[1]);
        for seen in case.run_each(&Engine::ALL)? {
            assert!(seen.came_to(0, Ok(()), Err(EIO)));
            assert!(seen.came_to(1, Ok(()), Ok(())));
            assert!(seen.bios_are(&[(800, 3 << 12), (808, 1 << 12)]));
        }
        Ok(())
    }

    /// What has blocks is written, the folio stays dirty, and fsync knows.
    #[test]
    fn w17_full_disk_in_the_middle_of_a_folio() -> Result {
        let extents = [
            ext(2, Fresh(100)),
            ext(2, Fails(ENOSPC)),
            ext(4, Fresh(300)),
        ];
        for completion in [AtOnce, InOrder] {
            let case = WriteCase::new(10, &extents).completion(completion);
            for seen in case.run_each(&Engine::OURS)? {
                assert!(seen.came_to(0, Err(ENOSPC), Err(ENOSPC)));
                assert!(seen.bios_are(&[(200, 2 << 10), (600, 4 << 10)]));
                assert!(seen.dirty_are(&[0]));
                assert!(seen.right_bytes());
                assert!(!seen.has_buffers());
            }
        }
        Ok(())
    }

    #[test]
    fn w17_full_disk_at_the_start_of_a_folio() -> Result {
        let extents = [ext(4, Fails(EDQUOT)), ext(4, Fresh(300))];
        for seen in WriteCase::new(10, &extents).run_each(&Engine::OURS)? {
            assert!(seen.came_to(0, Err(EDQUOT), Err(EDQUOT)));
            assert!(seen.bios_are(&[(600, 4 << 10)]));
            assert!(seen.dirty_are(&[0]));
        }
        Ok(())
    }

    /// Once there is room again, the next writeback saves the data.
    #[test]
    fn w17_a_later_writeback_saves_it() -> Result {
        let extents = [ext(2, Fresh(100)), ext(2, Fresh(200))];
        let requests = [SYNC, SYNC];
        let case = WriteCase::new(10, &extents)
            .fail_call(2, ENOSPC)
            .requests(&requests);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.came_to(0, Err(ENOSPC), Err(ENOSPC)));
            assert!(seen.came_to(1, Ok(()), Ok(())));
            assert!(seen.bios_are(&[(200, 2 << 10), (200, 2 << 10), (400, 2 << 10)]));
            assert!(seen.dirty_are(&[]));
            assert!(seen.right_bytes());
        }
        Ok(())
    }

    /// Buffers that could not get a block stay dirty, the others are written.
    #[test]
    fn w17_buffers_without_a_block() -> Result {
        let extents = [
            ext(1, Run(100)),
            ext(1, Fresh(101)),
            ext(1, Fresh(150)),
            ext(1, Run(103)),
        ];
        let buffers = [(0, &[Good, Stored, Stored, Good][..])];
        let requests = [SYNC, SYNC];
        let case = WriteCase::new(10, &extents)
            .buffers(&buffers)
            .fail_call(2, ENOSPC);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.came_to(0, Err(ENOSPC), Err(ENOSPC)));
            assert!(seen.bios_are(&[(200, 2 << 10), (206, 1 << 10)]));
            assert!(seen.dirty_are(&[0]));
            let state =
                |it: &(u64, crate::support::DirtyState)| (it.1.dirty_buffers, it.1.mapped_buffers);
            assert!(seen.folios.iter().map(state).eq([(0b0100, 0b1011)]));
        }
        for seen in case.requests(&requests).run_each(&Engine::OURS)? {
            assert!(seen.came_to(1, Ok(()), Ok(())));
            assert!(seen.bios_are(&[(200, 2 << 10), (206, 1 << 10), (300, 1 << 10)]));
            assert!(seen.dirty_are(&[]));
            assert!(seen.right_bytes());
        }
        Ok(())
    }

    /// Memory that cannot be cleaned would stop everybody who writes: it is given up, as by C.
    #[test]
    fn w17_not_while_memory_is_short() -> Result {
        let extents = [ext(2, Fresh(100)), ext(2, Fails(ENOSPC))];
        let requests = [Request {
            background: true,
            ..FLUSH
        }];
        let buffers = [(0, &[Stored; 4][..])];
        for case in WriteCase::new(10, &extents).without_and_with(&buffers) {
            for seen in case.requests(&requests).run_each(&Engine::OURS)? {
                assert!(seen.gave_up(ENOSPC, 4));
            }
        }
        Ok(())
    }

    /// Who does not wait stops at the first error, and loses nothing of what comes after.
    #[test]
    fn w17_a_flush_stops_at_an_error() -> Result {
        let extents = [ext(1, Run(100)), ext(1, Fails(ENOSPC)), ext(2, Run(102))];
        let requests = [FLUSH];
        let case = WriteCase::new(12, &extents).requests(&requests);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.came_to(0, Err(ENOSPC), Err(ENOSPC)));
            assert!(seen.bios_are(&[(800, 1 << 12)]));
            assert!(seen.dirty_are(&[1, 2, 3]));
        }
        Ok(())
    }

    /// There is nowhere to write the rest of the last block; it is no error, as in C.
    #[test]
    fn r12_write_over_the_end_is_trimmed() -> Result {
        let extents = [ext(3, Run(123))];
        let case = WriteCase::new(12, &extents).sectors(1003);
        assert!(case.writes_as_c(&[(984, 19 << 9)])?);
        // The same for the last piece of a folio.
        let extents = [ext(2, Run(10)), ext(1, Run(20)), ext(1, Run(250))];
        let case = WriteCase::new(11, &extents).sectors(1003);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.all_written());
            assert!(seen.bios_are(&[(40, 4 << 10), (80, 2 << 10), (1000, 3 << 9)]));
        }
        Ok(())
    }

    #[test]
    fn b5_absurd_block_numbers() -> Result {
        for block in ABSURD {
            let whole = [ext(4, Run(100)), ext(4, Run(block)), ext(4, Run(104))];
            let part = [ext(6, Run(100)), ext(2, Run(block)), ext(4, Run(106))];
            for extents in [&whole, &part] {
                for seen in WriteCase::new(10, extents).run_each(&Engine::OURS)? {
                    assert!(seen.none_stuck());
                    let told = seen
                        .written
                        .iter()
                        .all(|it| it.first_error == EIO.to_errno());
                    assert!(seen.is("error", told));
                    let right = seen.bios.iter().filter(|bio| bio.sector < 1 << 21);
                    assert!(right.map(|bio| bio.wrong).sum::<u32>() == 0);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn b5_mappings_that_make_no_sense() -> Result {
        for what in [NoLength(102), NoDevice(102), Fails(EIO)] {
            let extents = [ext(2, Run(100)), ext(1, what), ext(1, Run(103))];
            let buffers = [(2, &[Stored][..])];
            for case in WriteCase::new(12, &extents).without_and_with(&buffers) {
                for seen in case.run_each(&Engine::OURS)? {
                    assert!(seen.came_to(0, Err(EIO), Err(EIO)));
                    assert!(seen.dirty_are(&[]));
                    assert!(seen.right_bytes());
                    assert!(seen.sectors_are((24, 0, 0)));
                }
            }
        }
        Ok(())
    }

    /// More than was asked for is not used, and what the device's cache has of it is kept.
    #[test]
    fn b5_mapping_longer_than_asked() -> Result {
        let extents = [ext(3, TooLong(100)), ext(5, Run(300))];
        let buffers = [(0, &[Stored; 4][..])];
        let case = WriteCase::new(10, &extents)
            .size(3 << 10)
            .device_blocks(&[(101, 0xee), (103, 0)]);
        for case in [case, case.buffers(&buffers)] {
            for seen in case.run_each(&Engine::OURS)? {
                assert!(seen.all_written());
                assert!(seen.bios_are(&[(200, 3 << 10), (206, 1 << 10)]));
            }
        }
        Ok(())
    }

    /// C has a `BUG_ON()` for a dirty folio that nobody has filled.
    #[test]
    fn b5_dirty_folio_without_contents() -> Result {
        let extents = [ext(3, Run(100))];
        let case = WriteCase::new(12, &extents).stale(&[1]);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.came_to(0, Err(EIO), Err(EIO)));
            assert!(seen.bios_are(&[(800, 1 << 12), (816, 1 << 12)]));
            assert!(seen.none_stuck());
        }
        Ok(())
    }

    /// Every completion, many folios: all end.
    #[test]
    fn w8_every_writeback_ends() -> Result {
        let extents = [
            ext(64, Run(100)),
            ext(1, Run(500)),
            ext(3, Run(600)),
            ext(2, Run(700)),
            ext(58, Run(800)),
        ];
        for completion in [AtOnce, InOrder, Reversed] {
            let case = WriteCase::new(10, &extents).completion(completion);
            for seen in case.run_each(&Engine::ALL)? {
                assert!(seen.all_written());
                assert!(seen.sectors_are((256, 0, 0)));
            }
        }
        Ok(())
    }
}
