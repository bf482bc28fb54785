// SPDX-License-Identifier: GPL-2.0

//! Rows about where blocks are: R1, R3 to R6, R13, R16, R18, B3.

use kernel::prelude::*;

#[kunit_tests(rust_mpage_layout)]
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
            orders, //
        },
        table::{
            ext,
            What::*, //
        },
        Engine, //
    };
    use kernel::prelude::*;

    #[test]
    fn r1_contiguous_folios_share_a_bio() -> Result {
        let extents = [ext(64, Run(100))];
        let case = Case::new(12, &extents);
        assert!(case.reads_as_c(How::Readahead, &[(800, 64 << 12)])?);
        Ok(())
    }

    /// What one answer ends with, the next may continue.
    #[test]
    fn r1_contiguous_mappings_share_a_bio() -> Result {
        let extents = [ext(7, Run(100)), ext(9, Run(107)), ext(4, Run(116))];
        for bits in [10, 12] {
            let case = Case::new(bits, &extents);
            assert!(case.reads_as_c(How::Readahead, &[(100 << (bits - 9), 20 << bits)])?);
        }
        Ok(())
    }

    #[test]
    fn r1_a_break_submits() -> Result {
        let extents = [ext(3, Run(100)), ext(2, Run(104)), ext(3, Run(50))];
        let case = Case::new(12, &extents);
        assert!(case.reads_as_c(
            How::Readahead,
            &[(800, 3 << 12), (832, 2 << 12), (400, 3 << 12)]
        )?);
        Ok(())
    }

    /// The next block number on another device continues nothing. (C takes it for a continuation.)
    #[test]
    fn r1_another_device_submits() -> Result {
        let extents = [ext(4, Run(100)), ext(4, Other(104)), ext(4, Run(108))];
        for bits in [10, 12] {
            let (shift, bytes) = (bits - 9, 4 << bits);
            let case = Case::new(bits, &extents);
            for seen in case.run_each(&Engine::OURS, How::Readahead)? {
                assert!(seen.all_right());
                assert!(seen.bios_are(&[
                    (100 << shift, bytes),
                    (104 << shift, bytes),
                    (108 << shift, bytes)
                ]));
            }
        }
        Ok(())
    }

    /// A bio takes as many vectors as there are, then the next begins.
    #[test]
    fn r1_a_full_bio_submits() -> Result {
        let extents = [ext(600, Run(100))];
        let case = Case::new(12, &extents);
        for seen in case.run_each(&Engine::ALL, How::Readahead)? {
            assert!(seen.all_right());
            let mut next = 800;
            for bio in &seen.bios {
                assert_eq!(bio.sector, next);
                next += u64::from(bio.bytes >> 9);
                // Pages that are neighbours in memory share a vector.
                assert!(bio.segments == 256 || next == 800 + 600 * 8);
            }
            assert_eq!(next, 800 + 600 * 8);
            assert!(seen.bios.len() <= 3);
        }
        Ok(())
    }

    /// The second folio ends in a hole; the third would continue it on the disk.
    #[test]
    fn r3_hole_at_end_of_folio_is_zeroed_and_submits() -> Result {
        let extents = [ext(5, Run(100)), ext(3, Hole), ext(4, Run(105))];
        let case = Case::new(10, &extents);
        let (kernel, ours) = case.compare(How::Readahead)?;
        for seen in ours {
            assert!(seen.all_right());
            assert!(seen.bios_are(&[(200, 5 << 10), (210, 4 << 10)]));
            assert!(seen.bios_as(&kernel));
            assert!(!seen.has_buffers());
        }
        Ok(())
    }

    /// Behind the last block is nothing to read, even if the mapper has more.
    #[test]
    fn r3_end_of_file_is_zeroed() -> Result {
        let extents = [ext(40, Run(100))];
        for (bits, order) in [(9, 0), (10, 0), (10, 2), (12, 2)] {
            if !has_order(order) {
                continue;
            }
            let blocks = (1u64 << (order + 12 - bits)) + 1;
            let case = Case::new(bits, &extents).order(order);
            let case = case.size((blocks << bits) - 100);
            assert!(case.reads_as_c(
                How::Readahead,
                &[(100 << (bits - 9), (blocks << bits) as u32)]
            )?);
        }
        Ok(())
    }

    /// No I/O for a folio of nothing, and what is behind it may continue what is before it.
    #[test]
    fn r4_all_hole_is_zeroed_without_io() -> Result {
        let extents = [ext(4, Run(100)), ext(4, Hole), ext(4, Run(104))];
        let case = Case::new(10, &extents);
        assert!(case.reads_as_c(How::Readahead, &[(200, 8 << 10)])?);
        Ok(())
    }

    #[test]
    fn r4_file_of_nothing() -> Result {
        for order in orders(&[0, 4]) {
            let extents = [ext(64, Hole)];
            let case = Case::new(12, &extents).order(order);
            for how in [How::Readahead, How::Read] {
                for seen in case.run_each(&Engine::ALL, how)? {
                    assert!(seen.all_right());
                    assert!(seen.bios_are(&[]));
                    assert!(!seen.has_buffers());
                }
            }
        }
        Ok(())
    }

    #[test]
    fn r5_data_after_hole() -> Result {
        let extents = [
            ext(1, Hole),
            ext(3, Run(100)),
            ext(2, Hole),
            ext(2, Run(50)),
        ];
        let case = Case::new(10, &extents);
        assert!(case.run(Engine::Kernel, How::Readahead)?.all_right());
        for how in [How::Readahead, How::Read] {
            for seen in case.run_each(&Engine::OURS, how)? {
                assert!(seen.all_right());
                assert!(seen.bios_are(&[(200, 3 << 10), (100, 2 << 10)]));
                assert!(!seen.has_buffers());
            }
        }
        Ok(())
    }

    /// What comes after a hole may still continue the bio of the folio before.
    #[test]
    fn r5_data_after_hole_joins_the_bio() -> Result {
        let extents = [ext(4, Run(100)), ext(1, Hole), ext(7, Run(104))];
        let case = Case::new(10, &extents);
        for seen in case.run_each(&Engine::OURS, How::Readahead)? {
            assert!(seen.all_right());
            assert!(seen.bios_are(&[(200, 11 << 10)]));
        }
        Ok(())
    }

    #[test]
    fn r6_scattered_blocks() -> Result {
        let extents = [ext(2, Run(100)), ext(2, Run(50)), ext(4, Run(52))];
        let case = Case::new(10, &extents);
        assert!(case.run(Engine::Kernel, How::Readahead)?.all_right());
        for how in [How::Readahead, How::Read] {
            for seen in case.run_each(&Engine::OURS, how)? {
                assert!(seen.all_right());
                assert!(seen.bios_are(&[(200, 2 << 10), (100, 2 << 10), (104, 4 << 10)]));
                assert!(!seen.has_buffers());
            }
        }
        Ok(())
    }

    /// Runs and holes of every kind in one folio: a bio for each run, where C takes one for each
    /// block.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn b3_fewer_bios_and_no_buffers() -> Result {
        let extents = [
            ext(1, Hole),
            ext(3, Run(100)),
            ext(1, Hole),
            ext(5, Run(40)),
            ext(2, Run(60)),
            ext(3, Hole),
            ext(1, Run(62)),
        ];
        let case = Case::new(10, &extents).order(2);
        for how in [How::Readahead, How::Read] {
            let (kernel, ours) = case.compare(how)?;
            assert!(kernel.all_right());
            assert!(kernel.has_buffers());
            assert_eq!(kernel.bios.len(), 11);
            for seen in ours {
                assert!(seen.all_right());
                assert!(seen.bios_are(&[
                    (200, 3 << 10),
                    (80, 5 << 10),
                    (120, 2 << 10),
                    (124, 1 << 10)
                ]));
                assert!(!seen.has_buffers());
            }
        }
        Ok(())
    }

    #[test]
    fn r13_fully_mapped_folios_are_marked() -> Result {
        let extents = [
            ext(4, Run(100)),
            ext(2, Run(104)),
            ext(6, Hole),
            ext(4, Run(9)),
        ];
        let case = Case::new(10, &extents);
        for seen in case.run_each(&Engine::ALL, How::Readahead)? {
            assert!(seen.all_right());
            assert!(seen.mapped_to_disk(&[0, 3]));
        }
        Ok(())
    }

    /// A file with whole, torn, hollow and empty folios.
    ///
    /// Buffers take time that grows with the square of their number in a folio. So folios of very
    /// many blocks are not read with `fs/mpage.c`, which reads torn folios through buffers.
    fn sizes(block_bits: u32, order: u32) -> Result<bool> {
        let blocks = 1u64 << (order + 12 - block_bits);
        let extents = [
            ext(blocks + blocks / 2, Run(1000)),
            ext(blocks / 4, Hole),
            ext(blocks / 4, Run(1000 + blocks + blocks / 2)),
            ext(blocks / 2, Run(90000)),
            ext(blocks, Hole),
            ext(blocks / 2 + 1, Run(70000)),
        ];
        let case = Case::new(block_bits, &extents).order(order);
        let engines = if blocks >= 512 {
            &Engine::OURS[..]
        } else {
            &Engine::ALL
        };
        for seen in case.run_each(engines, How::Readahead)? {
            let sized = seen.folios.iter().all(|folio| folio.state.order == order);
            if !seen.all_right() || !sized {
                pr_info!("block bits {block_bits}, order {order}\n");
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[test]
    fn r16_block_size_512() -> Result {
        // The largest has as many blocks as a folio can have.
        for order in orders(&[0, 1, 2, 3, 4, 5, 9]) {
            assert!(sizes(9, order)?);
        }
        Ok(())
    }

    #[test]
    fn r16_block_size_1k() -> Result {
        for order in orders(&[0, 1, 2, 3, 4, 5, 6]) {
            assert!(sizes(10, order)?);
        }
        Ok(())
    }

    #[test]
    fn r16_block_size_2k() -> Result {
        for order in orders(&[0, 1, 2, 3, 4, 5, 6]) {
            assert!(sizes(11, order)?);
        }
        Ok(())
    }

    #[test]
    fn r16_block_size_4k() -> Result {
        for order in orders(&[0, 1, 2, 3, 4, 5, 6, 9]) {
            assert!(sizes(12, order)?);
        }
        Ok(())
    }

    /// Folios of many sizes in one request share a bio, as in C.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn r16_mixed_orders() -> Result {
        const ORDERS: &[u8] = &[0, 0, 1, 2, 3, 4, 0, 0, 1, 2, 3];
        let extents = [ext(48, Run(100))];
        let case = Case::new(12, &extents);
        let (kernel, ours) = case.compare(How::ReadaheadOrders(ORDERS))?;
        assert!(kernel.all_right());
        for seen in ours {
            assert!(seen.all_right());
            assert_eq!(seen.folios.len(), ORDERS.len());
            assert!(seen.bios_are(&[(800, 48 << 12)]));
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    #[test]
    fn r18_one_page() -> Result {
        let extents = [ext(1, Run(100)), ext(1, Run(101))];
        let case = Case::new(12, &extents);
        let (kernel, ours) = case.compare(How::Read)?;
        for seen in ours {
            assert!(seen.all_right());
            assert!(seen.results.iter().all(Result::is_ok));
            assert!(seen.bios_are(&[(800, 1 << 12), (808, 1 << 12)]));
            assert!(seen.bios_flagged_ahead(false));
            assert!(seen.bios_as(&kernel));
            assert!(seen.calls_as(&kernel));
        }
        Ok(())
    }
}
