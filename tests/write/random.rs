// SPDX-License-Identifier: GPL-2.0

//! Random dirty files, written by all engines: the bytes and their places are those that
//! `fs/mpage.c` writes, every folio ends, and the library needs no more bios.

use crate::{
    random::Random,
    scale::Scale,
    setup::OnDisks,
    support::{
        has_order,
        on_shared_bench,
        Bench,
        Completion, //
    },
    table::{
        Extent,
        What, //
    },
    write::case::{
        Buffer,
        SeenWritten,
        WriteCase, //
    },
    Engine, //
};
use kernel::{
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// Buffers of a page of the smallest blocks.
const MOST_BUFFERS: usize = PAGE_SIZE >> 9;

/// One random file.
struct Sample {
    block_bits: u32,
    extents: KVec<Extent>,
    size: u64,
    orders: KVec<u8>,
    buffers: KVec<(u64, [Buffer; MOST_BUFFERS])>,
    clean: KVec<u64>,
    completion: Completion,
}

impl Sample {
    fn new(random: &mut Random) -> Result<Self> {
        let block_bits = 9 + random.below(PAGE_SHIFT as u64 - 8) as u32;
        let mut extents = random.extents(block_bits, 1 << (PAGE_SHIFT as u32 - block_bits))?;
        // Files of holes are no use: holes are blocks to be allocated.
        for (number, extent) in (1..).zip(extents.iter_mut()) {
            if matches!(extent.what, What::Hole) {
                extent.what = What::Fresh(number * 1000);
            }
        }
        let blocks: u64 = extents.iter().map(|extent| extent.len).sum();
        let mut sample = Self {
            block_bits,
            size: (blocks << block_bits) - random.below(1 << block_bits),
            orders: KVec::new(),
            buffers: KVec::new(),
            clean: KVec::new(),
            completion: match random.below(8) {
                0 => Completion::InOrder,
                1 => Completion::Reversed,
                _ => Completion::AtOnce,
            },
            extents,
        };
        let pages = sample.size.div_ceil(PAGE_SIZE as u64);
        for page in 0..pages {
            sample.orders.push(
                if random.one_in(3) && has_order(3) {
                    random.below(4) as u8
                } else {
                    0
                },
                GFP_KERNEL,
            )?;
            if random.one_in(8) {
                sample.clean.push(page, GFP_KERNEL)?;
            } else if random.one_in(2) {
                let buffers = [(); MOST_BUFFERS].map(|()| sample.buffer(random));
                sample.buffers.push((page, buffers), GFP_KERNEL)?;
            }
        }
        Ok(sample)
    }

    fn buffer(&self, random: &mut Random) -> Buffer {
        match random.below(16) {
            0 => Buffer::Clean,
            1 => Buffer::Unread,
            2 => Buffer::Hole,
            3 => Buffer::Stored,
            4 => Buffer::Edge,
            _ => Buffer::Good,
        }
    }

    /// Writes the file with each engine; says whether they agree.
    fn agrees(&self, bench: &Bench) -> Result<bool> {
        let per_page = PAGE_SIZE >> self.block_bits;
        let mut buffers = KVec::new();
        for (page, states) in &self.buffers {
            buffers.push((*page, states.get(..per_page).ok_or(EINVAL)?), GFP_KERNEL)?;
        }
        let case = WriteCase::of_scale(self.block_bits, &self.extents, Scale::NONE)
            .size(self.size)
            .orders(&self.orders)
            .buffers(&buffers)
            .clean(&self.clean)
            .completion(self.completion);
        let kernel = case.run_on(bench, Engine::Kernel)?;
        for engine in Engine::OURS {
            let seen = case.run_on(bench, engine)?;
            if !self.as_kernel(&seen, &kernel) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn as_kernel(&self, seen: &SeenWritten, kernel: &SeenWritten) -> bool {
        let sectors = |seen: &SeenWritten| {
            // Order does not matter, place does: sums of places and of their squares.
            let places = seen.bios.iter().flat_map(|bio| {
                (bio.sector..bio.sector + u64::from(bio.bytes >> 9)).map(|it| (it, it * it))
            });
            places.fold((0u64, 0u64), |sum, (place, square)| {
                (sum.0 + place, sum.1.wrapping_add(square))
            })
        };
        seen.all_written()
            && seen.sectors_as(kernel)
            && seen.is("places", sectors(seen) == sectors(kernel))
            && seen.is("more bios", seen.bios.len() <= kernel.bios.len())
            && seen.is("more questions", seen.calls.len() <= kernel.calls.len())
    }
}

/// Tries `samples` files; the sequence begins with `seed`.
fn all(seed: u64, samples: usize) -> Result<bool> {
    let mut random = Random(seed);
    on_shared_bench(|bench| {
        for number in 0..samples {
            let sample = Sample::new(&mut random)?;
            if !sample.agrees(bench)? {
                pr_info!(
                    "sample {number}: {} bytes of 2^{}\n",
                    sample.size,
                    sample.block_bits
                );
                return Ok(false);
            }
        }
        Ok(true)
    })
}

#[kunit_tests(rust_mpage_write_random)]
mod tests {
    use super::*;

    #[test]
    fn w5_random_files() -> Result {
        assert!(all(0x7772_6974_6521, 48)?);
        Ok(())
    }
}
