// SPDX-License-Identifier: GPL-2.0

//! Random files, read by all engines: the bytes are right, every folio ends, and the library needs
//! no more bios than `fs/mpage.c`, but for those that row R10 asks for.

use crate::{
    random::Random,
    read::case::{
        Case,
        How,
        SeenRead, //
    },
    scale::Scale,
    setup::OnDisks,
    support::{
        has_order,
        on_shared_bench,
        Bench,
        Completion,
        SECTORS, //
    },
    table::{
        Extent,
        What, //
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

/// One random file.
struct Sample {
    block_bits: u32,
    order: u32,
    extents: KVec<Extent>,
    size: u64,
    completion: Completion,
    how: How,
    /// Where a bad sector may be.
    bad: u64,
}

impl Sample {
    fn new(random: &mut Random) -> Result<Self> {
        let block_bits = 9 + random.below(PAGE_SHIFT as u64 - 8) as u32;
        let order = random.below(5) as u32;
        let order = if has_order(order) { order } else { 0 };
        // fs/mpage.c takes the square of time for more blocks in a folio.
        let per_page = PAGE_SHIFT as u32 - block_bits;
        let order = order.min(7u32.saturating_sub(per_page));
        let extents = random.extents(block_bits, 1 << (order + per_page))?;
        let blocks: u64 = extents.iter().map(|extent| extent.len).sum();
        let mapped = extents.iter().find_map(|extent| match extent.what {
            What::Run(block) => Some(block),
            _ => None,
        });
        Ok(Self {
            block_bits,
            order,
            size: (blocks << block_bits) - random.below(1 << block_bits),
            completion: match random.below(8) {
                0 => Completion::InOrder,
                1 => Completion::Reversed,
                _ => Completion::AtOnce,
            },
            how: if random.one_in(3) {
                How::Read
            } else {
                How::Readahead
            },
            bad: mapped.unwrap_or(0) << (block_bits - 9),
            extents,
        })
    }

    fn case(&self) -> Case<'_> {
        Case::of_scale(self.block_bits, &self.extents, Scale::NONE)
            .order(self.order)
            .size(self.size)
            .sectors(SECTORS)
            .completion(self.completion)
    }

    fn show(&self) {
        let Self {
            block_bits,
            order,
            size,
            completion,
            how,
            ..
        } = self;
        pr_info!("bits {block_bits} order {order} size {size} {completion:?} {how:?}\n");
        for extent in &self.extents {
            pr_info!("  {extent:?}\n");
        }
    }

    /// Boundaries where a page ends, but not a folio. The library reads what is in front of them
    /// first, as C does in files of pages, but not in larger folios.
    fn boundaries_inside_folios(&self) -> usize {
        let page = PAGE_SIZE as u64 >> self.block_bits;
        let folio = page << self.order;
        let mut end = 0;
        let inside = self.extents.iter().filter(|extent| {
            end += extent.len;
            let boundary = matches!(extent.what, What::Boundary(_));
            boundary && end % page == 0 && end % folio != 0 && end << self.block_bits < self.size
        });
        inside.count()
    }

    /// Whether all engines read it right.
    fn is_read(&self, bench: &Bench) -> Result<bool> {
        let kernel = self.case().run_on(bench, Engine::Kernel, self.how)?;
        let mut right = kernel.all_right();
        for engine in Engine::OURS {
            let seen = self.case().run_on(bench, engine, self.how)?;
            right &= seen.all_right();
            if seen.bios.len() > kernel.bios.len() + self.boundaries_inside_folios() {
                pr_info!("{} bios, not {}\n", seen.bios.len(), kernel.bios.len());
                right = false;
            }
        }
        if !right {
            self.show();
        }
        Ok(right)
    }

    /// Whether with a bad sector every folio ends, right or failed, and readers learn which.
    fn ends(&self, bench: &Bench) -> Result<bool> {
        let case = self.case().bad_sectors(self.bad, 1);
        let mut right = true;
        for engine in Engine::OURS {
            let seen = case.run_on(bench, engine, self.how)?;
            right &= ends(&seen);
        }
        if !right {
            self.show();
        }
        Ok(right)
    }
}

/// Whether every folio is right or failed, as its reader was told.
fn ends(seen: &SeenRead) -> bool {
    let told = seen.results.iter().map(|result| result.is_ok());
    let right = seen.folios.iter().map(|folio| folio.is_right());
    seen.folios.iter().all(|it| it.is_right() || it.is_failed())
        && (seen.results.is_empty() || told.eq(right))
}

/// Tries `samples` files; the sequence begins with `seed`.
fn all(seed: u64, samples: usize, is: fn(&Sample, &Bench) -> Result<bool>) -> Result<bool> {
    let mut random = Random(seed);
    on_shared_bench(|bench| {
        for number in 0..samples {
            let sample = Sample::new(&mut random)?;
            if !is(&sample, bench)? {
                pr_info!("sample {number} of seed {seed:#x}\n");
                return Ok(false);
            }
        }
        Ok(true)
    })
}

#[kunit_tests(rust_mpage_random)]
mod tests {
    use super::*;

    #[test]
    fn r16_random_files() -> Result {
        assert!(all(0x6d70_6167_6521, 48, Sample::is_read)?);
        Ok(())
    }

    #[test]
    fn r11_random_files_with_a_bad_sector() -> Result {
        assert!(all(0x6261_6421, 40, Sample::ends)?);
        Ok(())
    }
}
