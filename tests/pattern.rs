// SPDX-License-Identifier: GPL-2.0

//! What bytes should be where: the patterns of `pattern_disk.c` and `page_cache.c`, computed again.

/// Bytes in a sector.
pub(crate) const SECTOR_SIZE: usize = 512;

/// What a mapper of these tests puts into a block that it fills itself.
pub(crate) const FILLED: u8 = 0xf1;

/// What a sector of a file should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Zeros.
    Zero,
    /// The same byte everywhere.
    Byte(u8),
    /// What a sector of a disk holds.
    Disk {
        /// The disk's number.
        number: u32,
        /// The sector.
        sector: u64,
    },
}

impl Contents {
    /// Whether that is what the bytes of one sector are.
    pub(crate) fn is(self, bytes: &[u8]) -> bool {
        match self {
            Self::Zero => bytes.iter().all(|&byte| byte == 0),
            Self::Byte(expected) => bytes.iter().all(|&byte| byte == expected),
            Self::Disk { number, sector } => {
                let first = sector.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ u64::from(number) << 56;
                let (words, _) = bytes.as_chunks::<8>();
                (0..)
                    .zip(words)
                    .all(|(i, &word)| u64::from_ne_bytes(word) == first.wrapping_add(i))
            }
        }
    }

    /// Makes the bytes of one sector that.
    pub(crate) fn fill(self, bytes: &mut [u8]) {
        match self {
            Self::Zero => bytes.fill(0),
            Self::Byte(byte) => bytes.fill(byte),
            Self::Disk { number, sector } => {
                let first = sector.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    ^ u64::from(number) << 56;
                let (words, _) = bytes.as_chunks_mut::<8>();
                for (i, word) in (0..).zip(words) {
                    *word = first.wrapping_add(i).to_ne_bytes();
                }
            }
        }
    }
}
