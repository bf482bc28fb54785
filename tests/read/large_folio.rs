// SPDX-License-Identifier: GPL-2.0

//! Large folios that cannot be read as a whole: B4.

use kernel::prelude::*;

#[kunit_tests(rust_mpage_large_folio)]
mod tests {
    use crate::{
        read::case::{
            Case,
            How, //
        },
        setup::OnDisks,
        support::Completion,
        table::{
            ext,
            What::*, //
        },
        Engine, //
    };
    use kernel::prelude::*;

    /// A bad sector fails the bio and all its folios; then its page fails and no other.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn b4_bad_sector_costs_a_page() -> Result {
        // A page at a time and a disk that takes its time: once is enough.
        for (completion, block_bits) in [
            (Completion::AtOnce, &[10, 12][..]),
            (Completion::InOrder, &[10]),
        ] {
            for &bits in block_bits {
                let extents = [ext(64 << (12 - bits), Run(1000))];
                // In page 21.
                let sector = (1000 << (bits - 9)) + 21 * 8 + 3;
                let case = Case::new(bits, &extents).completion(completion);
                let case = case.bad_sectors(sector, 1);
                for orders in [&[4, 4, 4, 4][..], &[2, 2, 3, 4, 5], &[6]] {
                    let seen = case.run(Engine::Rust, How::ReadaheadOrders(orders))?;
                    assert_eq!(seen.bios.len(), 1);
                    assert!(seen.folios.iter().all(|folio| folio.is_failed()));

                    let seen = case.run(Engine::Rust, How::ReadaheadThenRead(orders))?;
                    for (page, result) in seen.results.iter().enumerate() {
                        assert_eq!(*result, if page == 21 { Err(EIO) } else { Ok(()) });
                    }
                    assert!(seen.failed(&[21]));
                    assert!(!seen.has_buffers());
                }
            }
        }
        Ok(())
    }

    /// A block that cannot be mapped costs its page, and the reader gets the errno.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn b4_mapper_error_costs_a_page() -> Result {
        let extents = [
            ext(20, Run(100)),
            ext(1, Fails(ENODATA)),
            ext(11, Run(200)),
            ext(32, Run(300)),
        ];
        for orders in [&[4, 4, 5][..], &[3, 2, 2, 4, 5], &[6]] {
            let case = Case::new(12, &extents);
            let seen = case.run(Engine::Rust, How::ReadaheadThenRead(orders))?;
            for (page, result) in seen.results.iter().enumerate() {
                assert_eq!(*result, if page == 20 { Err(ENODATA) } else { Ok(()) });
            }
            assert!(seen.failed(&[20]));
        }
        Ok(())
    }

    /// Pages behind the end of the file are not brought in, and the last page ends in zeros.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn b4_pages_end_with_the_file() -> Result {
        let extents = [ext(16, Run(100))];
        for size in [1, 4096, 4097, (9 << 12) + 1, 16 << 12] {
            let case = Case::new(12, &extents).size(size).fail_bio(1);
            let seen = case.run(Engine::Rust, How::ReadaheadThenRead(&[4]))?;
            assert!(seen.all_right());
            assert_eq!(seen.folios.len() as u64, size.div_ceil(4096));
        }
        Ok(())
    }

    /// What is newer than the disk is not given up for the sake of its neighbours.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn b4_dirty_buffers_are_kept() -> Result {
        let extents = [ext(64, Run(1000))];
        let case = Case::new(10, &extents).bad_sectors(2000 + 2 * 40, 1);
        let seen = case.run(Engine::Rust, How::ReadaheadDirtyThenRead(&[4], 0b1001))?;
        assert!(seen.results.iter().all(|result| *result == Err(EIO)));
        assert_eq!(seen.folios.len(), 1);
        assert!(seen.failed(&[0]));
        // All but the sectors of the bad block hold what they should, the dirty ones included.
        assert_eq!(seen.folios[0].wrong, 2);
        Ok(())
    }

    /// A mapping that can have no smaller folios reads them whole, and fails them whole.
    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn b4_smallest_folios_are_not_given_up() -> Result {
        let extents = [ext(8, Run(100))];
        let case = Case::new(12, &extents).order(2).bad_sectors(805, 1);
        let seen = case.run(Engine::Rust, How::Read)?;
        assert!(seen.results.iter().eq(&[Err(EIO), Ok(())]));
        assert!(seen.failed(&[0]));
        Ok(())
    }
}
