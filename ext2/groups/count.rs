// SPDX-License-Identifier: GPL-2.0

//! The counts in a group descriptor: 16 bits each, in words that change in one step.
//!
//! Locks: none.

use kernel::prelude::*;

/// Words in a group descriptor.
pub(crate) const DESCRIPTOR_WORDS: usize = 8;

/// A count in a group descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GroupCount {
    /// `bg_free_blocks_count`.
    FreeBlocks,
    /// `bg_free_inodes_count`.
    FreeInodes,
    /// `bg_used_dirs_count`.
    Directories,
}

impl GroupCount {
    /// The word of the descriptor that has the count.
    pub(crate) const fn word(self) -> usize {
        match self {
            Self::FreeBlocks | Self::FreeInodes => 3,
            Self::Directories => 4,
        }
    }

    const fn shift(self) -> u32 {
        match self {
            Self::FreeBlocks | Self::Directories => 0,
            Self::FreeInodes => u16::BITS,
        }
    }

    /// The count in its word.
    pub(crate) const fn of(self, word: u32) -> u32 {
        (word >> self.shift()) & u16::MAX as u32
    }

    /// The word with the count changed by `by`.
    ///
    /// A count that is wrong on disk stays between its limits; C's wraps.
    pub(crate) fn changed(self, word: u32, by: i32) -> u32 {
        let mask = u32::from(u16::MAX) << self.shift();
        let count = self.of(word).saturating_add_signed(by).min(u16::MAX.into());

        word & !mask | count << self.shift()
    }
}

#[kunit_tests(rust_ext2_group_count)]
mod tests {
    use super::*;
    use crate::disk::{
        test_images::descriptor,
        GroupDescriptor,
        Le32, //
    };

    #[test]
    fn counts_are_where_the_format_puts_them() -> Result {
        let mut disk = descriptor(1, 2, 3);
        disk.free_blocks_count.set(0x1234);
        disk.free_inodes_count.set(0x5678);
        disk.used_dirs_count.set(0x9abc);
        disk.pad.set(0xffff);
        let words =
            <[Le32; DESCRIPTOR_WORDS]>::read_from_bytes(disk.as_bytes()).map_err(|_| EINVAL)?;
        let count = |of: GroupCount| words.get(of.word()).map(|word| of.of(word.get()));

        assert_eq!(size_of::<GroupDescriptor>(), DESCRIPTOR_WORDS * 4);
        assert_eq!(count(GroupCount::FreeBlocks), Some(0x1234));
        assert_eq!(count(GroupCount::FreeInodes), Some(0x5678));
        assert_eq!(count(GroupCount::Directories), Some(0x9abc));
        Ok(())
    }

    #[test]
    fn changes_leave_the_rest_of_the_word_alone() {
        assert_eq!(GroupCount::FreeBlocks.changed(0x5678_1234, -4), 0x5678_1230);
        assert_eq!(GroupCount::FreeInodes.changed(0x5678_1234, 8), 0x5680_1234);
        assert_eq!(GroupCount::Directories.changed(0xffff_0001, 1), 0xffff_0002);
    }

    #[test]
    fn counts_do_not_wrap() {
        assert_eq!(GroupCount::FreeBlocks.changed(0x5678_0002, -3), 0x5678_0000);
        assert_eq!(GroupCount::FreeBlocks.changed(0x5678_fffe, 3), 0x5678_ffff);
        assert_eq!(GroupCount::FreeInodes.changed(0xffff_1234, 1), 0xffff_1234);
        assert_eq!(GroupCount::FreeInodes.changed(0x0000_1234, -1), 0x0000_1234);
    }
}
