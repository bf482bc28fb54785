// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for changes of directories: each kind of edit, what cannot be done, and random
//! changes beside a plain list of names.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_dir_edit)]
mod tests {
    use super::*;
    use crate::{
        dir::edit::{
            is_empty,
            make_empty,
            parent_entry,
            remove,
            replace,
            Edit,
            Target, //
        },
        dir::insertion::{insert, AddError},
        disk::{
            block_size::BlockSize,
            dirent::{
                encode,
                find,
                rec_len_for,
                DirError,
                DirErrorReason,
                DirFormat,
                Entries,
                FileType, //
            },
            test_images::Random, //
        },
    };

    const PAGE: u32 = 4096;

    fn format(bits: u32) -> Result<DirFormat> {
        Ok(DirFormat {
            block_size: BlockSize::from_bits(bits).ok_or(EINVAL)?,
            inodes_count: 100_000,
            filetype: true,
        })
    }

    fn file(inode: u32) -> Target {
        Target {
            inode,
            file_type: FileType::Regular,
        }
    }

    /// A page of which the first block is an empty directory.
    fn page(format: DirFormat, size: u32) -> Result<KVec<u8>> {
        let mut bytes = KVec::from_elem(0xa5u8, size as usize, GFP_KERNEL)?;
        make_empty(format, &mut bytes, 12, 2).ok_or(EINVAL)?;
        Ok(bytes)
    }

    fn apply(edit: &Edit<'_>, bytes: &mut [u8]) -> Result {
        let range = edit.range();
        let part = bytes.get_mut(range.start as usize..range.end as usize);
        edit.apply(part.ok_or(EINVAL)?).ok_or(EINVAL)
    }

    /// Adds an entry to a directory of `len` bytes; its offset.
    fn add(format: DirFormat, bytes: &mut [u8], len: u32, name: &[u8], inode: u32) -> Result<u32> {
        let capacity = bytes.len() as u32;
        let used = bytes.get(..len as usize).ok_or(EINVAL)?;
        let edit = insert(format, used, capacity, name, file(inode))
            .map_err(|_| EEXIST)?
            .ok_or(ENOSPC)?;
        apply(&edit, bytes)?;
        Ok(edit.offset())
    }

    /// The entries of some blocks, as offset, length and inode.
    fn shape(format: DirFormat, bytes: &[u8]) -> Result<KVec<(u32, u32, u32)>> {
        let mut all = KVec::new();
        for entry in Entries::new(format, bytes) {
            let entry = entry.map_err(|e| e.errno())?;
            all.push((entry.offset, entry.rec_len, entry.inode), GFP_KERNEL)?;
        }
        Ok(all)
    }

    #[test]
    fn an_empty_directory() -> Result {
        for bits in 10..=16 {
            let format = format(bits)?;
            let bytes = page(format, PAGE.max(1 << bits))?;
            let block = bytes.get(..1 << bits).ok_or(EINVAL)?;

            let expected = [(0, 12, 12), (12, (1 << bits) - 12, 2)];
            assert_eq!(&*shape(format, block)?, &expected);
            assert_eq!(is_empty(format, block, 12), Ok(true));
            // Its own entry is another's.
            assert_eq!(is_empty(format, block, 13), Ok(false));
            let parent = parent_entry(format, block).map_err(|e| e.errno())?;
            assert_eq!((parent.offset, parent.inode), (12, 2));
            assert!(Entries::new(format, block)
                .all(|e| e.is_ok_and(|e| e.file_type == Some(FileType::Directory))));
            // Nothing of what was there before is left, nor is more than the block touched.
            let start = b"\x0c\0\0\0\x0c\0\x01\x02.\0\0\0\x02\0\0\0";
            assert!(bytes.starts_with(start));
            assert!(block.iter().skip(22).all(|&b| b == 0));
            assert!(bytes.iter().skip(1 << bits).all(|&b| b == 0xa5));
        }
        let mut short = [0u8; 512];
        assert!(make_empty(format(10)?, &mut short, 12, 2).is_none());
        Ok(())
    }

    #[test]
    fn types_are_stored_with_the_feature_only() -> Result {
        let mut format = format(10)?;
        format.filetype = false;
        let mut bytes = page(format, 1024)?;
        let at = add(format, &mut bytes, 1024, b"file", 20)? as usize;
        assert_eq!(bytes.get(7).copied(), Some(0));
        assert_eq!(bytes.get(at + 7).copied(), Some(0));

        format.filetype = true;
        let edit = replace(format, &bytes, at as u32, file(21)).map_err(|e| e.errno())?;
        apply(&edit, &mut bytes)?;
        assert_eq!(bytes.get(at + 7).copied(), Some(1));
        Ok(())
    }

    #[test]
    fn a_new_entry_takes_the_first_place_with_room() -> Result {
        let format = format(10)?;
        let mut bytes = page(format, 1024)?;

        // Behind "..", which keeps what it needs.
        assert_eq!(add(format, &mut bytes, 1024, b"a", 20), Ok(24));
        assert_eq!(add(format, &mut bytes, 1024, b"bbbbb", 21), Ok(36));
        assert_eq!(add(format, &mut bytes, 1024, b"c", 22), Ok(52));
        let end = (52, 1024 - 52, 22);
        let expected = [(0, 12, 12), (12, 12, 2), (24, 12, 20), (36, 16, 21), end];
        assert_eq!(&*shape(format, &bytes)?, &expected);

        // The place of "bbbbb" is with "a" now: too small for six letters and more, not for five.
        let edit = remove(format, &bytes, 36).map_err(|e| e.errno())?;
        assert_eq!(edit.range(), 24..52);
        apply(&edit, &mut bytes)?;
        let expected = [(0, 12, 12), (12, 12, 2), (24, 28, 20), end];
        assert_eq!(&*shape(format, &bytes)?, &expected);
        assert_eq!(add(format, &mut bytes, 1024, b"ddddddddd", 23), Ok(64));
        assert_eq!(add(format, &mut bytes, 1024, b"eeeeeeee", 24), Ok(36));
        Ok(())
    }

    #[test]
    fn an_entry_not_in_use_is_taken_whole() -> Result {
        let format = format(10)?;
        let mut bytes = KVec::from_elem(0u8, 2048, GFP_KERNEL)?;
        encode(&mut bytes, 0, 20, b"old", 1).ok_or(EINVAL)?;
        encode(bytes.get_mut(20..).ok_or(EINVAL)?, 5, 1004, b"x", 1).ok_or(EINVAL)?;
        encode(bytes.get_mut(1024..).ok_or(EINVAL)?, 0, 1024, b"", 0).ok_or(EINVAL)?;

        // 13 letters take 24 bytes, 12 take 20.
        assert_eq!(add(format, &mut bytes, 2048, b"twelve-bytes", 6), Ok(0));
        assert_eq!(add(format, &mut bytes, 2048, &[b'n'; 255], 7), Ok(32));
        let expected = [(0, 20, 6), (20, 12, 5), (32, 992, 7), (1024, 1024, 0)];
        assert_eq!(&*shape(format, &bytes)?, &expected);
        Ok(())
    }

    #[test]
    fn a_directory_grows_by_a_block() -> Result {
        let format = format(10)?;
        let mut bytes = page(format, PAGE)?;
        let mut len = 1024;

        let mut offsets = KVec::new();
        for i in 0..13u32 {
            let name = [i as u8 + b'a'; 250];
            let offset = add(format, &mut bytes, len, &name, 100 + i);
            if offset == Ok(len) {
                len += 1024;
            }
            offsets.push(offset, GFP_KERNEL)?;
        }
        // Three of 260 bytes in each block; 1000 bytes behind the first two entries are for three.
        let at = |i: usize| offsets.get(i).copied().ok_or(EINVAL);
        assert_eq!(at(0)?, Ok(24));
        assert_eq!(at(2)?, Ok(544));
        assert_eq!(at(3)?, Ok(1024));
        assert_eq!(at(6)?, Ok(2048));
        assert_eq!(at(9)?, Ok(3072));
        assert_eq!(at(11)?, Ok(3592));
        assert_eq!(at(12)?, Err(ENOSPC));
        assert_eq!(len, PAGE);
        // What was in the new blocks before is not there any more, padding included.
        assert!(!bytes.contains(&0xa5));
        // A page behind the last: nothing of it is in the directory.
        let edit = insert(format, &[], PAGE, b"next", file(9)).map_err(|_| EINVAL)?;
        assert_eq!(edit.map(|e| e.range()), Some(0..1024));
        Ok(())
    }

    #[test]
    fn the_largest_blocks() -> Result {
        let format = format(16)?;
        let mut bytes = KVec::from_elem(0u8, 65536, GFP_KERNEL)?;

        assert_eq!(add(format, &mut bytes, 0, b"only", 5), Ok(0));
        assert_eq!(&*shape(format, &bytes)?, &[(0, 65536, 5)]);
        assert!(bytes.starts_with(b"\x05\0\0\0\xff\xff\x04\x01only"));

        assert_eq!(add(format, &mut bytes, 65536, b"next", 6), Ok(12));
        assert_eq!(&*shape(format, &bytes)?, &[(0, 12, 5), (12, 65524, 6)]);
        // Joined again, the length is that which 16 bits cannot hold.
        let edit = remove(format, &bytes, 12).map_err(|e| e.errno())?;
        apply(&edit, &mut bytes)?;
        assert_eq!(&*shape(format, &bytes)?, &[(0, 65536, 5)]);
        Ok(())
    }

    #[test]
    fn the_first_entry_of_a_block_has_none_to_join() -> Result {
        let format = format(10)?;
        let mut bytes = KVec::from_elem(0u8, 2048, GFP_KERNEL)?;
        encode(&mut bytes, 3, 1024, b"x", 1).ok_or(EINVAL)?;
        encode(bytes.get_mut(1024..).ok_or(EINVAL)?, 4, 1024, b"y", 1).ok_or(EINVAL)?;

        let edit = remove(format, &bytes, 1024).map_err(|e| e.errno())?;
        assert_eq!(edit.range(), 1024..2048);
        apply(&edit, &mut bytes)?;
        assert_eq!(&*shape(format, &bytes)?, &[(0, 1024, 3), (1024, 1024, 0)]);
        assert_eq!(is_empty(format, &bytes, 3), Ok(false));
        let edit = remove(format, &bytes, 0).map_err(|e| e.errno())?;
        apply(&edit, &mut bytes)?;
        assert_eq!(is_empty(format, &bytes, 3), Ok(true));
        Ok(())
    }

    #[test]
    fn replacing_keeps_the_name_and_the_length() -> Result {
        let format = format(10)?;
        let mut bytes = page(format, 1024)?;
        add(format, &mut bytes, 1024, b"name", 20)?;
        let target = Target {
            inode: 30,
            file_type: FileType::Symlink,
        };

        let edit = replace(format, &bytes, 24, target).map_err(|e| e.errno())?;
        assert_eq!(edit.range(), 24..1024);
        apply(&edit, &mut bytes)?;
        let found = find(format, &bytes, b"name").map_err(|e| e.errno())?;
        let entry = found.ok_or(ENOENT)?;
        assert_eq!((entry.inode, entry.rec_len), (30, 1000));
        assert_eq!(entry.file_type, Some(FileType::Symlink));
        Ok(())
    }

    #[test]
    fn what_cannot_be_added() -> Result {
        let format = format(10)?;
        let mut bytes = page(format, 1024)?;
        add(format, &mut bytes, 1024, b"name", 20)?;
        let error = |name: &[u8]| insert(format, &bytes, 1024, name, file(1)).err();

        assert_eq!(error(b"name"), Some(AddError::Exists));
        assert_eq!(error(b".."), Some(AddError::Exists));
        assert_eq!(error(b""), Some(AddError::NameLength));
        assert_eq!(error(&[b'n'; 256]), Some(AddError::NameLength));
        assert_eq!(error(&[b'n'; 255]), None);
        Ok(())
    }

    #[test]
    fn corrupt_blocks_are_not_changed() -> Result {
        let format = format(10)?;
        let mut bytes = page(format, 1024)?;
        add(format, &mut bytes, 1024, b"name", 20)?;
        let reason =
            |result: Result<Edit<'_>, DirError>| result.map_err(|error| error.reason).err();
        let not_expected = Some(DirErrorReason::NotExpected);

        // No entry starts there, or none that is in use.
        for offset in [4, 16, 28, 1020, 1024, 5000, u32::MAX] {
            assert_eq!(reason(remove(format, &bytes, offset)), not_expected);
            assert_eq!(
                reason(replace(format, &bytes, offset, file(3))),
                not_expected
            );
        }
        let edit = remove(format, &bytes, 24).map_err(|e| e.errno())?;
        apply(&edit, &mut bytes)?;
        assert_eq!(reason(remove(format, &bytes, 24)), not_expected);

        // ".." that is another name, not in use, or not there.
        let parent = |bytes: &[u8]| parent_entry(format, bytes).map_err(|e| e.reason).err();
        let mut other = page(format, 1024)?;
        *other.get_mut(21).ok_or(EINVAL)? = b'x';
        assert_eq!(parent(&other), not_expected);
        let mut other = page(format, 1024)?;
        *other.get_mut(12).ok_or(EINVAL)? = 0;
        assert_eq!(parent(&other), not_expected);
        assert_eq!(parent(&[]), not_expected);

        // A length of 0.
        let mut other = page(format, 1024)?;
        other.get_mut(16..18).ok_or(EINVAL)?.fill(0);
        let short = Some(DirErrorReason::TooShort);
        assert_eq!(reason(remove(format, &other, 12)), short);
        assert!(matches!(
            insert(format, &other, 1024, b"x", file(3)),
            Err(AddError::Corrupt(e)) if e.reason == DirErrorReason::TooShort
        ));
        let empty = is_empty(format, &other, 12).map_err(|e| e.reason);
        assert_eq!(empty.err(), short);
        Ok(())
    }

    #[test]
    fn other_bytes_than_planned_for() -> Result {
        let edit = insert(format(10)?, &[], 1024, b"name", file(20));
        let edit = edit.map_err(|_| EINVAL)?.ok_or(ENOSPC)?;
        let len = edit.range().len();
        let mut other = [0xa5; 1024];
        for len in [0, len - 1] {
            let part = other.get_mut(..len).ok_or(EINVAL)?;
            assert!(edit.apply(part).is_none());
        }
        assert!(other == [0xa5; 1024]);
        Ok(())
    }

    /// A directory of one page beside the list of what has to be in it.
    struct Model {
        format: DirFormat,
        bytes: KVec<u8>,
        len: u32,
        names: KVec<(KVec<u8>, u32)>,
    }

    impl Model {
        fn new(bits: u32) -> Result<Self> {
            let format = format(bits)?;
            let size = PAGE.max(1 << bits);
            Ok(Self {
                format,
                bytes: page(format, size)?,
                len: 1 << bits,
                names: KVec::new(),
            })
        }

        fn used(&self) -> &[u8] {
            self.bytes.get(..self.len as usize).unwrap_or(&[])
        }

        /// Where the first entry is that has room, looked for in the plainest way.
        fn place_for(&self, name: &[u8]) -> Result<Option<u32>> {
            let needed = rec_len_for(name.len() as u8);
            for (offset, rec_len, inode) in &shape(self.format, self.used())? {
                let name_len = self.bytes.get(*offset as usize + 6).copied().unwrap_or(0);
                let used = if *inode == 0 {
                    0
                } else {
                    rec_len_for(name_len)
                };
                if rec_len - used >= needed {
                    return Ok(Some(offset + used));
                }
            }
            let grown = self.len + self.format.block_size.bytes();
            Ok((grown <= self.bytes.len() as u32).then_some(self.len))
        }

        /// Applies an edit, sometimes after having done so and taken it back.
        fn commit(&mut self, edit: &Edit<'_>, random: &mut Random) -> Result {
            let before = shape(self.format, self.used())?;
            let grows = edit.offset() == self.len;
            apply(edit, &mut self.bytes)?;
            if random.below(3) == 0 && !grows {
                apply(&edit.inverse(), &mut self.bytes)?;
                if *before != *shape(self.format, self.used())? {
                    return Err(EUCLEAN);
                }
                apply(edit, &mut self.bytes)?;
            }
            if grows {
                self.len += self.format.block_size.bytes();
            }
            Ok(())
        }

        fn add(&mut self, random: &mut Random, inode: u32) -> Result {
            let long = random.below(8) == 0;
            let len = 1 + random.below(if long { 255 } else { 12 }) as usize;
            let mut name = KVec::from_elem(b'a', len, GFP_KERNEL)?;
            for byte in name.iter_mut() {
                *byte = b'a' + random.below(3) as u8;
            }
            let expected = self.place_for(&name)?;
            let known = self.names.iter().any(|(other, _)| **other == *name);
            match insert(
                self.format,
                self.used(),
                self.bytes.len() as u32,
                &name,
                file(inode),
            ) {
                Ok(Some(edit)) if known => {
                    // The place comes before the other entry of that name, which a lookup has
                    // found before.
                    (Some(edit.offset()) == expected)
                        .then_some(())
                        .ok_or(EUCLEAN)?;
                }
                Err(AddError::Exists) if known => {}
                Ok(None) if expected.is_none() => {}
                Ok(Some(edit)) if expected == Some(edit.offset()) => {
                    self.commit(&edit, random)?;
                    self.names.push((name, inode), GFP_KERNEL)?;
                }
                _ => return Err(EUCLEAN),
            }
            Ok(())
        }

        fn pick(&self, random: &mut Random) -> Result<(usize, u32)> {
            let at = random.below(self.names.len() as u64) as usize;
            let (name, inode) = self.names.get(at).ok_or(EINVAL)?;
            let entry = find(self.format, self.used(), name).map_err(|e| e.errno())?;
            let entry = entry.filter(|e| e.inode == *inode).ok_or(EUCLEAN)?;
            Ok((at, entry.offset))
        }

        fn delete(&mut self, random: &mut Random) -> Result {
            let (at, offset) = self.pick(random)?;
            let edit = remove(self.format, self.used(), offset).map_err(|e| e.errno())?;
            self.commit(&edit, random)?;
            self.names.remove(at).map_err(|_| EINVAL)?;
            Ok(())
        }

        fn change(&mut self, random: &mut Random, inode: u32) -> Result {
            let (at, offset) = self.pick(random)?;
            let edit = replace(self.format, self.used(), offset, file(inode));
            let edit = edit.map_err(|e| e.errno())?;
            self.commit(&edit, random)?;
            self.names.get_mut(at).ok_or(EINVAL)?.1 = inode;
            Ok(())
        }

        /// Whether the entries in use are those of the list, and nothing else was written to.
        fn agrees(&self) -> Result<bool> {
            let mut count = 0;
            for entry in Entries::new(self.format, self.used()) {
                count += usize::from(entry.map_err(|e| e.errno())?.in_use());
            }
            for (name, inode) in &self.names {
                let entry = find(self.format, self.used(), name).map_err(|e| e.errno())?;
                if entry.map(|e| e.inode) != Some(*inode) {
                    return Ok(false);
                }
            }
            let rest = self.bytes.iter().skip(self.len as usize);
            Ok(count == self.names.len() + 2 && rest.copied().all(|b| b == 0xa5))
        }
    }

    #[test]
    fn random_changes_agree_with_a_list() -> Result {
        for (seed, bits) in [(1, 10), (2, 11), (3, 12), (4, 16)] {
            let mut random = Random::new(seed * 77 + 5);
            let mut model = Model::new(bits)?;
            for step in 0..240u32 {
                // Fills for a while, empties for a while.
                let fills = (step / 60) % 2 == 0;
                let result = match random.below(8) {
                    _ if model.names.is_empty() => model.add(&mut random, step + 13),
                    0 => model.change(&mut random, step + 13),
                    choice if (choice < 6) == fills => model.add(&mut random, step + 13),
                    _ => model.delete(&mut random),
                };
                assert_eq!(result, Ok(()));
                if step % 32 == 0 {
                    assert_eq!(model.agrees(), Ok(true));
                }
            }
            while !model.names.is_empty() {
                assert_eq!(model.delete(&mut random), Ok(()));
            }
            assert_eq!(model.agrees(), Ok(true));
            assert_eq!(is_empty(model.format, model.used(), 12), Ok(true));
        }
        Ok(())
    }
}
