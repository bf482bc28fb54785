// SPDX-License-Identifier: GPL-2.0

//! An inode is deleted on the medium, and its number gets a new owner, only after the names that led
//! to it are gone from there.
//!
//! Who takes the last name of an inode that the disk may have [`add`](Removals::add)s it. Until the
//! directory is on the medium the image of the inode keeps its links; its blocks are given up at
//! once, so it is an empty file there. [`resolve`](Removals::resolve) writes the directories, flushes
//! the device, and then takes the links from the images. That happens at each sync of the filesystem,
//! when very many wait, and when there is no other number for a new inode.
//!
//! A directory that is gone itself has lost its blocks, and so its names, with the image that is in
//! its block of the inode table: that is written, too.
//!
//! What could not be written is not resolved, and its numbers are not used again as long as the
//! filesystem is mounted.
//!
//! C counterpart: none; `recently_deleted()` of ext4 is for the same purpose.
//!
//! Locks: `running`, while directories are written, outside of the lock of a folio of a directory;
//! inside it `records`, for list operations; and `images`, a spinlock, innermost, while links are
//! taken from an image.

#![deny(unsafe_code)]

use crate::{
    inode::{
        self,
        Ext2Inode, //
    },
    inode_write,
    report,
    super_block::Ext2, //
};
use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, SpinLock, SpinLockGuard,
    },
};
use rust_mpage_core::abstractions::{
    fs::{
        self,
        ErrorSequence,
        SuperBlock, //
    },
    mm::without_fs_reclaim, //
};

/// When this many wait, whoever removes a name should resolve them.
const MANY: usize = 1024;

/// An inode that has lost its last name.
#[derive(Clone, Copy)]
struct Record {
    inode: u32,
    directory: u32,
    /// What errors the directory had when the name was removed.
    errors: ErrorSequence,
    /// When the inode was deleted; 0 if it is in use still.
    deleted: u32,
    serial: u64,
    /// The directory could not be written, and is not in memory any more.
    is_stuck: bool,
}

/// Ordered by inode, each once.
struct Records {
    list: KVVec<Record>,
    /// The number of the last.
    serial: u64,
}

impl Records {
    fn find(&self, inode: u32) -> Result<usize, usize> {
        self.list
            .binary_search_by_key(&inode, |record| record.inode)
    }
}

/// All of a filesystem.
#[pin_data]
pub(crate) struct Removals {
    #[pin]
    records: Mutex<Records>,
    #[pin]
    running: Mutex<()>,
    #[pin]
    images: SpinLock<()>,
    /// How many there are.
    count: Atomic<u64>,
}

impl Removals {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        let none = Records {
            list: KVVec::new(),
            serial: 0,
        };
        pin_init!(Self {
            records <- new_mutex!(none, "ext2_removals"),
            running <- new_mutex!((), "ext2_removals_running"),
            images <- new_spinlock!((), "ext2_removed_images"),
            count: Atomic::new(0),
        })
    }

    /// Notes that `directory` has lost the last name of `inode`, which the disk may have.
    ///
    /// Fails with `ENOMEM`: the directory is to be written then.
    pub(crate) fn add(&self, directory: &Ext2Inode, inode: &Ext2Inode) -> Result {
        let mut records = self.records.lock();
        let records = &mut *records;
        let number = inode.number() as u32;
        let serial = records.serial + 1;
        let record = Record {
            inode: number,
            directory: directory.number() as u32,
            errors: directory.errors(),
            deleted: 0,
            serial,
            is_stuck: false,
        };

        match records.find(number) {
            Ok(at) => {
                if let Some(old) = records.list.get_mut(at) {
                    *old = record;
                }
            }
            Err(at) => {
                without_fs_reclaim(|| records.list.push(record, GFP_KERNEL))?;
                if let Some(behind) = records.list.get_mut(at..) {
                    behind.rotate_right(1);
                }
            }
        }
        records.serial = serial;
        self.count.store(records.list.len() as u64, Relaxed);
        Ok(())
    }

    /// Notes that an inode is deleted now.
    pub(crate) fn delete(&self, inode: &Ext2Inode, seconds: u32) {
        let mut records = self.records.lock();
        if let Ok(at) = records.find(inode.number() as u32) {
            if let Some(record) = records.list.get_mut(at) {
                record.deleted = seconds;
            }
        }
    }

    /// Whether the names of an inode may be on the medium still, though it has none.
    #[inline]
    pub(crate) fn has(&self, inode: u32) -> bool {
        !self.is_empty() && self.records.lock().find(inode).is_ok()
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Whether there are so many that they should be resolved.
    #[inline]
    pub(crate) fn are_many(&self) -> bool {
        self.count.load(Relaxed) >= MANY as u64
    }

    /// A directory leaves memory. If its pages could not be written nobody will know that later.
    pub(crate) fn directory_goes(&self, directory: &Ext2Inode) {
        if self.is_empty() {
            return;
        }
        let number = directory.number() as u32;
        let has_failed = self.has_failed(directory);
        for record in self.records.lock().list.iter_mut() {
            record.is_stuck |= has_failed && record.directory == number;
        }
    }

    /// Keeps links from being taken from an image while it is stored.
    pub(crate) fn lock_images(&self) -> SpinLockGuard<'_, ()> {
        self.images.lock()
    }

    /// Writes the directories that have lost names, and then the deletion of the inodes.
    ///
    /// Fails with `EIO` if some cannot be written, and with `ENOMEM`. Nobody calls this who has
    /// locked a folio of a directory or a tree.
    pub(crate) fn resolve(&self, sb: &SuperBlock<Ext2>) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        let _running = self.running.lock();
        let (mut directories, serial) = self.directories()?;
        if directories.is_empty() {
            return Ok(());
        }
        // Those that cannot be written stay.
        directories.retain(|&mut number| self.write_directory(sb, number).is_err());
        sb.device().flush()?;

        let mut at = 0;
        while let Some(record) = self.next(at, serial) {
            if directories.binary_search(&record.directory).is_err() {
                self.take_links(sb, &record)?;
                self.forget(record.inode);
            }
            let Some(next) = record.inode.checked_add(1) else {
                break;
            };
            at = next;
        }
        if directories.is_empty() {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// The directories that have lost names, in order, each once; and the number of the last record
    /// that is of one of them.
    fn directories(&self) -> Result<(KVVec<u32>, u64)> {
        let records = self.records.lock();
        let len = records.list.len();
        let mut numbers = without_fs_reclaim(|| KVVec::with_capacity(len, GFP_KERNEL))?;
        for record in records.list.iter().filter(|record| !record.is_stuck) {
            // There is memory.
            let _ = numbers.push_within_capacity(record.directory);
        }
        numbers.sort_unstable();
        let mut last = None;
        numbers.retain(|&mut number| last.replace(number) != Some(number));
        Ok((numbers, records.serial))
    }

    /// Brings a directory to the device, or, if it is gone, the inode that says so.
    fn write_directory(&self, sb: &SuperBlock<Ext2>, number: u32) -> Result {
        if let Some(directory) = sb.cached_inode(number.into()) {
            let written = directory.write_and_wait();
            if written.is_err() || self.has_failed(&directory) {
                // A page that could not be written is not dirty any more. Nor is it known whether
                // an error is of now.
                directory.mark_pages_dirty()?;
                directory.write_and_wait()?;
            }
        }
        let (block, _) = inode::place(sb, number)?;
        sb.bread(block.into())?.sync()
    }

    /// Whether pages of a directory could not be written since it has lost names.
    fn has_failed(&self, directory: &Ext2Inode) -> bool {
        let number = directory.number() as u32;
        let records = self.records.lock();
        let mut own = records
            .list
            .iter()
            .filter(|record| record.directory == number);
        own.any(|record| directory.has_failed_since(record.errors))
    }

    /// The first record of an inode from number `at` on that is not newer than `serial`.
    fn next(&self, at: u32, serial: u64) -> Option<Record> {
        let records = self.records.lock();
        let from = records.find(at).unwrap_or_else(|at| at);
        let mut rest = records.list.iter().skip(from);
        rest.find(|record| record.serial <= serial && !record.is_stuck)
            .copied()
    }

    fn forget(&self, inode: u32) {
        let mut records = self.records.lock();
        if let Ok(at) = records.find(inode) {
            let _ = records.list.remove(at);
        }
        self.count.store(records.list.len() as u64, Relaxed);
    }

    /// Takes the links from the image of an inode that has no name any more.
    fn take_links(&self, sb: &SuperBlock<Ext2>, record: &Record) -> Result {
        let (block, offset) = inode::place(sb, record.inode)?;
        let buffer = sb.bread(block.into()).inspect_err(|_| {
            report::corrupt(
                sb,
                fmt!("cannot read inode {} in block {block}", record.inode),
            );
        })?;
        let offset = offset as usize;

        let in_use = sb.with_cached_inode(record.inode.into(), |inode| {
            inode.data().disk_only.lock().keeps_links = false;
            inode_write::store_known(inode, &buffer, offset)
        });
        match in_use {
            Some(stored) => {
                stored?;
            }
            None => {
                let deleted = match record.deleted {
                    0 => fs::now() as u32,
                    seconds => seconds,
                };
                let _images = self.lock_images();
                inode_write::mark_deleted(&buffer, offset, deleted)?;
            }
        }
        sb.mark_dirty(&buffer);
        Ok(())
    }
}
