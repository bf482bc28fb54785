// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for directory entries: good blocks, blocks with one thing wrong, random bytes.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_dirent)]
mod tests {
    use super::*;
    use crate::disk::{
        block_size::BlockSize,
        dirent::{
            encode,
            find,
            rec_len_for,
            DirEntry,
            DirErrorReason,
            DirFormat,
            Entries,
            FileType, //
        },
        test_images::Random, //
    };

    fn format(bits: u32) -> Result<DirFormat> {
        Ok(DirFormat {
            block_size: BlockSize::from_bits(bits).ok_or(EINVAL)?,
            inodes_count: 1000,
            filetype: true,
        })
    }

    /// Two blocks of 1 KiB: `.`, `..`, a deleted entry and `file`; then one entry, `x`.
    fn directory() -> Result<KVec<u8>> {
        let mut bytes = KVec::from_elem(0u8, 2048, GFP_KERNEL)?;

        put(&mut bytes, 0, 2, 12, b".", 2)?;
        put(&mut bytes, 12, 2, 12, b"..", 2)?;
        put(&mut bytes, 24, 0, 16, b"deleted", 1)?;
        put(&mut bytes, 40, 12, 1024 - 40, b"file", 1)?;
        put(&mut bytes, 1024, 13, 1024, b"x", 7)?;
        Ok(bytes)
    }

    fn put(
        bytes: &mut [u8],
        offset: usize,
        inode: u32,
        rec_len: u32,
        name: &[u8],
        file_type: u8,
    ) -> Result {
        let target = bytes.get_mut(offset..).ok_or(EINVAL)?;

        encode(target, inode, rec_len, name, file_type).ok_or(EINVAL)
    }

    /// The offset and reason of the error that a walk over `bytes` ends with, and how many entries
    /// came before it.
    fn walk(format: DirFormat, bytes: &[u8]) -> (usize, Option<(u32, DirErrorReason)>) {
        let mut count = 0;
        let mut entries = Entries::new(format, bytes);

        for entry in entries.by_ref() {
            match entry {
                Ok(_) => count += 1,
                Err(e) => return (count, Some((e.offset, e.reason))),
            }
        }
        (count, None)
    }

    /// What a walk over [`directory`] finds when the bytes at `offset` are others.
    fn changed(offset: usize, new: &[u8]) -> Result<(usize, Option<(u32, DirErrorReason)>)> {
        let mut bytes = directory()?;

        bytes
            .get_mut(offset..offset + new.len())
            .ok_or(EINVAL)?
            .copy_from_slice(new);
        Ok(walk(format(10)?, &bytes))
    }

    #[test]
    fn entries_of_two_blocks() -> Result {
        let bytes = directory()?;
        let mut entries = Entries::new(format(10)?, &bytes).filter_map(|e| e.ok());

        let dot = entries.next().ok_or(EINVAL)?;
        assert!(dot.name == b"." && dot.in_use());
        assert_eq!((dot.inode, dot.offset, dot.rec_len), (2, 0, 12));
        assert_eq!(dot.file_type, Some(FileType::Directory));
        assert!(entries.next().is_some_and(|e| e.name == b".."));
        assert!(entries
            .next()
            .is_some_and(|e| e.name == b"deleted" && !e.in_use()));
        assert!(entries
            .next()
            .is_some_and(|e| e.name == b"file" && e.end() == 1024));
        let x = entries.next().ok_or(EINVAL)?;
        assert!(x.name == b"x" && x.offset == 1024);
        assert_eq!(x.file_type, Some(FileType::Symlink));
        assert!(entries.next().is_none());
        Ok(())
    }

    #[test]
    fn finding_a_name() -> Result {
        let bytes = directory()?;
        let inode = |name: &[u8]| -> Result<Option<u32>> {
            find(format(10)?, &bytes, name)
                .map(|found| found.map(|e| e.inode))
                .map_err(|e| e.errno())
        };

        assert_eq!(inode(b".."), Ok(Some(2)));
        assert_eq!(inode(b"file"), Ok(Some(12)));
        assert_eq!(inode(b"x"), Ok(Some(13)));
        assert_eq!(inode(b"fil"), Ok(None));
        assert_eq!(inode(b"file2"), Ok(None));
        assert_eq!(inode(b"deleted"), Ok(None));
        assert_eq!(inode(b""), Ok(None));
        assert_eq!(inode(&[b'a'; 300]), Ok(None));
        Ok(())
    }

    #[test]
    fn an_error_hides_what_follows_it() -> Result {
        let mut bytes = directory()?;
        put(&mut bytes, 24, 1001, 16, b"bad", 1)?;

        assert_eq!(
            find(format(10)?, &bytes, b"..").map(|e| e.is_some()),
            Ok(true)
        );
        assert_eq!(
            find(format(10)?, &bytes, b"file").map_err(|e| e.reason),
            Err(DirErrorReason::InodeOutOfBounds)
        );
        let mut entries = Entries::new(format(10)?, &bytes);
        assert_eq!(entries.by_ref().count(), 3);
        assert!(entries.next().is_none());
        Ok(())
    }

    #[test]
    fn bad_entries() -> Result {
        let at = |count, offset, reason| Ok((count, Some((offset, reason))));

        assert_eq!(changed(0, &[]), Ok((5, None)));
        // rec_len of the second entry, which has a name of 2 bytes.
        assert_eq!(changed(16, &[0, 0]), at(1, 12, DirErrorReason::TooShort));
        assert_eq!(changed(16, &[8, 0]), at(1, 12, DirErrorReason::TooShort));
        assert_eq!(changed(16, &[13, 0]), at(1, 12, DirErrorReason::Unaligned));
        assert_eq!(
            changed(16, &[0xff, 0xff]),
            at(1, 12, DirErrorReason::Unaligned)
        );
        assert_eq!(
            changed(16, &[0xfc, 0xff]),
            at(1, 12, DirErrorReason::AcrossBlocks)
        );
        // To the end of the block, and 4 bytes beyond.
        assert_eq!(changed(16, &[0xf4, 3]), Ok((3, None)));
        assert_eq!(
            changed(16, &[0xf8, 3]),
            at(1, 12, DirErrorReason::AcrossBlocks)
        );
        // Leaves 8 bytes of the block, in which no entry fits.
        assert_eq!(
            changed(16, &[0xec, 3]),
            at(2, 1016, DirErrorReason::TooShort)
        );
        // name_len of the second entry.
        assert_eq!(changed(18, &[5]), at(1, 12, DirErrorReason::NameTooLong));
        assert_eq!(changed(18, &[0]), at(1, 12, DirErrorReason::EmptyName));
        // Its inode.
        assert_eq!(changed(12, &[0xe8, 3]), Ok((5, None)));
        assert_eq!(
            changed(12, &[0xe9, 3]),
            at(1, 12, DirErrorReason::InodeOutOfBounds)
        );
        assert_eq!(
            changed(12, &[0xff; 4]),
            at(1, 12, DirErrorReason::InodeOutOfBounds)
        );
        // A deleted entry is checked, but needs no name.
        assert_eq!(changed(30, &[0]), Ok((5, None)));
        assert_eq!(changed(30, &[200]), at(2, 24, DirErrorReason::NameTooLong));
        Ok(())
    }

    #[test]
    fn a_name_across_the_end_of_the_block() -> Result {
        let mut bytes = KVec::from_elem(0u8, 2048, GFP_KERNEL)?;
        put(&mut bytes, 0, 0, 1012, b"a", 0)?;
        put(&mut bytes, 1012, 3, 12, b"bcde", 0)?;
        put(&mut bytes, 1024, 4, 1024, b"f", 0)?;
        assert_eq!(walk(format(10)?, &bytes), (3, None));

        put(&mut bytes, 1012, 3, 264, &[b'n'; 255], 0)?;
        assert_eq!(
            walk(format(10)?, &bytes),
            (1, Some((1012, DirErrorReason::AcrossBlocks)))
        );
        Ok(())
    }

    #[test]
    fn a_directory_that_ends_within_a_block() -> Result {
        let bytes = directory()?;
        let part = |len| -> Result<_> { Ok(walk(format(10)?, bytes.get(..len).ok_or(EINVAL)?)) };

        assert_eq!(part(0), Ok((0, None)));
        assert_eq!(part(1024), Ok((4, None)));
        for len in [1, 12, 1023] {
            let error = Some((0, DirErrorReason::PartOfBlock));
            assert_eq!(part(len), Ok((0, error)));
        }
        let error = Some((1024, DirErrorReason::PartOfBlock));
        assert_eq!(part(1025), Ok((4, error)));
        Ok(())
    }

    #[test]
    fn starting_where_a_reader_was() -> Result {
        let bytes = directory()?;
        let first = |from| -> Result<Option<u32>> {
            Ok(Entries::starting_at(format(10)?, &bytes, from)
                .next()
                .and_then(|e| e.ok())
                .map(|e| e.offset))
        };

        assert_eq!(first(0), Ok(Some(0)));
        assert_eq!(first(1), Ok(Some(12)));
        assert_eq!(first(12), Ok(Some(12)));
        // Within an entry, as after a deletion that merged two.
        assert_eq!(first(36), Ok(Some(40)));
        assert_eq!(first(44), Ok(Some(1024)));
        assert_eq!(first(1024), Ok(Some(1024)));
        assert_eq!(first(1028), Ok(None));
        assert_eq!(first(2048), Ok(None));
        assert_eq!(first(u32::MAX), Ok(None));
        Ok(())
    }

    #[test]
    fn file_types() -> Result {
        // `EXT2_FT_*` from 1 on.
        const MODES: [u16; 7] = [
            0o100000, 0o040000, 0o020000, 0o060000, 0o010000, 0o140000, 0o120000,
        ];
        for file_type in 0..=u8::MAX {
            let of_entry = FileType::from_entry(file_type);
            let mode = (file_type.checked_sub(1)).and_then(|index| MODES.get(usize::from(index)));
            let of_mode = mode.and_then(|mode| FileType::from_mode(mode | 0o7777));
            assert_eq!(of_entry, of_mode);
            assert_eq!(of_entry.is_some(), (1..=7).contains(&file_type));
            assert!(of_entry.is_none_or(|known| known.to_entry() == file_type));
        }
        assert_eq!(FileType::from_mode(0o644), None);
        assert_eq!(FileType::from_mode(0o170000), None);

        let mut without = format(10)?;
        without.filetype = false;
        let bytes = directory()?;
        assert!(Entries::new(without, &bytes).all(|e| e.is_ok_and(|e| e.file_type.is_none())));
        Ok(())
    }

    #[test]
    fn encoding() -> Result {
        let mut bytes = [0u8; 16];

        assert_eq!(rec_len_for(1), 12);
        assert_eq!(rec_len_for(4), 12);
        assert_eq!(rec_len_for(5), 16);
        assert_eq!(rec_len_for(255), 264);
        assert!(encode(&mut bytes, 1, 12, b"12345", 0).is_none());
        assert!(encode(&mut bytes, 1, 20, b"12345", 0).is_none());
        assert!(encode(&mut bytes, 1, 14, b"1", 0).is_none());
        assert!(encode(&mut bytes, 1, 8, b"", 0).is_none());
        assert!(encode(&mut bytes, 1, 16, &[b'n'; 256], 0).is_none());
        assert!(bytes == [0; 16]);
        assert!(encode(&mut bytes, 1, 16, b"12345", 2).is_some());
        assert!(bytes == *b"\x01\0\0\0\x10\0\x05\x0212345\0\0\0");
        Ok(())
    }

    #[test]
    fn an_entry_that_fills_the_largest_block() -> Result {
        let mut bytes = KVec::from_elem(0u8, 65536, GFP_KERNEL)?;
        put(&mut bytes, 0, 5, 65536, b"name", 1)?;

        let rec_len = |bits| -> Result<Option<u32>> {
            Ok(Entries::new(format(bits)?, &bytes)
                .next()
                .and_then(|e| e.ok())
                .map(|e| e.rec_len))
        };
        assert_eq!(rec_len(16), Ok(Some(65536)));
        assert_eq!(rec_len(12), Ok(None));
        Ok(())
    }

    /// Whether a walk over `bytes` goes forward, stays inside, and ends as it must.
    fn sound(format: DirFormat, bytes: &[u8]) -> bool {
        let block_size = format.block_size.bytes();
        let mut expected = 0;
        let mut failed = false;

        for entry in Entries::new(format, bytes) {
            let Ok(entry) = entry else {
                failed = true;
                continue;
            };
            // Nothing comes after an error, and there is no gap between entries.
            if failed
                || entry.offset != expected
                || entry.rec_len < 12
                || entry.offset / block_size != (entry.end() - 1) / block_size
                || entry.inode > format.inodes_count
                || (entry.in_use() && entry.name.is_empty())
            {
                return false;
            }
            expected = entry.end();
        }
        failed || expected as usize == bytes.len()
    }

    /// Whether [`find`], which looks at few entries closely, says what a walk that looks at each
    /// does.
    fn finds_what_a_walk_finds(format: DirFormat, bytes: &[u8], name: &[u8]) -> bool {
        let is_it = |entry: &Result<DirEntry<'_>, _>| {
            entry
                .as_ref()
                .map_or(true, |entry| entry.in_use() && entry.name == name)
        };
        let found = Entries::new(format, bytes).find(is_it).transpose();

        find(format, bytes, name) == found
    }

    #[test]
    fn random_bytes() -> Result {
        let mut random = Random::new(3);
        let mut bytes = KVec::from_elem(0u8, 4096, GFP_KERNEL)?;
        let format = format(10)?;

        for _ in 0..500 {
            for byte in bytes.iter_mut() {
                *byte = random.next() as u8;
            }
            assert!(sound(format, &bytes));
            assert!(finds_what_a_walk_finds(format, &bytes, b"name"));
        }
        Ok(())
    }

    #[test]
    fn random_changes_to_good_blocks() -> Result {
        let mut random = Random::new(4);
        let format = format(10)?;

        for _ in 0..1000 {
            let mut bytes = directory()?;
            for _ in 0..=random.below(3) {
                let at = random.below(48) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.edge() as u8;
                }
            }
            let len = 2048 - (random.below(2) * random.below(1100)) as usize;
            let bytes = bytes.get(..len).ok_or(EINVAL)?;
            assert!(sound(format, bytes));
            assert!(Entries::starting_at(format, bytes, random.below(2100) as u32).count() <= 171);
            for name in [&b"file"[..], b"..", b"x", b"e", b"filf"] {
                assert!(finds_what_a_walk_finds(format, bytes, name));
            }
        }
        Ok(())
    }
}
