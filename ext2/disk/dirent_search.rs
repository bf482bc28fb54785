// SPDX-License-Identifier: GPL-2.0

//! Looks at the entries of one block: the one at some place, and what there is in all.
//!
//! Locks: none; as [`dirent`](crate::disk::dirent).

use super::dirent::{
    rec_len_for,
    DirEntry,
    DirError,
    DirFormat,
    Entries, //
};
use kernel::prelude::*;

/// What is at some place in a block.
pub(crate) struct Around<'a> {
    /// The entry before it in its block.
    pub(crate) previous: Option<DirEntry<'a>>,
    /// The first entry of the block that starts there or behind it.
    pub(crate) next: Option<DirEntry<'a>>,
}

/// Finds the entry that starts at byte `offset`, if one does, by a walk over its block from the
/// beginning: what looks like an entry may be within another.
pub(crate) fn around<'a>(
    format: DirFormat,
    bytes: &'a [u8],
    offset: u32,
) -> Result<Around<'a>, DirError> {
    let block_size = format.block_size.bytes();
    let block_start = offset & !(block_size - 1);
    let left = (block_size - (offset - block_start)) as usize;
    let end = block_start.saturating_add(block_size) as usize;
    let bytes = bytes.get(..end).unwrap_or(bytes);
    let mut entries = Entries::starting_at(format, bytes, block_start);
    let mut previous = None;

    // No entry is looked at closely that ends before the place.
    while let Some(entry) =
        entries.next_that(|header, rest| rest.len() <= left + header.rec_len as usize)
    {
        let entry = entry?;
        if entry.offset >= offset {
            return Ok(Around {
                previous,
                next: Some(entry),
            });
        }
        previous = Some(entry);
    }
    Ok(Around {
        previous,
        next: None,
    })
}

/// What there is in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Summary {
    /// How many names.
    pub(crate) names: usize,
    /// The longest entry that fits in somewhere, in bytes.
    pub(crate) room: u32,
}

/// Looks at all entries of a block.
pub(crate) fn summary(format: DirFormat, block: &[u8]) -> Result<Summary, DirError> {
    let mut summary = Summary { names: 0, room: 0 };

    for entry in Entries::new(format, block) {
        let entry = entry?;
        summary.names += usize::from(entry.in_use());
        summary.room = summary.room.max(room_in(&entry));
    }
    Ok(summary)
}

/// The longest entry that fits in the place of one that is not in use, or behind one that is.
pub(crate) fn room_in(entry: &DirEntry<'_>) -> u32 {
    match entry.in_use() {
        // A name has at most 255 bytes.
        true => entry
            .rec_len
            .saturating_sub(rec_len_for(entry.name.len() as u8)),
        false => entry.rec_len,
    }
}

#[kunit_tests(rust_ext2_dirent_search)]
mod tests {
    use super::{
        super::{
            block_size::BlockSize,
            dirent::encode,
            test_images::Random, //
        },
        *,
    };

    const INODES: u32 = 1000;

    fn format() -> Result<DirFormat> {
        Ok(DirFormat {
            block_size: BlockSize::from_bits(10).ok_or(EINVAL)?,
            inodes_count: INODES,
            filetype: true,
        })
    }

    /// Two blocks of entries of any length, some of them not in use.
    fn page(random: &mut Random) -> Result<KVec<u8>> {
        let mut bytes = KVec::from_elem(0u8, 2048, GFP_KERNEL)?;
        let mut at = 0;
        while at < 2048 {
            let end = if at < 1024 { 1024 } else { 2048 };
            let name = [b'n'; 20];
            let len = 1 + random.below(20) as usize;
            let most = end - at;
            let rec_len = match rec_len_for(len as u8) + 4 * random.below(3) as u32 {
                rec_len if rec_len + 32 > most => most,
                rec_len => rec_len,
            };
            encode(
                bytes.get_mut(at as usize..).ok_or(EINVAL)?,
                random.below(4) as u32,
                rec_len,
                name.get(..len).ok_or(EINVAL)?,
                1,
            )
            .ok_or(EINVAL)?;
            at += rec_len;
        }
        Ok(bytes)
    }

    /// Against a walk over all entries, at each place.
    #[test]
    fn what_is_around_a_place_is_found() -> Result {
        let format = format()?;
        let mut random = Random::new(5);

        for _ in 0..20 {
            let bytes = page(&mut random)?;
            for offset in 0..2048u32 {
                let found = around(format, &bytes, offset).map_err(|_| EINVAL)?;
                let block = offset & !1023;
                let all = || {
                    Entries::starting_at(format, &bytes, block)
                        .flatten()
                        .take_while(|entry| entry.offset < block + 1024)
                };
                let next = all().find(|entry| entry.offset >= offset);
                let previous = all().take_while(|entry| entry.offset < offset).last();
                assert_eq!(found.next, next);
                assert_eq!(found.previous, previous);
            }
        }
        Ok(())
    }

    #[test]
    fn a_block_is_summed_up() -> Result {
        let format = format()?;
        let mut random = Random::new(6);

        for _ in 0..200 {
            let bytes = page(&mut random)?;
            let block = bytes.get(..1024).ok_or(EINVAL)?;
            let found = summary(format, block).map_err(|_| EINVAL)?;
            let entries = || Entries::new(format, block).flatten();
            assert_eq!(found.names, entries().filter(DirEntry::in_use).count());
            assert_eq!(
                found.room,
                entries().map(|e| room_in(&e)).max().unwrap_or(0)
            );
        }
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_an_error() -> Result {
        let format = format()?;
        let mut bytes = page(&mut Random::new(7))?;
        *bytes.get_mut(5).ok_or(EINVAL)? = 9;

        assert!(summary(format, bytes.get(..1024).ok_or(EINVAL)?).is_err());
        assert!(around(format, &bytes, 512).is_err());
        assert!(around(format, &bytes, 1024).is_ok_and(|around| around.previous.is_none()));
        Ok(())
    }
}
