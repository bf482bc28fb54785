// SPDX-License-Identifier: GPL-2.0

//! A quick look at a directory entry: whether it is right, in a form that a loop over many entries
//! can ask of each. What is wrong, if something is, is for [`dirent`](crate::disk::dirent) to say.

use super::{
    dirent::ALIGN,
    structures::DirEntryHeader, //
};
use kernel::prelude::*;

/// The header of an entry that has nothing wrong with it, and a name. Some others are right, too,
/// and are to be looked at more closely.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    /// The inode, 0 if the entry is not in use.
    pub(crate) inode: u32,
    /// Bytes to the next entry or the end of the block.
    pub(crate) rec_len: u32,
    /// Bytes of the name, which begins [`Self::NAME`] bytes into the entry.
    pub(crate) name_len: u32,
}

impl Plain {
    /// Where the name begins, in bytes from the start of the entry.
    const NAME: usize = size_of::<DirEntryHeader>();

    /// That of the entry at the start of `rest`, which ends with the block. The conditions are
    /// those of [`Entries`](crate::disk::dirent::Entries).
    #[inline(always)]
    pub(crate) fn of(rest: &[u8], inodes_count: u32) -> Option<Self> {
        let word = u64::from_le_bytes(*rest.first_chunk()?);
        let header = Self {
            inode: word as u32,
            rec_len: u32::from((word >> 32) as u16),
            name_len: u32::from((word >> 48) as u8),
        };
        // A multiple of `ALIGN` that a name fits in is enough for an entry of that name.
        let is_right = header.name_len != 0
            && header.rec_len % ALIGN == 0
            && header.rec_len >= Self::NAME as u32 + header.name_len
            && header.rec_len as usize <= rest.len()
            && header.inode <= inodes_count;
        is_right.then_some(header)
    }

    /// The name of the entry, which `rest` begins with.
    pub(crate) fn name_in(self, rest: &[u8]) -> Option<&[u8]> {
        rest.get(Self::NAME..Self::NAME + self.name_len as usize)
    }

    /// Bytes that another entry can have: all, if this one is not in use.
    pub(crate) fn room(self) -> u32 {
        match self.inode {
            0 => self.rec_len,
            _ => self.slack(),
        }
    }

    /// Bytes behind the name that another entry can have.
    #[inline(always)]
    pub(crate) fn slack(self) -> u32 {
        let used = (Self::NAME as u32 + self.name_len).next_multiple_of(ALIGN);
        self.rec_len.saturating_sub(used)
    }
}

/// A name that is looked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    len: u32,
    /// Its last byte: names in one directory differ there rather than at the beginning.
    last: u8,
}

impl Wanted {
    pub(crate) fn new(name: &[u8]) -> Self {
        Self {
            // A name that is longer than this is in no entry.
            len: u32::try_from(name.len()).unwrap_or(u32::MAX),
            last: name.last().copied().unwrap_or(0),
        }
    }

    /// Whether an entry, which `rest` begins with, is in use and may have the name.
    #[inline(always)]
    pub(crate) fn may_be(self, header: Plain, rest: &[u8]) -> bool {
        header.name_len == self.len
            && rest.get(Plain::NAME - 1 + self.len as usize) == Some(&self.last)
            && header.inode != 0
    }
}

#[kunit_tests(rust_ext2_dirent_plain)]
mod tests {
    use super::{
        super::{
            block_size::BlockSize,
            dirent::{
                rec_len_for,
                DirFormat,
                Entries, //
            },
            test_images::Random, //
        },
        *,
    };

    const INODES: u32 = 1000;

    /// Any header, most with numbers that are right or nearly so.
    fn header(random: &mut Random) -> [u8; 8] {
        let (inode, rec_len) = match random.below(4) {
            0 => (random.edge(), random.edge()),
            1 => (INODES - 1 + random.below(3) as u32, random.edge() & !3),
            _ => (random.below(3) as u32, 1040 - random.below(1040) as u32),
        };
        let name_len = match random.below(2) {
            0 => random.edge() as u8,
            _ => (rec_len as u8).wrapping_sub(random.below(16) as u8),
        };
        let word = u64::from(inode)
            | u64::from(rec_len as u16) << 32
            | u64::from(name_len) << 48
            | random.below(8) << 56;
        word.to_le_bytes()
    }

    /// Against the close look: what is plain is right and the same, and of what is right only
    /// entries without a name are not plain.
    #[test]
    fn plain_is_what_a_close_look_finds_right() -> Result {
        let mut random = Random::new(12);
        let mut block = KVec::from_elem(b'n', 1024, GFP_KERNEL)?;
        let format = DirFormat {
            block_size: BlockSize::from_bits(10).ok_or(EINVAL)?,
            inodes_count: INODES,
            filetype: true,
        };
        let mut seen = 0;

        for _ in 0..20_000 {
            block
                .get_mut(..8)
                .ok_or(EINVAL)?
                .copy_from_slice(&header(&mut random));
            let right = Entries::new(format, &block).next().ok_or(EINVAL)?.ok();
            let Some(plain) = Plain::of(&block, INODES) else {
                assert!(right.is_none_or(|entry| entry.name.is_empty()));
                continue;
            };
            let entry = right.ok_or(EINVAL)?;
            assert_eq!(plain.inode, entry.inode);
            assert_eq!(plain.rec_len, entry.rec_len);
            assert_eq!(plain.name_len as usize, entry.name.len());
            let slack = entry.rec_len - rec_len_for(entry.name.len() as u8);
            assert_eq!(plain.slack(), slack);
            seen += 1;
        }
        assert!(seen > 1000);
        Ok(())
    }

    #[test]
    fn a_name_that_is_there_may_be_the_one_wanted() {
        let rest = b"\x05\0\0\0\x0c\0\x04\x01name";
        let may_be = |name: &[u8]| {
            Plain::of(rest, INODES).is_some_and(|plain| Wanted::new(name).may_be(plain, rest))
        };

        assert!(may_be(b"name"));
        assert!(!may_be(b"names"));
        assert!(!may_be(b"namf"));
        assert!(!may_be(b"e"));
        assert!(!may_be(b""));
        // The headers of entries that end too late, and that are not in use.
        assert!(Plain::of(b"\x05\0\0\0\x10\0\x04\x01name", INODES).is_none());
        assert!(Plain::of(b"\x05\0\0\0\x0c\0", INODES).is_none());
        let unused = b"\0\0\0\0\x0c\0\x04\x01name";
        let plain = Plain::of(unused, INODES);
        assert!(plain.is_some_and(|plain| !Wanted::new(b"name").may_be(plain, unused)));
    }
}
