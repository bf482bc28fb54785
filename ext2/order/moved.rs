// SPDX-License-Identifier: GPL-2.0

//! A name that has moved is off the medium where it was only after it is there where it is.
//!
//! Who moves a name from a page of a directory to another, of the same directory or not,
//! [`add`](MovedNames::add)s that when the new name is there and the old one is still: the page
//! with the old one is then not written before the other is on the medium. Who writes a directory
//! [`settle`](MovedNames::settle)s that before, and leaves a page that [waits](MovedNames::waits)
//! when it is locked: the name may have moved since. What is settled is all that waits at the time,
//! with one flush of the device.
//!
//! A page that waits is not waited for, see [`moves`](crate::order::moves); where it would be, what
//! is there is settled before. So the pages that are written for others wait for inodes, as
//! [`names`](crate::order::names) says, and for nothing else.
//!
//! C counterpart: none. C ext2 writes and waits at each change of a directory, and has both names
//! in memory in between.
//!
//! Locks: of those who settle one [writes](MovedNames::take_turn), outside of the lock of a folio
//! of a directory and of its tree mutex, inside of `i_rwsem` and of the mutex of
//! [`removals`](crate::order::removals), and without waiting for who writes an inode: he may be
//! another. These wait, but not if what they need has been done meanwhile: the one who writes may
//! wait for an inode to be gone, and who takes it away for one of these. `turn` and inside it
//! `moves` are mutexes for what is in memory.

#![deny(unsafe_code)]

use super::{
    moves::{
        Moves,
        Page, //
    },
    names,
    ordered::Ordered, //
};
use core::ops::Range;
use kernel::{
    new_condvar, new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        CondVar,
        Mutex, //
    },
};
use rust_mpage::{
    fs::{
        Cached,
        InodeRef,
        SuperBlock, //
    },
    mm::without_fs_reclaim, //
};

/// How often an inode is waited for that is being read or evicted each time.
const TRIES: u32 = 8;

/// All of a filesystem.
#[pin_data]
pub(crate) struct MovedNames {
    #[pin]
    moves: Mutex<Moves>,
    /// Whether somebody writes.
    #[pin]
    turn: Mutex<bool>,
    #[pin]
    turn_ended: CondVar,
    /// How many moves there are.
    count: Atomic<u64>,
    /// How many wait for pages that names have moved from again and again.
    urgent: Atomic<u64>,
}

impl MovedNames {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            moves <- new_mutex!(Moves::new(), "ext2_moved_names"),
            turn <- new_mutex!(false, "ext2_moved_names_turn"),
            turn_ended <- new_condvar!("ext2_moved_names_turn_ended"),
            count: Atomic::new(0),
            urgent: Atomic::new(0),
        })
    }

    /// Has page `old` wait for page `new`: a name is about to go from the one, and is in the other
    /// already. Whether it does; else the caller has to wait for the new name to be on the medium.
    /// Directories of both are locked exclusively.
    ///
    /// Fails with `ENOMEM`.
    pub(crate) fn add<F: Ordered>(&self, sb: &SuperBlock<F>, old: Page, new: Page) -> Result<bool> {
        self.add_unless(sb, old, new, || self.urgent.load(Acquire) != 0)
    }

    /// As [`add`](Self::add), also while somebody [hurries](Self::hurry): of a name that could not
    /// move. There is nothing else to wait for then.
    pub(crate) fn add_back<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        old: Page,
        new: Page,
    ) -> Result<bool> {
        self.add_unless(sb, old, new, || false)
    }

    fn add_unless<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        old: Page,
        new: Page,
        must_not_wait: impl Fn() -> bool,
    ) -> Result<bool> {
        if old == new || must_not_wait() {
            return Ok(false);
        }
        if !self.moves.lock().can_add(old, new) {
            // What cannot be settled is not of this caller.
            let _ = self.settle_all(sb, || self.moves.lock().can_add(old, new));
        }
        let mut moves = self.moves.lock();
        // Who hurries finds all that have been added before, and none is later.
        if must_not_wait() || !moves.can_add(old, new) {
            return Ok(false);
        }
        moves.add(old, new)?;
        self.publish(&moves);
        Ok(true)
    }

    /// Whether one of these pages of a directory waits, and must not be written. The folio with
    /// them is locked.
    #[inline]
    pub(crate) fn waits(&self, directory: u32, pages: &Range<u64>) -> bool {
        !self.is_empty() && self.moves.lock().waits(directory, pages)
    }

    /// Whether pages wait for one of a directory, or of one that is gone and had this number. It is
    /// not used again: who makes a directory may have to write those pages, and they would wait
    /// until it is made.
    #[inline]
    pub(crate) fn is_awaited(&self, directory: u32) -> bool {
        !self.is_empty() && self.moves.lock().is_awaited(directory)
    }

    /// Has these pages of a directory wait no more, but for what moves meanwhile: brings what all
    /// wait for to the medium. No folio of a directory is locked.
    ///
    /// Fails with `EIO` if something that they wait for cannot be written, and with `ENOMEM`.
    pub(crate) fn settle<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        directory: u32,
        pages: &Range<u64>,
    ) -> Result {
        if !self.waits(directory, pages) {
            return Ok(());
        }
        self.settle_all(sb, || !self.waits(directory, pages))?;
        match self.moves.lock().has_failed(directory, pages) {
            true => Err(EIO),
            false => Ok(()),
        }
    }

    /// As [`settle`](Self::settle), of all, unless others do what is needed, as `is_done` says.
    /// What could not be written still waits.
    fn settle_all<F: Ordered>(&self, sb: &SuperBlock<F>, is_done: impl Fn() -> bool) -> Result {
        let Some(_turn) = self.take_turn(is_done) else {
            return Ok(());
        };
        let (pages, serial) = self.moves.lock().awaited()?;
        let failed = write(sb, &pages)?;

        let mut moves = self.moves.lock();
        moves.settle(serial, &failed);
        self.publish(&moves);
        Ok(())
    }

    /// Waits until nobody else writes. `None` if `is_done` said so before.
    fn take_turn(&self, is_done: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut taken = self.turn.lock();
        while *taken {
            if is_done() {
                return None;
            }
            self.turn_ended.wait(&mut taken);
        }
        *taken = true;
        Some(Turn(self))
    }

    /// Until the value is dropped, who moves a name waits until the new one is on the medium.
    pub(crate) fn hurry(&self) -> Hurry<'_> {
        self.urgent.fetch_add(1, Release);
        Hurry(self)
    }

    /// A directory leaves memory. Whether names may be on the disk that it has lost, and not where
    /// they are now.
    pub(crate) fn directory_goes(&self, directory: u32) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut moves = self.moves.lock();
        let waits = moves.waits(directory, &(0..u64::MAX));
        moves.forget(directory);
        self.publish(&moves);
        waits
    }

    fn is_empty(&self) -> bool {
        self.count.load(Acquire) == 0
    }

    /// Tells those who do not lock how many there are.
    fn publish(&self, moves: &Moves) {
        self.count.store(moves.len() as u64, Release);
    }
}

/// See [`MovedNames::take_turn`].
#[must_use]
struct Turn<'m>(&'m MovedNames);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.turn.lock() = false;
        self.0.turn_ended.notify_all();
    }
}

/// See [`MovedNames::hurry`].
#[must_use]
pub(crate) struct Hurry<'m>(&'m MovedNames);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.urgent.fetch_sub(1, Relaxed);
    }
}

/// Brings pages of directories, which are in order and do not wait, to the medium, and what leads
/// to them: the images of these directories, which wait for arrays of pointers. Those that could
/// not be, in order.
///
/// Fails with `ENOMEM`.
fn write<F: Ordered>(sb: &SuperBlock<F>, pages: &[Page]) -> Result<KVVec<Page>> {
    let mut failed = without_fs_reclaim(|| KVVec::with_capacity(pages.len(), GFP_KERNEL))?;
    let mut directories = without_fs_reclaim(|| KVVec::with_capacity(pages.len(), GFP_KERNEL))?;

    // All are under way before the first is waited for.
    for &page in pages {
        if let Ok(Some(directory)) = directory_of(sb, page) {
            directory.start_page(page.index);
        }
    }
    for &page in pages {
        if write_page(sb, page).is_err() {
            // There is memory.
            let _ = failed.push_within_capacity(page);
        }
        if directories.last() != Some(&page.directory) {
            // There is memory.
            let _ = directories.push_within_capacity(page.directory);
        }
    }
    let unwritten = names::write_images(sb, &directories)?;
    if unwritten.is_empty() {
        return Ok(failed);
    }
    let mut all = without_fs_reclaim(|| KVVec::with_capacity(pages.len(), GFP_KERNEL))?;
    for &page in pages {
        if unwritten.binary_search(&page.directory).is_ok() || failed.binary_search(&page).is_ok() {
            // There is memory.
            let _ = all.push_within_capacity(page);
        }
    }
    Ok(all)
}

/// Writes a page of a directory, and stores its image with all that leads to it, for which the size
/// in it waits. Of one that has left memory that was done before, unless it is deleted: then the
/// names in it have gone.
fn write_page<F: Ordered>(sb: &SuperBlock<F>, page: Page) -> Result {
    match directory_of(sb, page)? {
        Some(directory) => {
            directory.write_page(page.index)?;
            let end = page.index.saturating_add(1) << PAGE_SHIFT;
            F::store_up_to(&directory, end.min(directory.size()))
        }
        None if F::removals(sb).is_stuck(page.directory) => Err(EIO),
        None => Ok(()),
    }
}

/// The directory of a page, if it is in memory.
///
/// Fails with `EBUSY` if it comes and goes.
fn directory_of<F: Ordered>(sb: &SuperBlock<F>, page: Page) -> Result<Option<InodeRef<'_, F>>> {
    for _ in 0..TRIES {
        match sb.cached_inode(page.directory.into()) {
            Cached::Here(inode) => return Ok(inode.is_directory().then_some(inode)),
            Cached::Absent => return Ok(None),
            Cached::Busy => sb.wait_for_inode(page.directory.into()),
        }
    }
    Err(EBUSY)
}
