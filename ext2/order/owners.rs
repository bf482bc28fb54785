// SPDX-License-Identifier: GPL-2.0

//! The count of the inodes that share a block of attributes is never lower on the medium than there
//! are inodes there that have it.
//!
//! Who adds an owner has the block written before the image of the inode, as one of the
//! [`branches`](crate::order::branches). Who takes one away that the disk may have
//! [`adds`](Leavings::add) that here; the count is lowered when the image of the inode, without the
//! block, is on the medium. That is so when the filesystem is synced, when very many wait, and when
//! somebody has to know: who has the block alone then, and changes or frees it.
//!
//! C counterpart: none; a crash of C leaves counts that are too low, and the file that shares the
//! block gets what is set for another.
//!
//! Locks: `running`, while images are written; inside it `leavings`, which is the lock of all
//! counts, too. Inside `leavings`, the lock of a buffer, and those of `branches`.

#![deny(unsafe_code)]

use super::{
    ordered::Ordered,
    write::{
        write_sorted,
        Waiting, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        MutexGuard, //
    },
};
use rust_mpage::{
    fs::{
        Buffer,
        Cached,
        SuperBlock, //
    },
    mm::without_fs_reclaim, //
};

/// How many inodes may wait.
const CAPACITY: usize = 512;

/// An inode that has left a block, and whose image on the disk may say that it has it still.
#[derive(Clone, Copy)]
struct Leaving {
    /// Which it is.
    serial: u64,
    block: u32,
    inode: u32,
}

/// All of a filesystem.
///
/// # Invariants
///
/// There is memory for [`CAPACITY`] of them.
pub(crate) struct Leavings {
    list: KVVec<Leaving>,
    last_serial: u64,
}

impl Leavings {
    fn new() -> Result<Self> {
        // INVARIANT: As asked for.
        Ok(Self {
            list: KVVec::with_capacity(CAPACITY, GFP_KERNEL)?,
            last_serial: 0,
        })
    }

    /// How many have left a block that its count has still.
    pub(crate) fn of(&self, block: u32) -> u32 {
        self.list.iter().filter(|one| one.block == block).count() as u32
    }

    /// Notes that an inode has left a block. Whether there was room. The block's count has each
    /// inode once: who has left before leaves anew.
    pub(crate) fn add(&mut self, block: u32, inode: u32) -> bool {
        self.come_back(block, inode);
        self.last_serial += 1;
        let leaving = Leaving {
            serial: self.last_serial,
            block,
            inode,
        };
        self.list.len() < CAPACITY && self.list.push_within_capacity(leaving).is_ok()
    }

    /// An inode that has left a block gets it again, or is read with it: the disk has kept an older
    /// image in place of the last one. Whether that is so: the block's count has it.
    pub(crate) fn come_back(&mut self, block: u32, inode: u32) -> bool {
        let before = self.list.len();
        self.list
            .retain(|one| (one.block, one.inode) != (block, inode));
        self.list.len() != before
    }

    /// Takes one away that there is still.
    fn take(&mut self, serial: u64) -> bool {
        let before = self.list.len();
        self.list.retain(|one| one.serial != serial);
        self.list.len() != before
    }
}

/// The owners of blocks of attributes.
#[pin_data]
pub(crate) struct Owners {
    #[pin]
    leavings: Mutex<Leavings>,
    #[pin]
    running: Mutex<()>,
    /// How many wait.
    count: Atomic<u64>,
}

impl Owners {
    /// None waits.
    pub(super) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            leavings <- new_mutex!(Leavings::new()?, "ext2_owners"),
            running <- new_mutex!((), "ext2_owners_running"),
            count: Atomic::new(0),
        }? Error)
    }

    /// Keeps all counts as they are, but for the caller, who may change them. Allocates nothing of
    /// the filesystem's meanwhile.
    pub(crate) fn lock(&self) -> Counts<'_> {
        Counts {
            leavings: self.leavings.lock(),
            count: &self.count,
        }
    }

    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Whether as many wait as may.
    pub(crate) fn is_full(&self) -> bool {
        self.count.load(Relaxed) >= CAPACITY as u64
    }

    /// Brings the images of all that wait to the medium, and lowers the counts.
    ///
    /// Fails with `EIO` if some cannot be written, with what a flush of the device fails with, and
    /// with `ENOMEM`.
    pub(crate) fn resolve<F: Ordered>(&self, sb: &SuperBlock<F>) -> Result {
        if self.is_empty() || sb.is_read_only() {
            return Ok(());
        }
        let _running = self.running.lock();
        let waiting = self.snapshot()?;
        // The images may have what they lead to.
        F::branches(sb).settle_all(sb)?;
        let mut images = without_fs_reclaim(|| KVVec::with_capacity(waiting.len(), GFP_KERNEL))?;
        let mut written = without_fs_reclaim(|| KVVec::with_capacity(waiting.len(), GFP_KERNEL))?;
        let mut result = Ok(());
        for &leaving in waiting.iter() {
            match store(sb, &leaving) {
                Ok(Some(block)) => {
                    // There is memory.
                    let _ = images.push_within_capacity(Waiting::new(leaving, Some(block)));
                    let _ = written.push_within_capacity(leaving);
                }
                // It waits for what has come since.
                Ok(None) => {}
                Err(error) => result = Err(error),
            }
        }
        let flushed = write_sorted(sb, &mut images);
        if !images.is_empty() {
            result = flushed.and(Err(EIO));
        }
        let has_failed = |one: &Leaving| images.iter().any(|i| i.what.serial == one.serial);
        for leaving in written.iter().filter(|one| !has_failed(one)) {
            let mut counts = self.lock();
            if counts.take(leaving.serial) {
                result = F::lose_owner(sb, leaving.block).and(result);
            }
        }
        result
    }

    fn snapshot(&self) -> Result<KVVec<Leaving>> {
        let mut all = without_fs_reclaim(|| KVVec::with_capacity(CAPACITY, GFP_KERNEL))?;
        for leaving in &self.leavings.lock().list {
            // There is memory.
            let _ = all.push_within_capacity(*leaving);
        }
        Ok(all)
    }

    /// Reports, at the end, what could not be resolved.
    pub(crate) fn report<F: Ordered>(&self, sb: &SuperBlock<F>) {
        for leaving in &self.leavings.lock().list {
            F::corrupt(
                sb,
                fmt!(
                    "inode {}: not written; on the disk it may have the attributes in block {}",
                    leaving.inode,
                    leaving.block
                ),
            );
        }
    }
}

/// All counts of owners, locked.
pub(crate) struct Counts<'a> {
    leavings: MutexGuard<'a, Leavings>,
    count: &'a Atomic<u64>,
}

impl core::ops::Deref for Counts<'_> {
    type Target = Leavings;

    fn deref(&self) -> &Leavings {
        &self.leavings
    }
}

impl core::ops::DerefMut for Counts<'_> {
    fn deref_mut(&mut self) -> &mut Leavings {
        &mut self.leavings
    }
}

impl Drop for Counts<'_> {
    fn drop(&mut self) {
        self.count.store(self.leavings.list.len() as u64, Relaxed);
    }
}

/// Stores the image of an inode that has left a block, if it is in memory; else its image was
/// stored when it left. The block of the image, unless that has the block of attributes still.
fn store<F: Ordered>(sb: &SuperBlock<F>, leaving: &Leaving) -> Result<Option<Buffer>> {
    let (block, offset) = F::place(sb, leaving.inode)?;
    let buffer = sb.bread(block.into())?;
    let settled = F::branches(sb).settled_of(leaving.inode);

    let stored = sb.with_cached_inode(leaving.inode.into(), |inode| {
        F::store_known(inode, &buffer, offset as usize, settled).map(|_| ())
    });
    if let Cached::Here(stored) = stored {
        stored?;
        sb.mark_dirty(&buffer);
    }
    let has_it = F::has_attributes(&buffer, offset as usize, leaving.block)?;
    Ok((!has_it).then_some(buffer))
}

#[kunit_tests(rust_ext2_owners)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_has_not_left() -> Result {
        let mut leavings = Leavings::new()?;

        assert!(leavings.add(100, 11) && leavings.add(100, 12) && leavings.add(200, 11));
        assert_eq!(
            (leavings.of(100), leavings.of(200), leavings.of(300)),
            (2, 1, 0)
        );
        assert!(leavings.come_back(100, 11) && !leavings.come_back(100, 11));
        assert_eq!((leavings.of(100), leavings.of(200)), (1, 1));
        // The first was of before.
        assert!(leavings.add(100, 11));
        // An inode counts once.
        assert!(leavings.add(200, 11) && leavings.of(200) == 1);
        assert!(!leavings.take(1) && leavings.take(2) && !leavings.take(3));
        assert!(leavings.take(4) && leavings.take(5));
        assert_eq!(leavings.of(100), 0);
        Ok(())
    }

    #[test]
    fn there_is_room_for_so_many() -> Result {
        let mut leavings = Leavings::new()?;

        for number in 0..CAPACITY as u32 {
            assert!(leavings.add(number, 11));
        }
        assert!(!leavings.add(1, 12));
        assert_eq!(leavings.of(1), 1);
        assert!(leavings.come_back(7, 11) && leavings.add(1, 12));
        Ok(())
    }
}
