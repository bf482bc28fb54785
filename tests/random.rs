// SPDX-License-Identifier: GPL-2.0

//! Random files, read by all engines: the bytes are right, every folio ends, and the library needs
//! no more bios than `fs/mpage.c`, but for those that row R10 asks for.

use crate::{
    case::{
        Case,
        How,
        Seen, //
    },
    support::{
        on_shared_bench,
        Bench,
        Completion,
        SECTORS, //
    },
    table::{
        ext,
        Extent,
        What, //
    },
    Engine, //
};
use kernel::prelude::*;

/// xorshift64: any sequence does, as long as it is the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Extents around the size of a folio of `folio` blocks, of which about half continue the one
    /// before on the disk.
    pub(crate) fn extents(&mut self, block_bits: u32, folio: u64) -> Result<KVec<Extent>> {
        let blocks = SECTORS >> (block_bits - 9);
        let mut extents = KVec::new();
        let mut next = self.below(blocks / 2);
        for _ in 0..=self.below(12) {
            let most = if self.one_in(3) {
                3 * folio
            } else {
                folio.div_ceil(3)
            };
            let len = 1 + self.below(most);
            let what = match self.below(8) {
                0..2 => What::Hole,
                2..5 => What::Run(next),
                5 => What::Boundary(next),
                _ => {
                    next = self.below(blocks / 2);
                    What::Run(next)
                }
            };
            if !matches!(what, What::Hole) {
                next += len;
            }
            extents.push(ext(len, what), GFP_KERNEL)?;
        }
        Ok(extents)
    }
}

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
        let block_bits = 9 + random.below(4) as u32;
        let order = random.below(5) as u32;
        let extents = random.extents(block_bits, 1 << (order + 12 - block_bits))?;
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
        Case::new(self.block_bits, &self.extents)
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
        let page = 4096 >> self.block_bits;
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
fn ends(seen: &Seen) -> bool {
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
