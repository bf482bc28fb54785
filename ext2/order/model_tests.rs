// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for the rules of names, with a simulated disk: names come and go at random, blocks
//! are written by whoever and whenever, and some cannot be. [`test_device`](super::test_device)
//! looks at what the medium may have if the power goes.
//!
//! What waits for what is kept by [`Batches`], [`Moves`] and [`Records`], as in
//! [`names`](super::names), [`moved`](super::moved) and [`removals`](super::removals); the inodes
//! and the directories, of a page each, are the suite's own.

use kernel::prelude::*;

#[kunit_tests(rust_ext2_order)]
mod tests {
    use super::*;
    use crate::{
        disk::test_images::Random,
        order::{
            batch::Batches,
            moves::{
                self,
                Moves, //
            },
            records::{
                Record,
                Records, //
            },
            test_device::Device,
            test_names::{
                Disk,
                Entry,
                Image,
                Page,
                Write,
                DIRECTORIES,
                INODES,
                SLOTS, //
            }, //
        },
    };
    use core::{
        cell::RefCell,
        pin::Pin, //
    };

    #[test]
    fn names_lead_to_what_was_named_so() -> Result {
        assert_eq!(at_random(1..4, 0)?, None);
        Ok(())
    }

    #[test]
    fn names_lead_to_what_was_named_so_where_requests_fail() -> Result {
        assert_eq!(at_random(20..24, 6)?, None);
        Ok(())
    }

    /// The number of the first directory.
    const FIRST: u32 = 100;

    /// An inode in memory.
    #[derive(Clone, Copy, Default)]
    struct Inode {
        generation: u32,
        links: u32,
        kept: u32,
        is_on_disk: bool,
        is_used: bool,
    }

    /// Inodes, the buffers that they are in, and the device.
    struct Store {
        inodes: [Inode; INODES],
        buffers: [Image; INODES],
        device: Device<Disk>,
    }

    impl Store {
        /// Puts an inode into its buffer, which anybody may write.
        fn store(&mut self, number: usize) {
            let inode = &mut self.inodes[number];
            let links = inode.links + inode.kept;
            self.buffers[number] = Image {
                generation: inode.generation,
                links,
            };
            inode.is_on_disk |= links != 0;
        }

        fn write(&mut self, number: usize) -> Result {
            let image = self.buffers[number];
            self.device.write(Write::Image(number, image))
        }

        /// Has inodes that have got names on the medium; those stay that could not be written.
        fn settle(&mut self, names: &mut KVVec<Named>) {
            for name in names.iter_mut() {
                if self.inodes[name.inode].is_used {
                    self.store(name.inode);
                }
                name.has_failed = self.write(name.inode).is_err();
            }
            if self.device.flush().is_ok() {
                names.retain(|name| name.has_failed);
            }
        }
    }

    struct Named {
        directory: usize,
        inode: usize,
        has_failed: bool,
    }

    struct Model {
        store: RefCell<Store>,
        pages: [Page; DIRECTORIES],
        /// The last batch of names of each directory.
        batches: [u64; DIRECTORIES],
        names: Pin<KBox<Batches<Named>>>,
        moves: RefCell<Moves>,
        records: Records,
        random: Random,
        /// How many names went from memory before the new ones were on the medium.
        waited: usize,
    }

    /// The page of a directory.
    fn page_of(directory: usize) -> moves::Page {
        moves::Page {
            directory: FIRST + directory as u32,
            index: 0,
        }
    }

    impl Model {
        fn new(seed: u64, failing: u64) -> Result<Self> {
            Ok(Self {
                store: RefCell::new(Store {
                    inodes: [Inode::default(); INODES],
                    buffers: [Image::default(); INODES],
                    device: Device::new(Disk::new(), seed + 1000, failing),
                }),
                pages: [[None; SLOTS]; DIRECTORIES],
                batches: [0; DIRECTORIES],
                names: KBox::pin_init(
                    Batches::new(
                        (c"test_waiting", kernel::static_lock_class!()),
                        (c"test_running", kernel::static_lock_class!()),
                    ),
                    GFP_KERNEL,
                )?,
                moves: RefCell::new(Moves::new()),
                records: Records::new(),
                random: Random::new(seed),
                waited: 0,
            })
        }

        fn below(&mut self, limit: usize) -> usize {
            self.random.below(limit as u64) as usize
        }

        fn inode<R>(&self, number: usize, change: impl FnOnce(&mut Inode) -> R) -> R {
            change(&mut self.store.borrow_mut().inodes[number])
        }

        /// An empty place in a directory, or one with a name.
        fn place(&mut self, is_empty: bool) -> Option<(usize, usize)> {
            let (directory, from) = (self.below(DIRECTORIES), self.below(SLOTS));
            let page = &self.pages[directory];
            let mut slots = Iterator::chain(from..SLOTS, 0..from);
            slots
                .find(|&slot| page[slot].is_none() == is_empty)
                .map(|slot| (directory, slot))
        }

        fn add_name(&mut self, (directory, slot): (usize, usize), inode: usize) -> Result {
            let named = Named {
                directory,
                inode,
                has_failed: false,
            };
            self.batches[directory] = self.names.add(named)?.0;
            let generation = self.inode(inode, |inode| inode.generation);
            self.pages[directory][slot] = Some(Entry { inode, generation });
            Ok(())
        }

        fn create(&mut self) -> Result {
            let Some(place) = self.place(true) else {
                return Ok(());
            };
            let number = (0..INODES).find(|&number| {
                !self.inode(number, |inode| inode.is_used)
                    && self.records.links_of(number as u32 + 1).is_none()
            });
            let Some(number) = number else {
                return Ok(());
            };
            self.inode(number, |inode| {
                *inode = Inode {
                    generation: inode.generation + 1,
                    links: 1,
                    is_used: true,
                    ..Inode::default()
                }
            });
            self.add_name(place, number)
        }

        fn link(&mut self) -> Result {
            let (Some((directory, slot)), Some(place)) = (self.place(false), self.place(true))
            else {
                return Ok(());
            };
            let entry = self.pages[directory][slot].ok_or(EINVAL)?;
            self.inode(entry.inode, |inode| inode.links += 1);
            self.add_name(place, entry.inode)
        }

        /// A link of an inode is kept until a directory is written.
        fn until_written(&mut self, number: usize, directory: usize) -> Result {
            self.records.reserve()?;
            self.records.add(Record {
                inode: number as u32 + 1,
                directory: FIRST + directory as u32,
                links: 1,
                serial: 0,
                is_stuck: false,
                is_reported: false,
            });
            self.records.reserved -= 1;
            Ok(())
        }

        fn unlink(&mut self) -> Result {
            let Some((directory, slot)) = self.place(false) else {
                return Ok(());
            };
            let entry = self.pages[directory][slot].take().ok_or(EINVAL)?;
            self.store.borrow_mut().device.medium.lasting[entry.inode] = 0;
            if self.inode(entry.inode, |inode| inode.is_on_disk) {
                self.inode(entry.inode, |inode| inode.kept += 1);
                self.until_written(entry.inode, directory)?;
            }
            let is_last = self.inode(entry.inode, |inode| {
                inode.links -= 1;
                inode.links == 0
            });
            if is_last {
                self.store.borrow_mut().store(entry.inode);
                self.inode(entry.inode, |inode| inode.is_used = false);
            }
            Ok(())
        }

        fn rename(&mut self) -> Result {
            let (Some((old, from)), Some((new, to))) = (self.place(false), self.place(true)) else {
                return Ok(());
            };
            let entry = self.pages[old][from].ok_or(EINVAL)?;
            self.add_name((new, to), entry.inode)?;
            if old == new || !self.inode(entry.inode, |inode| inode.is_on_disk) {
                self.pages[old][from] = None;
                return Ok(());
            }
            self.inode(entry.inode, |inode| inode.kept += 1);
            if self.has_wait(page_of(old), page_of(new))? {
                self.waited += 1;
                self.pages[old][from] = None;
                return self.until_written(entry.inode, old);
            }
            let is_there = self
                .write_page(new)
                .and_then(|()| self.store.borrow_mut().device.flush());
            if is_there.is_ok() {
                self.pages[old][from] = None;
                return self.until_written(entry.inode, old);
            }
            self.pages[new][to] = None;
            self.until_written(entry.inode, new)
        }

        /// As [`MovedNames::add`](crate::order::moved::MovedNames::add).
        fn has_wait(&self, old: moves::Page, new: moves::Page) -> Result<bool> {
            if !self.moves.borrow().can_add(old, new) {
                // What cannot be settled is not of this caller.
                let _ = self.settle_moves();
            }
            let mut moves = self.moves.borrow_mut();
            match moves.can_add(old, new) {
                true => moves.add(old, new).map(|()| true),
                false => Ok(false),
            }
        }

        fn settle_moves(&self) -> Result {
            let (pages, serial) = self.moves.borrow().awaited()?;
            let mut failed = KVec::new();
            for &page in pages.iter() {
                if self.write_now((page.directory - FIRST) as usize).is_err() {
                    failed.push(page, GFP_KERNEL)?;
                }
            }
            self.store.borrow_mut().device.flush()?;
            self.moves.borrow_mut().settle(serial, &failed);
            Ok(())
        }

        fn waits(&self, directory: usize) -> bool {
            let number = page_of(directory).directory;
            self.moves.borrow().waits(number, &(0..1))
        }

        /// Writes the page of a directory, after what it waits for.
        fn write_page(&self, directory: usize) -> Result {
            if self.waits(directory) {
                self.settle_moves()?;
            }
            match self.waits(directory) {
                true => Err(EIO),
                false => self.write_now(directory),
            }
        }

        fn write_now(&self, directory: usize) -> Result {
            self.names.settle_own(
                self.batches[directory],
                |name| name.directory == directory,
                |names| self.store.borrow_mut().settle(names),
            )?;
            let page = self.pages[directory];
            let mut store = self.store.borrow_mut();
            store.device.write(Write::Page(directory, page))
        }

        fn resolve(&mut self) -> Result {
            let serial = self.records.serial;
            let mut is_written = [false; DIRECTORIES];
            for (directory, is_written) in is_written.iter_mut().enumerate() {
                *is_written = self.write_page(directory).is_ok();
            }
            self.store.borrow_mut().device.flush()?;
            let pages = self.pages.iter().zip(is_written);
            for entry in pages
                .filter(|page| page.1)
                .flat_map(|page| page.0)
                .flatten()
            {
                let mut store = self.store.borrow_mut();
                store.device.medium.lasting[entry.inode] = entry.generation;
            }
            let mut key = (1, 0);
            while let Some(record) = self.records.next(key, serial) {
                key = (record.inode, record.directory + 1);
                if !is_written[(record.directory - FIRST) as usize] {
                    continue;
                }
                let number = record.inode as usize - 1;
                let mut store = self.store.borrow_mut();
                if store.inodes[number].is_used {
                    store.inodes[number].kept -= record.links;
                    store.store(number);
                } else {
                    store.buffers[number].links -= record.links;
                }
                self.records.remove(&record);
            }
            Ok(())
        }

        fn flusher(&mut self) {
            let number = self.below(INODES);
            let mut store = self.store.borrow_mut();
            if store.inodes[number].is_used {
                store.store(number);
            }
            let _ = store.write(number);
        }

        fn step(&mut self) -> Result {
            match self.below(16) {
                0..4 => self.create(),
                4 => self.link(),
                5..8 => self.unlink(),
                8..10 => self.rename(),
                10..13 => {
                    self.flusher();
                    Ok(())
                }
                13 => {
                    let directory = self.below(DIRECTORIES);
                    // Some cannot be written.
                    let _ = self.write_page(directory);
                    Ok(())
                }
                14 => {
                    let _ = self.store.borrow_mut().device.flush();
                    Ok(())
                }
                _ => {
                    let _ = self.resolve();
                    Ok(())
                }
            }
        }

        /// All gets to the disk when nothing fails any more.
        fn finish(&mut self) -> Result {
            self.store.borrow_mut().device.failing = 0;
            self.resolve()?;
            assert!(self.records.list.is_empty());
            let mut store = self.store.borrow_mut();
            for number in 0..INODES {
                if store.inodes[number].is_used {
                    store.store(number);
                }
                store.write(number)?;
            }
            store.device.flush()?;
            assert_eq!(store.device.medium.pages, self.pages);
            for (inode, image) in store.inodes.iter().zip(&store.device.medium.images) {
                assert_eq!(image.links, inode.links);
                assert!(inode.kept == 0 || !inode.is_used);
            }
            Ok(())
        }
    }

    /// What is against the rules, if anything is.
    fn at_random(seeds: core::ops::Range<u64>, failing: u64) -> Result<Option<&'static str>> {
        for seed in seeds {
            let mut model = Model::new(seed, failing)?;
            for _ in 0..800 {
                model.step()?;
            }
            model.finish()?;
            assert!(model.waited > 5);
            let wrong = model.store.borrow().device.wrong;
            if wrong.is_some() {
                return Ok(wrong);
            }
        }
        Ok(None)
    }
}
