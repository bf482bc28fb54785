// SPDX-License-Identifier: GPL-2.0

//! Rows about folios that have buffers, in every state: W1, W2, W4, W6, W7.

use crate::{
    support::DirtyState,
    table::{
        ext,
        What::Run, //
    },
    write::case::{
        Buffer,
        SeenWritten,
        WriteCase, //
    },
};
use kernel::prelude::*;

const STATES: [Buffer; 5] = [
    Buffer::Good,
    Buffer::Clean,
    Buffer::Unread,
    Buffer::Hole,
    Buffer::Stored,
];

/// Combinations of the states of four buffers, in which any three of them have all states that
/// three buffers can have: the fourth follows from the others. And those of one state.
fn combinations() -> Result<KVec<[Buffer; 4]>> {
    let mut combinations = KVec::new();
    let mut push = |digits: [usize; 4]| {
        let states = digits.map(|digit| STATES.get(digit % STATES.len()).copied());
        let states = states.map(|state| state.unwrap_or(Buffer::Good));
        combinations.push(states, GFP_KERNEL)
    };
    for code in 0..STATES.len().pow(3) {
        let digits = [1, 5, 25].map(|unit| code / unit % STATES.len());
        let [first, second, third] = digits;
        push([first, second, third, first + second + third])?;
    }
    for digit in 1..STATES.len() {
        push([digit; 4])?;
    }
    Ok(combinations)
}

/// Writes a file of a folio for each combination, all contiguous on the disk.
fn every_state_is_written() -> Result<bool> {
    let combinations = combinations()?;
    let mut buffers = KVec::new();
    for (page, states) in (0..).zip(&combinations) {
        buffers.push((page, &states[..]), GFP_KERNEL)?;
    }
    let blocks = 4 * combinations.len();
    let extents = [ext(blocks as u64, Run(FIRST))];
    let case = WriteCase::new(10, &extents).buffers(&buffers);
    let (kernel, ours) = case.compare()?;
    let expected = times_written(&kernel, blocks)?;
    for seen in ours {
        let times = times_written(&seen, blocks)?;
        if !seen.all_written() || times != expected || !as_kernel(&seen, &kernel) {
            let different = |it: &usize| times.get(*it) != expected.get(*it);
            let first = (0..blocks).find(different);
            let states = first.and_then(|block| combinations.get(block / 4));
            pr_info!("{:?}: block {first:?} of {states:?}\n", seen.engine);
            return Ok(false);
        }
    }
    Ok(true)
}

/// The block that the file begins with.
const FIRST: u64 = 100;

/// How often each of the file's blocks was written.
fn times_written(seen: &SeenWritten, blocks: usize) -> Result<KVec<u8>> {
    let mut times = KVec::from_elem(0u8, blocks, GFP_KERNEL)?;
    for bio in &seen.bios {
        let first = (bio.sector / 2).checked_sub(FIRST).ok_or(EINVAL)? as usize;
        let written = times.iter_mut().skip(first).take(bio.bytes as usize >> 10);
        written.for_each(|times| *times += 1);
    }
    Ok(times)
}

/// Whether the same was written, with no more bios, and the same blocks have a place.
fn as_kernel(seen: &SeenWritten, kernel: &SeenWritten) -> bool {
    let mapped = |seen: &SeenWritten, kernel: &SeenWritten| {
        let bits = |(_, state): &(u64, DirtyState)| state.mapped_buffers;
        seen.folios
            .iter()
            .map(bits)
            .eq(kernel.folios.iter().map(bits))
    };
    seen.sectors_as(kernel)
        && seen.is("more bios", seen.bios.len() <= kernel.bios.len())
        && seen.is("mapped", mapped(seen, kernel))
}

#[kunit_tests(rust_mpage_write_states)]
mod tests {
    use crate::{
        seen::Seen,
        setup::OnDisks,
        table::{
            ext,
            What::*, //
        },
        write::case::{
            Buffer::{
                self,
                Clean,
                Edge,
                Good,
                Hole as Empty,
                Stored, //
            },
            WriteCase, //
        },
        Engine, //
    };
    use kernel::prelude::*;

    const ALL_GOOD: [Buffer; 4] = [Good; 4];

    #[test]
    fn w1_good_buffers_go_into_the_bio() -> Result {
        let extents = [ext(16, Run(100))];
        let buffers = [
            (0, &ALL_GOOD[..]),
            (1, &ALL_GOOD[..]),
            (2, &ALL_GOOD[..]),
            (3, &ALL_GOOD[..]),
        ];
        let case = WriteCase::new(10, &extents).buffers(&buffers);
        let (kernel, ours) = case.compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.bios_are(&[(200, 16 << 10)]));
            assert!(seen.bios_as(&kernel));
            assert!(seen.calls_are(&[]));
        }
        Ok(())
    }

    /// Folios with buffers and without share a bio.
    #[test]
    fn w1_with_and_without_buffers() -> Result {
        let extents = [ext(16, Run(100))];
        let buffers = [(1, &ALL_GOOD[..]), (3, &ALL_GOOD[..])];
        let case = WriteCase::new(10, &extents).buffers(&buffers);
        assert!(case.writes_as_c(&[(200, 16 << 10)])?);
        Ok(())
    }

    #[test]
    fn w1_hole_at_the_end() -> Result {
        let extents = [ext(2, Run(100)), ext(2, Hole), ext(4, Run(104))];
        let buffers = [(0, &[Good, Good, Empty, Empty][..]), (1, &ALL_GOOD[..])];
        let case = WriteCase::new(10, &extents).buffers(&buffers);
        assert!(case.writes_as_c(&[(200, 2 << 10), (208, 4 << 10)])?);
        Ok(())
    }

    /// A folio that is not written to its end is the last of its bio, whatever comes behind it.
    #[test]
    fn w5_short_folio_submits() -> Result {
        let extents = [ext(2, Run(100)), ext(2, Hole), ext(4, Run(102))];
        let buffers = [(0, &[Good, Good, Empty, Empty][..]), (1, &ALL_GOOD[..])];
        let case = WriteCase::new(10, &extents).buffers(&buffers);
        assert!(case.writes_as_c(&[(200, 2 << 10), (204, 4 << 10)])?);
        Ok(())
    }

    #[test]
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    fn w1_large_folio() -> Result {
        let extents = [ext(16, Run(100))];
        let buffers = [(0, &[Good; 16][..])];
        let case = WriteCase::new(10, &extents).buffers(&buffers).orders(&[2]);
        assert!(case.writes_as_c(&[(200, 16 << 10)])?);
        Ok(())
    }

    /// States in all combinations: what the kernel writes is written, and nothing else.
    #[test]
    fn w2_every_state() -> Result {
        assert!(super::every_state_is_written()?);
        Ok(())
    }

    #[test]
    fn w2_scattered_buffers() -> Result {
        let extents = [ext(1, Run(100)), ext(3, Run(200)), ext(4, Run(203))];
        let buffers = [(0, &ALL_GOOD[..]), (1, &ALL_GOOD[..])];
        let case = WriteCase::new(10, &extents).buffers(&buffers);
        let (kernel, ours) = case.compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.bios_as(&kernel));
        }
        Ok(())
    }

    /// Stores to a mapped page of a hole: its buffers get blocks, with one question.
    #[test]
    fn w2_stores_get_blocks() -> Result {
        let extents = [ext(8, Fresh(100))];
        let buffers = [(0, &[Stored; 4][..]), (1, &[Stored; 4][..])];
        let case = WriteCase::new(10, &extents)
            .buffers(&buffers)
            .device_blocks(&[(103, 0xee)]);
        let (kernel, ours) = case.compare()?;
        for seen in ours {
            assert!(seen.all_written());
            assert!(seen.calls_are(&[(0, 4), (4, 4)]));
            assert!(seen.bios_are(&[(200, 8 << 10)]));
            assert!(seen.sectors_as(&kernel));
        }
        Ok(())
    }

    /// Buffers behind the end of the file are neither written nor given blocks.
    #[test]
    fn w4_buffers_beyond_the_end() -> Result {
        let extents = [ext(4, Fresh(100))];
        let buffers = [(0, &[Stored; 4][..])];
        for size in [1, 1024, 1025, 3000] {
            let case = WriteCase::new(10, &extents).buffers(&buffers).size(size);
            let (kernel, ours) = case.compare()?;
            for seen in ours {
                assert!(seen.all_written());
                assert!(seen.sectors_as(&kernel));
                let end = size.div_ceil(1 << 10);
                assert!(seen.is("calls", seen.calls.iter().all(|it| it.at + it.max <= end)));
            }
        }
        Ok(())
    }

    #[test]
    fn w4_rest_of_the_last_block_is_zeroed() -> Result {
        let extents = [ext(4, Run(100))];
        for states in [
            [Good, Good, Good, Good],
            [Good, Good, Good, Empty],
            [Clean, Good, Good, Empty],
        ] {
            let buffers = [(0, &states[..])];
            let case = WriteCase::new(10, &extents).buffers(&buffers).size(2500);
            let (kernel, ours) = case.compare()?;
            for seen in ours {
                assert!(seen.all_written());
                assert!(seen.is("cut", seen.sectors().1 == 1));
                assert!(seen.sectors_as(&kernel));
                assert!(seen.bios_as(&kernel));
            }
        }
        Ok(())
    }

    #[test]
    fn w6_boundary_of_a_buffer() -> Result {
        let extents = [ext(4, Run(100)), ext(4, Run(105))];
        let buffers = [
            (0, &[Good, Good, Good, Edge][..]),
            (1, &[Good, Edge, Good, Good][..]),
        ];
        let case = WriteCase::new(10, &extents)
            .buffers(&buffers)
            .device_blocks(&[(104, 0)]);
        assert!(case.writes_as_c(&[(200, 4 << 10), (208, 1 << 10), (210, 4 << 10)])?);
        Ok(())
    }

    /// What a bio cannot have of a folio it does not take, and the folio is as it was.
    #[test]
    fn safe_wrong_ranges_reach_nothing() -> Result {
        let extents = [ext(4, Run(100))];
        let case = WriteCase::new(12, &extents).buffers(&[(1, &[Good])]);
        for seen in case.run_each(&[Engine::Rust, Engine::Careless])? {
            assert!(seen.all_written());
            assert!(seen.bios_are(&[(800, 4 << 12)]));
        }
        Ok(())
    }

    /// Folios of files without buffers get none, and are dirty as before.
    #[test]
    fn safe_no_buffers_where_there_are_none() -> Result {
        let extents = [ext(4, Run(100))];
        for seen in WriteCase::new(12, &extents).run_each(&[Engine::Buffered])? {
            assert!(seen.came_to(0, Err(EINVAL), Ok(())));
            assert!(seen.dirty_are(&[0, 1, 2, 3]) && seen.bios_are(&[]));
            assert!(!seen.folios.iter().any(|(_, state)| state.buffers));
        }
        Ok(())
    }

    /// A folio that a full bio hands back is as it was: dirty, and so are its buffers. Those that
    /// the bio took are clean, and their writeback ends with the bio, which is dropped.
    #[test]
    fn w7_buffers_are_clean_once_the_folio_is_in_the_bio() -> Result {
        let extents = [ext(16, Run(100))];
        let mut buffers = KVec::new();
        for page in 0..16 {
            buffers.push((page, &[Good][..]), GFP_KERNEL)?;
        }
        let case = WriteCase::new(12, &extents).buffers(&buffers);
        for seen in case.run_each(&[Engine::Dropping])? {
            assert!(seen.none_stuck());
            assert!(seen.came_to(0, Ok(()), Err(EIO)));
            let whole =
                |state: &crate::support::DirtyState| u64::from(state.dirty) == state.dirty_buffers;
            assert!(seen.is("halves", seen.folios.iter().all(|(_, it)| whole(it))));
            let dirty = seen.folios.iter().filter(|(_, state)| state.dirty).count();
            assert!(seen.is("dirty", dirty > 0 && dirty < 16));
        }
        Ok(())
    }
}
