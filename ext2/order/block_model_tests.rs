// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for the rules of blocks, with a simulated disk: files and directories grow, are cut
//! and come anew at random on few blocks, which are written by whoever and whenever, and some
//! cannot be. [`test_device`](super::test_device) looks at what the medium may have if the power
//! goes.
//!
//! What waits for what is kept by [`Batches`](super::batch), [`Settled`](super::branches),
//! `DiskOnly` and [`PendingCuts`](super::pending_cuts), as in [`branches`](super::branches),
//! [`cuts`](super::cuts) and the rooms `map` and `inode`; the trees of pointers and the blocks are
//! the suite's own ([`test_blocks`](super::test_blocks), [`test_store`](super::test_store)).

use kernel::prelude::*;

#[kunit_tests(rust_ext2_block_order)]
mod tests {
    use super::*;
    use crate::order::{
        batch::Batches,
        test_blocks::{
            path,
            Contents,
            Image,
            Pointer,
            BLOCKS,
            FIRST,
            INODES,
            POINTERS,
            ROOTS, //
        },
        test_store::{
            add,
            settled_of,
            Array,
            Branches,
            Guard,
            Inode,
            State,
            Store, //
        },
    };
    use core::{
        array::from_fn,
        cell::RefCell,
        pin::Pin, //
    };

    #[test]
    fn pointers_lead_to_what_is_their_own() -> Result {
        assert_eq!(at_random(1..5, 0)?, None);
        Ok(())
    }

    #[test]
    fn pointers_lead_to_what_is_their_own_where_requests_fail() -> Result {
        assert_eq!(at_random(20..25, 8)?, None);
        Ok(())
    }

    /// The medium has an array as it was before, with a pointer to one that was never written: it
    /// has it as it is before anything leads there.
    #[test]
    fn what_was_cut_from_a_new_array_is_not_found_there() -> Result {
        let model = Model::new(1, 0)?;
        let at = FIRST[ROOTS - 1];
        let behind = at + POINTERS;

        model.with(|it| {
            it.is_alone = true;
            it.inodes[0].image.is_used = true;
            it.grow_at(&model.branches, 0, at)
        })?;
        model.settle_all()?;
        model.with(|it| -> Result {
            it.grow_at(&model.branches, 0, behind)?;
            let Pointer { block, .. } = it.inodes[0].image.pointers[ROOTS - 1];
            it.write(block)?;
            it.device.flush()
        })?;
        model.cut_from(0, behind)?;
        model.store(0)?;
        model.with(|it| it.write(BLOCKS))?;
        assert_eq!(model.with(|it| it.device.wrong), None);
        Ok(())
    }

    struct Model {
        /// It is too large for a stack of 16 KiB that has copies of it.
        store: RefCell<KBox<Store>>,
        branches: Pin<KBox<Branches>>,
    }

    impl Model {
        fn new(seed: u64, failing: u64) -> Result<Self> {
            Ok(Self {
                store: RefCell::new(Store::new(seed, failing)?),
                branches: KBox::pin_init(
                    Batches::new(
                        (c"test_waiting", kernel::static_lock_class!()),
                        (c"test_running", kernel::static_lock_class!()),
                    ),
                    GFP_KERNEL,
                )?,
            })
        }

        fn with<R>(&self, work: impl FnOnce(&mut Store) -> R) -> R {
            work(&mut self.store.borrow_mut())
        }

        /// As `write::store`.
        fn store(&self, inode: usize) -> Result {
            while let Some(batch) =
                self.with(|it| it.store(inode, |_, waiting| (waiting == 0).then_some(0)))
            {
                self.branches.settle_own(
                    batch,
                    |branch| branch.inode == inode,
                    |waiting| self.with(|it| it.settle(&self.branches, waiting)),
                )?;
                self.with(|it| it.inodes[inode].disk.note_settled(batch));
            }
            Ok(())
        }

        fn settle_all(&self) -> Result {
            self.branches.settle(self.branches.current(), |waiting| {
                self.with(|it| it.settle(&self.branches, waiting))
            })
        }

        /// As `write::store_known`.
        fn store_known(&self, inode: usize) {
            let settled = settled_of(&self.branches, inode);
            self.with(|it| {
                it.store(inode, |disk, waiting| {
                    Some(disk.left_waiting(waiting, settled))
                })
            });
        }

        /// Cuts the pointers of an array, and of those behind it, from block `size` of the file on;
        /// `places` are its pointers, with the arrays behind each, and their first blocks.
        fn cut(
            &self,
            inode: usize,
            array: Array,
            size: usize,
            places: &[(usize, usize, usize)],
        ) -> Result {
            let mut taken = KVec::new();
            for &(index, height, first) in places {
                let pointer = self.with(|it| it.array(inode, array)[index]);
                if pointer.is_null() {
                    continue;
                }
                if first >= size {
                    self.with(|it| it.set(inode, array, index, Pointer::default()));
                    taken.push((pointer, height, first), GFP_KERNEL)?;
                } else if let Some(below) = height.checked_sub(1) {
                    let behind = POINTERS.pow(below as u32);
                    let places: [_; POINTERS] = from_fn(|at| (at, below, first + at * behind));
                    self.cut(inode, Array::Block(pointer.block), size, &places)?;
                }
            }
            if taken.is_empty() {
                return Ok(());
            }
            if let Array::Block(block) = array {
                self.note_cut(inode, block, &taken)?;
            }
            let guard = self.make_known(inode, array);
            for (pointer, height, _) in taken {
                self.with(|it| it.free_subtree(pointer, height, guard));
            }
            Ok(())
        }

        /// As `fresh::note_cut`.
        fn note_cut(
            &self,
            inode: usize,
            block: usize,
            taken: &[(Pointer, usize, usize)],
        ) -> Result {
            let &[(_, height, first), ..] = taken else {
                return Ok(());
            };
            let (offsets, _) = path(first);
            let root = offsets[0] as u32;
            if height != 0 && self.with(|it| it.inodes[inode].disk.is_fresh(root)) {
                let batch = add(&self.branches, inode, Some(block))?;
                self.with(|it| it.inodes[inode].disk.note_fresher(root, batch));
            }
            Ok(())
        }

        /// As `make_known` in `truncate`.
        fn make_known(&self, inode: usize, array: Array) -> Guard {
            let Inode { image, disk } = self.with(|it| it.inodes[inode]);
            let own = Guard::Block(BLOCKS + inode);
            match array {
                Array::Block(block) => Guard::Block(block),
                Array::Inode if !disk.is_on_disk => Guard::NotNeeded,
                Array::Inode if !image.is_used => own,
                Array::Inode => self.store(inode).map_or(Guard::Missing, |()| own),
            }
        }

        fn cut_from(&self, inode: usize, size: usize) -> Result {
            self.with(|it| {
                it.locked = Some(inode);
                it.inodes[inode].image.size = size;
            });
            let places: [_; ROOTS] = from_fn(|root| (root, root, FIRST[root]));
            let result = self.cut(inode, Array::Inode, size, &places);
            self.with(|it| it.locked = None);
            result
        }

        fn delete(&self, inode: usize) -> Result {
            self.with(|it| it.inodes[inode].image.is_used = false);
            self.store(inode)?;
            self.with(|it| it.inodes[inode].disk.give_up_first());
            self.cut_from(inode, 0)?;
            self.with(|it| it.inodes[inode] = Inode::default());
            Ok(())
        }

        fn create(&self, inode: usize) {
            self.with(|it| {
                let is_directory = it.below(2) == 0;
                it.inodes[inode].image = Image {
                    is_used: true,
                    is_directory,
                    ..Image::default()
                };
            });
        }

        /// All that there is gets to the medium.
        fn sync(&self) -> Result {
            for inode in 0..INODES {
                if self.with(|it| it.is_used(inode)) {
                    self.store(inode)?;
                }
            }
            self.with(|it| {
                (0..BLOCKS + INODES).try_for_each(|block| it.write(block))?;
                it.write_cuts()?;
                for block in 0..BLOCKS {
                    if it.states[block] == State::Abandoned {
                        it.free(block, Guard::NotNeeded);
                    }
                }
                Ok(())
            })
        }

        /// Some cannot be done.
        fn step(&self) -> Result {
            let inode = self.with(|it| it.below(INODES));
            let image = self.with(|it| it.inodes[inode].image);
            match self.with(|it| it.below(40)) {
                0..14 if !image.is_used => {
                    self.create(inode);
                    Ok(())
                }
                0..14 => self.with(|it| it.grow(&self.branches, inode)),
                14..16 if image.is_used => self.delete(inode),
                16..19 if image.is_used && !image.is_directory => {
                    let size = self.with(|it| it.below(image.size + 1));
                    self.cut_from(inode, size)
                }
                19..22 if image.is_used => self.store(inode),
                22..25 if image.is_used => {
                    self.store_known(inode);
                    Ok(())
                }
                25..34 => self.with(Store::write_any),
                34 => self.with(|it| it.write_data(inode)),
                35..37 => self.with(|it| it.device.flush()),
                37..39 => self.settle_all(),
                39 => self.sync(),
                _ => Ok(()),
            }
        }

        /// All gets to the disk when nothing fails any more.
        fn finish(&self) -> Result {
            self.with(|it| {
                it.device.failing = 0;
                it.is_alone = true;
            });
            self.sync()?;
            let it = self.store.borrow();
            let disk = &it.device.medium;
            let mut owners = [0; BLOCKS];
            for (inode, contents) in it.inodes.iter().zip(disk.0[BLOCKS..].iter().copied()) {
                let image = inode.image;
                if image.is_used {
                    assert!(contents == Contents::Inode(image));
                    for (height, pointer) in (0..).zip(image.pointers) {
                        disk.walk(pointer, height, image.is_directory, &mut owners);
                    }
                }
            }
            for (buffer, contents) in it.buffers.iter().zip(disk.0.iter().copied()) {
                assert!(buffer.is_none_or(|buffer| buffer.contents == contents));
            }
            for (owners, state) in owners.iter().zip(it.states) {
                assert_eq!((*owners == 1), (state == State::Used));
            }
            Ok(())
        }
    }

    /// What is against the rules, if anything is.
    fn at_random(seeds: core::ops::Range<u64>, failing: u64) -> Result<Option<&'static str>> {
        for seed in seeds {
            let model = Model::new(seed, failing)?;
            for _ in 0..1500 {
                match model.step() {
                    Ok(()) | Err(EIO | ENOSPC) => (),
                    Err(error) => return Err(error),
                }
            }
            assert!(model.with(|it| it.waited.iter().all(|&count| count > 20)));
            let mut wrong = model.with(|it| it.device.wrong);
            if wrong.is_none() {
                model.finish()?;
                wrong = model.with(|it| it.device.wrong);
            }
            if wrong.is_some() {
                return Ok(wrong);
            }
        }
        Ok(None)
    }
}
