// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for what is known of a directory's names, beside a directory in which everything is
//! looked for: random changes, all of it forgotten now and then, and memory that fails.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_dir_index)]
mod tests {
    use super::*;
    use crate::{
        dir::{
            edit::{
                make_empty,
                remove,
                Edit,
                Target, //
            },
            find::room_of,
            in_step::change_of,
            insertion::{
                append,
                insert,
                insert_in_block, //
            },
        },
        disk::{
            block_size::BlockSize,
            dirent::{
                find,
                rec_len_for,
                DirFormat,
                Entries,
                FileType, //
            },
            dirent_search::{
                around,
                summary, //
            },
            test_images::Random, //
        },
        index::{
            Contents,
            Memory,
            Name,
            Units, //
        },
        inode::room::Room,
    };
    use core::cell::Cell;
    use rust_mpage::mm::SpareSlice;

    const PAGE: u32 = 4096;
    const TARGET: Target = Target {
        inode: 9,
        file_type: FileType::Regular,
    };

    /// Memory that fails now and then.
    struct Failing {
        /// How many times more it is there; then it fails.
        left: Cell<u32>,
        /// Once, and not for ever.
        once: bool,
        has_failed: Cell<bool>,
    }

    impl Failing {
        fn after(times: u32, once: bool) -> Self {
            Self {
                left: Cell::new(times),
                once,
                has_failed: Cell::new(false),
            }
        }

        fn never() -> Self {
            Self::after(u32::MAX, true)
        }

        fn is_there(&self) -> Option<()> {
            match self.left.get() {
                0 => (self.has_failed.replace(true) && self.once).then_some(()),
                left => {
                    self.left.set(left - 1);
                    Some(())
                }
            }
        }
    }

    impl Memory for Failing {
        fn words(&self, count: usize) -> Option<SpareSlice<u64>> {
            self.is_there()?;
            SpareSlice::zeroed(count)
        }

        fn bytes(&self, count: usize) -> Option<SpareSlice<u8>> {
            self.is_there()?;
            SpareSlice::zeroed(count)
        }
    }

    /// A directory, and what is known of it.
    struct Model {
        format: DirFormat,
        bytes: KVec<u8>,
        contents: Contents,
        room: Room,
        memory: Failing,
        /// Which bits of hashes are used.
        mask: u32,
    }

    type Text = [u8; 64];

    /// Name number `number`; its length differs.
    fn text(number: u32) -> (Text, usize) {
        let mut text = [b'x'; 64];
        let mut left = number;
        for digit in text.iter_mut().take(6) {
            *digit = b'a' + (left % 26) as u8;
            left /= 26;
        }
        (text, 6 + (number.wrapping_mul(7) % 50) as usize)
    }

    impl Model {
        fn new(bits: u32, mask: u32, memory: Failing) -> Result<Self> {
            let format = DirFormat {
                block_size: BlockSize::from_bits(bits).ok_or(EINVAL)?,
                inodes_count: 1000,
                filetype: true,
            };
            let mut bytes = KVec::from_elem(0u8, 1 << bits, GFP_KERNEL)?;
            make_empty(format, &mut bytes, 12, 2).ok_or(EINVAL)?;
            Ok(Self {
                format,
                bytes,
                contents: Contents::new(),
                room: Room::new(),
                memory,
                mask,
            })
        }

        fn hash(&self, name: &[u8]) -> u32 {
            let mask = self.mask;
            name.iter()
                .fold(7u32, |hash, &byte| hash.wrapping_mul(31) ^ u32::from(byte))
                & mask
        }

        fn blocks(&self) -> u32 {
            self.bytes.len() as u32 >> self.format.block_size.bits()
        }

        fn page(&self, start: u32) -> &[u8] {
            let end = self.bytes.len().min((start + PAGE) as usize);
            self.bytes.get(start as usize..end).unwrap_or(&[])
        }

        /// Where a name is, looked for everywhere.
        fn position(&self, name: &[u8]) -> Result<Option<u32>> {
            for start in (0..self.bytes.len() as u32).step_by(PAGE as usize) {
                let found = find(self.format, self.page(start), name).map_err(|_| EINVAL)?;
                if let Some(entry) = found {
                    return Ok(Some(start + entry.offset));
                }
            }
            Ok(None)
        }

        fn apply(&mut self, start: u32, edit: &Edit<'_>) -> Result {
            let range = edit.range();
            let (from, to) = ((start + range.start) as usize, (start + range.end) as usize);
            if to > self.bytes.len() {
                self.bytes.resize(to, 0, GFP_KERNEL)?;
            }
            let format = self.format;
            self.room.changes(from as u64);
            edit.apply(self.bytes.get_mut(from..to).ok_or(EINVAL)?)
                .ok_or(EINVAL)?;
            let bytes = self.bytes.get(from..to).ok_or(EINVAL)?;
            let change = change_of(format, start.into(), edit, bytes, |name| self.hash(name))?;
            if let Some((change, block)) = change {
                self.contents.note(change, block, &self.memory);
            }
            Ok(())
        }

        /// The first room, if all is known.
        fn known_room<'n>(&mut self, name: &'n [u8]) -> Result<Option<(u32, Edit<'n>)>> {
            let needed = Units::of_room(rec_len_for(name.len() as u8));
            let bits = self.format.block_size.bits();
            if self.contents.covered() != self.blocks() {
                return Ok(None);
            }
            while let Some(block) = self.contents.first_room(needed) {
                let start = (block << bits) & !(PAGE - 1);
                let within = (block << bits) - start;
                let page = self.page(start);
                let position = u64::from(block << bits);
                let bytes = rec_len_for(name.len() as u8);
                let from = self.room.begin_in(position, bytes) as u32 - start;
                let edit = insert_in_block(self.format, page, from, name, TARGET);
                if let Some(edit) = edit.map_err(|_| EINVAL)? {
                    let entry = u64::from(start + edit.range().start);
                    self.room.found_in(position, entry, bytes);
                    return Ok(Some((start, edit)));
                }
                let room = room_of(self.format, page, within);
                assert!(room < needed);
                self.contents.set_room(block, room);
            }
            let start = self.bytes.len() as u32 & !(PAGE - 1);
            let len = self.bytes.len() - start as usize;
            let edit = append(self.format, len, PAGE, name, TARGET).map_err(|_| EINVAL)?;
            Ok(Some((start, edit.ok_or(EINVAL)?)))
        }

        /// The first room, looked for everywhere.
        fn room<'n>(&self, name: &'n [u8]) -> Result<(u32, Edit<'n>)> {
            let mut start = 0;
            loop {
                let edit = insert(self.format, self.page(start), PAGE, name, TARGET);
                if let Some(edit) = edit.map_err(|_| EINVAL)? {
                    return Ok((start, edit));
                }
                start += PAGE;
            }
        }

        /// Applies an edit, which may be taken back then.
        fn apply_and(&mut self, back: bool, start: u32, edit: &Edit<'_>) -> Result {
            self.apply(start, edit)?;
            match back {
                true => self.apply(start, &edit.inverse()),
                false => Ok(()),
            }
        }

        fn add(&mut self, name: &[u8], back: bool) -> Result {
            let known = self.known_room(name)?;
            let room = self.room(name)?;
            assert!(known.is_none_or(|known| known == room));
            self.apply_and(back, room.0, &room.1)
        }

        fn remove(&mut self, position: u32, back: bool) -> Result {
            let start = position & !(PAGE - 1);
            let edit = remove(self.format, self.page(start), position - start);
            self.apply_and(back, start, &edit.map_err(|_| EINVAL)?)
        }

        fn learn(&mut self) -> Result {
            let block = self.contents.covered();
            let start = block << self.format.block_size.bits();
            let end = start + self.format.block_size.bytes();
            let Some(bytes) = self.bytes.get(start as usize..end as usize) else {
                return Ok(());
            };
            let summary = summary(self.format, bytes).map_err(|_| EINVAL)?;
            let mut names: KVec<Name> = KVec::new();
            for entry in Entries::new(self.format, bytes).flatten() {
                if entry.in_use() {
                    let (hash, position) = (self.hash(entry.name), start + entry.offset);
                    names.push(Name { hash, position }, GFP_KERNEL)?;
                }
            }
            let room = Units::of_room(summary.room);
            let is_learned =
                self.contents
                    .learn(names.len(), names.iter().copied(), room, &self.memory);
            let covered = self.contents.covered();
            match is_learned {
                true => assert_eq!(covered, block + 1),
                // Too many names have one hash.
                false if self.mask == 0 => assert_eq!(covered, 0),
                // There was no memory.
                false => assert_eq!(covered, block),
            }
            Ok(())
        }

        /// What is said of a name is so: it is where it is said to be if a covered block has it,
        /// and whatever else is said to be somewhere is a name, too.
        fn check(&self, name: &[u8]) -> Result<Option<u32>> {
            let position = self.position(name)?;
            let covered = self.contents.covered() << self.format.block_size.bits();
            let mut found = self.contents.find(self.hash(name));
            let Some(found) = found.in_order() else {
                return Ok(position);
            };
            if let Some(position) = position.filter(|&position| position < covered) {
                assert!(found.contains(&position));
            }
            for &place in found {
                let start = place & !(PAGE - 1);
                let around = around(self.format, self.page(start), place - start);
                let entry = around.map_err(|_| EINVAL)?.next.ok_or(EINVAL)?;
                assert!(entry.offset == place - start && entry.in_use() && place < covered);
                assert!(entry.name != name || Some(place) == position);
                assert_eq!(self.hash(entry.name), self.hash(name));
            }
            Ok(position)
        }

        /// As many names are known as there are.
        fn check_count(&self) -> Result {
            let covered = self.contents.covered() << self.format.block_size.bits();
            let bytes = self.bytes.get(..covered as usize).ok_or(EINVAL)?;
            let names = Entries::new(self.format, bytes).flatten();
            assert_eq!(
                names.filter(|entry| entry.in_use()).count(),
                self.contents.len()
            );
            Ok(())
        }

        fn step(&mut self, random: &mut Random, names: u32, forgets: u64) -> Result {
            let (text, len) = text(random.below(names.into()) as u32);
            let name = text.get(..len).ok_or(EINVAL)?;
            let position = self.check(name)?;
            let back = random.below(8) == 0;

            match random.below(8) {
                0 if random.below(forgets) == 0 => {
                    self.contents.forget();
                }
                0..3 => self.learn()?,
                _ => match position {
                    Some(position) => self.remove(position, back)?,
                    None => self.add(name, back)?,
                },
            }
            Ok(())
        }
    }

    /// All that was changed is known, with many names of one hash and with few.
    fn random_changes(bits: u32, mask: u32, seed: u64) -> Result {
        let mut random = Random::new(seed);
        let mut model = Model::new(bits, mask, Failing::never())?;
        let mut complete = 0;

        for step in 0..4000 {
            model.step(&mut random, 900, 60)?;
            complete += u32::from(model.contents.covered() == model.blocks());
            if step % 64 == 0 {
                model.check_count()?;
            }
        }
        assert!(complete > 500 && model.blocks() > 3);
        Ok(())
    }

    #[test]
    fn changes_are_known_1k() -> Result {
        random_changes(10, u32::MAX, 1)
    }

    #[test]
    fn changes_are_known_4k() -> Result {
        random_changes(12, u32::MAX, 2)
    }

    #[test]
    fn changes_are_known_of_names_that_collide() -> Result {
        random_changes(10, 0xff, 3)
    }

    /// So many names have one hash that not all of them can be known.
    #[test]
    fn too_many_of_one_hash() -> Result {
        let mut random = Random::new(5);
        let mut model = Model::new(10, 0, Failing::never())?;
        let mut most = 0;

        for step in 0..4000 {
            model.step(&mut random, 1400, 60)?;
            most = most.max(model.contents.len());
            if step % 64 == 0 {
                model.check_count()?;
            }
        }
        assert_eq!(most, 512);
        Ok(())
    }

    /// The same changes, with memory failing from each point on, or once. How many points there
    /// are.
    fn memory_fails(once: bool, forgets: u64) -> Result<u32> {
        for failing in 0.. {
            let mut random = Random::new(4);
            let mut model = Model::new(10, u32::MAX, Failing::after(failing, once))?;
            for _ in 0..500 {
                model.step(&mut random, 400, forgets)?;
                model.check_count()?;
            }
            if !model.memory.has_failed.get() {
                return Ok(failing);
            }
        }
        Ok(0)
    }

    #[test]
    fn memory_fails_at_each_point() -> Result {
        assert!(memory_fails(true, 5)? > 8);
        Ok(())
    }

    #[test]
    fn memory_fails_from_each_point_on() -> Result {
        assert!(memory_fails(false, 60)? > 2);
        Ok(())
    }

    /// Short names come to blocks that are known, where long ones were: more than there is memory
    /// to note.
    #[test]
    fn more_names_than_memory() -> Result {
        let mut model = Model::new(10, u32::MAX, Failing::after(2, false))?;
        let long = |number| (text(number).0, 64);
        let short = |number| (text(number).0, 6);

        for (text, len) in (0..150).map(long) {
            model.add(text.get(..len).ok_or(EINVAL)?, false)?;
        }
        for _ in 0..model.blocks() {
            model.learn()?;
        }
        assert_eq!(model.contents.covered(), model.blocks());
        assert!(!model.memory.has_failed.get());
        for (text, len) in (0..150).map(long) {
            let name = text.get(..len).ok_or(EINVAL)?;
            let position = model.check(name)?.ok_or(EINVAL)?;
            model.remove(position, false)?;
        }
        for (text, len) in (0..300).map(short) {
            let name = text.get(..len).ok_or(EINVAL)?;
            model.add(name, false)?;
            assert!(model.check(name)?.is_some());
            model.check_count()?;
        }
        assert!(model.memory.has_failed.get());
        Ok(())
    }
}
