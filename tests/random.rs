// SPDX-License-Identifier: GPL-2.0

//! Random numbers, and extents made of them.

use crate::{
    support::SECTORS,
    table::{
        ext,
        Extent,
        What, //
    }, //
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
