// SPDX-License-Identifier: GPL-2.0

//! What was seen of the disks and of the mapper, and whether it is what was expected.

use crate::{
    support::Bio,
    table::Call, //
};

/// What was seen of a case.
pub(crate) trait Seen: Sized {
    /// Flags of bios that may be others in another run.
    const FLAGS_ASIDE: u32;

    /// Bios that reached the disks, in order.
    fn bios(&self) -> &[Bio];

    /// Questions to the mapper, in order.
    fn calls(&self) -> &[Call];

    /// Shows what was seen if that is not what was expected.
    fn expect(&self, what: &str, right: bool) -> bool;

    /// Whether these, and no others, are the bios: first sector and bytes.
    fn bios_are(&self, expected: &[(u64, u32)]) -> bool {
        let bios = self.bios().iter().map(|bio| (bio.sector, bio.bytes));
        self.expect("wrong bios", bios.eq(expected.iter().copied()))
    }

    /// Whether the bios are those of another run: disks, sectors, sizes, flags, hints and order.
    fn bios_as(&self, other: &Self) -> bool {
        let plain = |bio: &Bio| {
            let opf = bio.opf & !Self::FLAGS_ASIDE;
            (bio.disk, bio.sector, bio.bytes, opf, bio.hint)
        };
        let others = other.bios().iter().map(plain);
        let right = self.bios().iter().map(plain).eq(others);
        self.expect("other bios than", right) || other.expect("these", false)
    }

    /// Whether these, and no others, were the questions: first block and blocks.
    fn calls_are(&self, expected: &[(u64, u64)]) -> bool {
        let calls = self.calls().iter().map(|call| (call.at, call.max));
        self.expect("wrong questions", calls.eq(expected.iter().copied()))
    }
}
