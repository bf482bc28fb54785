// SPDX-License-Identifier: GPL-2.0

//! Rows about where bios begin and end, and what is in them: W3 to W6, W10 to W15, B1, B3, B7.

use kernel::prelude::*;

#[kunit_tests(rust_mpage_write_layout)]
mod tests {
    use crate::{
        seen::Seen,
        setup::OnDisks,
        support::{
            has_order,
            Completion::{
                AtOnce,
                Held,
                InOrder,
                Reversed, //
            },
            Request, //
        },
        table::{
            ext,
            What::*, //
        },
        write::case::{
            WriteCase,
            FLUSH,
            SYNC, //
        },
        Engine, //
    };
    use kernel::{
        bindings,
        page::PAGE_SIZE,
        prelude::*, //
    };

    #[test]
    fn w5_contiguous_folios_share_a_bio() -> Result {
        let extents = [ext(32, Fresh(100))];
        for completion in [AtOnce, InOrder, Reversed] {
            let case = WriteCase::new(10, &extents).completion(completion);
            let (kernel, ours) = case.compare()?;
            for seen in ours {
                assert!(seen.all_written());
                assert!(seen.bios_are(&[(200, 32 << 10)]));
                assert!(seen.bios_as(&kernel));
            }
        }
        Ok(())
    }

    #[test]
    fn w5_break_submits() -> Result {
        let extents = [ext(3, Run(100)), ext(3, Run(104)), ext(2, Other(107))];
        let case = WriteCase::new(12, &extents);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.all_written());
            assert!(seen.bios_are(&[(800, 3 << 12), (832, 3 << 12), (856, 2 << 12)]));
        }
        let extents = [ext(3, Run(100)), ext(3, Run(104)), ext(2, Run(90))];
        let (kernel, ours) = WriteCase::new(12, &extents).compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    /// A folio that is not dirty is a break, too.
    #[test]
    fn w5_gap_submits() -> Result {
        let extents = [ext(8, Run(100))];
        let case = WriteCase::new(12, &extents).clean(&[3]);
        assert!(case.writes_as_c(&[(800, 3 << 12), (832, 4 << 12)])?);
        Ok(())
    }

    #[test]
    fn w5_full_bio_goes_on_in_the_next() -> Result {
        let extents = [ext(300, Run(1000))];
        let (kernel, ours) = WriteCase::new(12, &extents).compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.sectors_are((2400, 0, 0)));
            assert!(seen.bios.len() <= kernel.bios.len());
        }
        Ok(())
    }

    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn w5_folios_of_any_order() -> Result {
        let extents = [ext(600 * 4, Fresh(1000))];
        let case = WriteCase::new(10, &extents).orders(&[9, 4, 3, 0, 0, 1, 2]);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.all_written());
            assert!(seen.sectors_are((4800, 0, 0)));
            assert!(seen.bios_are(&[(2000, 600 << 12)]));
        }
        Ok(())
    }

    #[test]
    fn b1_a_question_for_each_folio_not_for_each_block() -> Result {
        let extents = [ext(16, Fresh(100))];
        let case = WriteCase::new(10, &extents);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.all_written());
            assert!(seen.calls_are(&[(0, 4), (4, 4), (8, 4), (12, 4)]));
            assert!(seen.is("create", seen.calls.iter().all(|call| call.create)));
        }
        if !has_order(2) {
            return Ok(());
        }
        for seen in case.orders(&[2]).run_each(&Engine::OURS)? {
            assert!(seen.all_written());
            assert!(seen.calls_are(&[(0, 16)]));
        }
        Ok(())
    }

    /// What the device's own cache has of a block that is the file's now must not be written over
    /// the file.
    #[test]
    fn w3_aliases_of_new_blocks_are_forgotten() -> Result {
        let extents = [ext(8, Fresh(100))];
        let case = WriteCase::new(10, &extents).device_blocks(&[(102, 0xee), (107, 0xee)]);
        assert!(case.writes_as_c(&[(200, 8 << 10)])?);
        Ok(())
    }

    #[test]
    fn b3_scattered_folio_without_buffers() -> Result {
        let extents = [
            ext(1, Fresh(100)),
            ext(2, Fresh(200)),
            ext(1, Run(300)),
            ext(4, Run(301)),
            ext(3, Run(400)),
            ext(1, Fresh(500)),
        ];
        for completion in [AtOnce, InOrder, Reversed] {
            let case = WriteCase::new(10, &extents).completion(completion);
            let (kernel, ours) = case.compare()?;
            for seen in ours {
                assert!(seen.all_written());
                assert!(!seen.has_buffers());
                assert!(seen.sectors_as(&kernel));
                assert!(seen.bios.len() < kernel.bios.len());
            }
        }
        if !has_order(1) {
            return Ok(());
        }
        let case = WriteCase::new(10, &extents).orders(&[1, 0]);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.all_written());
            assert!(!seen.has_buffers());
            assert!(seen.sectors_are((24, 0, 0)));
        }
        Ok(())
    }

    #[test]
    fn w4_rest_of_the_last_block_is_zeroed() -> Result {
        let extents = [ext(6, Run(100))];
        for (size, sectors) in [
            ((5 << 10) + 700, (11, 1, 0)),
            ((5 << 10) + 512, (11, 0, 1)),
            ((5 << 10) + 100, (10, 1, 1)),
            (6 << 10, (12, 0, 0)),
            (5 << 10, (10, 0, 0)),
        ] {
            let case = WriteCase::new(10, &extents).size(size);
            let (kernel, ours) = case.compare()?;
            // With larger pages the sector in which the file ends is a smaller part of a block.
            let sectors = if PAGE_SIZE == 4096 {
                sectors
            } else {
                kernel.sectors()
            };
            for seen in ours {
                assert!(seen.all_written());
                assert!(seen.sectors_are(sectors));
                assert!(seen.bios_as(&kernel));
            }
            if !has_order(1) {
                continue;
            }
            for seen in case.orders(&[1]).run_each(&Engine::OURS)? {
                assert!(seen.all_written());
                assert!(seen.sectors_are(sectors));
            }
        }
        Ok(())
    }

    /// Neither written nor given blocks.
    #[test]
    fn w4_folio_beyond_the_end() -> Result {
        let extents = [ext(16, Fresh(100))];
        for size in [4 << 10, (4 << 10) - 1, 1] {
            let case = WriteCase::new(10, &extents).size(size).pages(4);
            let (kernel, ours) = case.compare()?;
            for seen in ours {
                assert!(seen.all_written());
                assert!(seen.bios_as(&kernel));
                let end = size.div_ceil(1 << 10);
                assert!(seen.is("calls", seen.calls.iter().all(|it| it.at + it.max <= end)));
            }
        }
        Ok(())
    }

    /// The bio goes, and then the metadata that comes next on the disk.
    #[test]
    fn w6_boundary_submits_and_pushes_the_next_block() -> Result {
        let extents = [ext(12, Boundary(100)), ext(20, Run(113))];
        let case = WriteCase::new(10, &extents).device_blocks(&[(112, 0)]);
        assert!(case.writes_as_c(&[(200, 12 << 10), (224, 1 << 10), (226, 20 << 10)])?);
        Ok(())
    }

    /// If it is clean, or not in the cache at all, nothing is pushed; the bio goes nevertheless.
    #[test]
    fn w6_boundary_submits_what_could_be_continued() -> Result {
        let extents = [ext(12, Boundary(100)), ext(20, Run(112))];
        let (kernel, ours) = WriteCase::new(10, &extents).compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.bios_are(&[(200, 12 << 10), (224, 20 << 10)]));
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    #[test]
    fn w10_the_flags_say_who_waits() -> Result {
        let extents = [ext(4, Run(100))];
        let sync = 1 << bindings::req_flag_bits___REQ_SYNC;
        let background = 1 << bindings::req_flag_bits___REQ_BACKGROUND;
        let urgent = Request {
            background: true,
            ..FLUSH
        };
        for (request, flags) in [(SYNC, sync), (FLUSH, 0), (urgent, background)] {
            let requests = [request];
            let case = WriteCase::new(12, &extents).requests(&requests);
            let (kernel, ours) = case.compare()?;
            for seen in ours {
                assert!(seen.all_written());
                let right = |opf: u32| opf & (sync | background) == flags;
                assert!(seen.is("flags", seen.bios.iter().all(|bio| right(bio.opf))));
                assert!(seen.bios_as(&kernel));
            }
        }
        Ok(())
    }

    /// Who waits gets what was dirtied during an earlier write written again; others do not wait.
    #[test]
    fn w10_folios_under_writeback() -> Result {
        let extents = [ext(2, Run(100))];
        let first = Request {
            leave: true,
            ..FLUSH
        };
        let case = WriteCase::new(12, &extents)
            .completion(InOrder)
            .dirty_again(&[1]);
        let requests = [first, SYNC];
        for seen in case.requests(&requests).run_each(&Engine::ALL)? {
            assert!(seen.all_written());
            assert!(seen.bios_are(&[(800, 2 << 12), (808, 1 << 12)]));
        }
        let requests = [first, FLUSH];
        let case = case.completion(Held);
        for seen in case.requests(&requests).run_each(&Engine::ALL)? {
            assert!(seen.bios_are(&[(800, 2 << 12)]));
            assert!(seen.dirty_are(&[1]));
        }
        Ok(())
    }

    #[test]
    fn w11_number_of_pages() -> Result {
        let extents = [ext(8, Run(100))];
        let requests = [Request {
            nr_to_write: 3,
            ..FLUSH
        }];
        let case = WriteCase::new(12, &extents).requests(&requests);
        let (kernel, ours) = case.compare()?;
        for seen in ours {
            assert!(seen.bios_are(&[(800, 3 << 12)]));
            assert!(seen.dirty_are(&[3, 4, 5, 6, 7]));
            assert!(seen.is("left", seen.written.iter().all(|it| it.left == 0)));
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    /// Each request goes on where the one before has stopped, whatever its range says.
    #[test]
    fn w11_cyclic() -> Result {
        let extents = [ext(8, Run(100))];
        let all = Request {
            cyclic: true,
            range_end: 0,
            ..FLUSH
        };
        let requests = [all];
        let (kernel, ours) = WriteCase::new(12, &extents).requests(&requests).compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.bios_are(&[(800, 8 << 12)]));
            assert!(seen.bios_as(&kernel));
        }
        let three = Request {
            nr_to_write: 3,
            ..all
        };
        let requests = [three; 3];
        let case = WriteCase::new(12, &extents)
            .requests(&requests)
            .dirty_again(&[0]);
        let (kernel, ours) = case.compare()?;
        for seen in ours {
            assert!(seen.bios_are(&[(800, 3 << 12), (824, 3 << 12), (848, 2 << 12)]));
            assert!(seen.dirty_are(&[0]));
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    #[test]
    fn w11_range() -> Result {
        let extents = [ext(8, Run(100))];
        for base in [SYNC, FLUSH] {
            let requests = [Request {
                range_start: 2 << 12,
                range_end: (5 << 12) - 1,
                ..base
            }];
            let case = WriteCase::new(12, &extents).requests(&requests);
            let (kernel, ours) = case.compare()?;
            for seen in ours {
                assert!(seen.bios_are(&[(816, 3 << 12)]));
                assert!(seen.dirty_are(&[0, 1, 5, 6, 7]));
                assert!(seen.bios_as(&kernel));
            }
        }
        Ok(())
    }

    /// Each byte once, full bios or not.
    #[test]
    fn w12_bytes_are_charged_once() -> Result {
        let extents = [ext(300, Run(1000))];
        let scattered = [ext(1, Run(100)), ext(1, Run(200)), ext(2, Run(300))];
        for (bits, extents, bytes) in [(12, &extents[..], 300 << 12), (10, &scattered, 1 << 12)] {
            let (kernel, ours) = WriteCase::new(bits, extents).compare()?;
            // The kernel may be without writeback for cgroups.
            let counted = kernel.written.iter().any(|it| it.charged != 0);
            for seen in ours {
                assert!(seen.all_written());
                let charged = seen.written.iter().map(|it| it.charged).sum::<u64>();
                assert!(seen.is("charge", !counted || charged == bytes));
            }
        }
        Ok(())
    }

    #[test]
    fn w13_bios_have_the_write_hint() -> Result {
        let extents = [ext(4, Run(100)), ext(2, Run(200)), ext(2, Run(300))];
        let case = WriteCase::new(11, &extents).hint(3);
        let (kernel, ours) = case.compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.is("hint", seen.bios.iter().all(|bio| bio.hint == 3)));
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    #[test]
    fn w14_one_plug_for_the_walk() -> Result {
        let extents = [ext(1, Run(100)), ext(1, Run(300)), ext(1, Run(500))];
        for seen in WriteCase::new(12, &extents).run_each(&Engine::ALL)? {
            assert!(seen.all_written());
            assert!(seen.is("plugs", seen.bios.len() == 3 && seen.unplugs == 1));
        }
        Ok(())
    }

    /// What the handler has dealt with is not written; the rest is.
    #[test]
    fn w15_a_hook_may_handle_folios() -> Result {
        let extents = [ext(6, Run(100))];
        let requests = [Request {
            hook_every: 3,
            ..SYNC
        }];
        let case = WriteCase::new(12, &extents).requests(&requests);
        for seen in case.run_each(&[Engine::Kernel, Engine::CInterface])? {
            assert!(seen.bios_are(&[(808, 2 << 12), (832, 2 << 12)]));
            assert!(seen.is("hooked", seen.written.iter().all(|it| it.hooked == 2)));
            assert!(seen.all_written());
        }
        Ok(())
    }

    #[test]
    fn b7_bios_are_sized_from_what_is_left() -> Result {
        let extents = [ext(12, Run(100))];
        let case = WriteCase::new(12, &extents);
        for seen in case.run_each(&Engine::OURS)? {
            assert!(seen.all_written());
            assert!(seen.is("room", seen.bios.iter().all(|bio| bio.room <= 16)));
        }
        for request in [
            Request {
                range_end: (2 << 12) - 1,
                ..SYNC
            },
            Request {
                nr_to_write: 2,
                ..FLUSH
            },
        ] {
            let requests = [request];
            for seen in case.requests(&requests).run_each(&Engine::OURS)? {
                assert!(seen.bios_are(&[(800, 2 << 12)]));
                assert!(seen.is("room", seen.bios.iter().all(|bio| bio.room <= 4)));
            }
        }
        Ok(())
    }
}
