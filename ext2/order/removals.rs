// SPDX-License-Identifier: GPL-2.0

//! A link is taken from an inode on the medium, and its number gets a new owner, only after the
//! name that the link was is gone from there.
//!
//! Who removes a name of an inode [keeps its link](crate::order::kept_links) before: images of the
//! inode have it in addition to those that are counted in memory. If the disk may have the name,
//! that is so until the directory is written. An inode that has lost its last name is an empty file
//! there at once; its number is not used again. [`resolve`](Removals::resolve) writes the
//! directories, flushes the device, and then gives up the links. That happens at each sync of the
//! filesystem, when many wait, or for long, and when there is no other number for a new inode.
//!
//! A name may be the `..` of a directory. A directory that is gone itself has lost its blocks, and
//! so its names, with the image that is in its block of the inode table: that is written, too.
//!
//! A directory that has changed is remembered, too, as one that is waited for with no links: if a
//! page of it could not be written it is written again, and that is reported, once until it has
//! been written. Such a page stays in memory, unless the directory goes: then there are names on
//! the disk that nobody knows of. Their links are not given up as long as the filesystem is
//! mounted.
//!
//! C counterpart: none; `recently_deleted()` of ext4 is for a part of the same purpose.
//!
//! Locks: `running`, while directories are written, outside of the lock of a folio of a directory;
//! inside it `records`, for list operations, and while an inode is looked for that is read or loses
//! links; inside that the lock of the hash of inodes and
//! [`DiskOnly`](crate::inode::disk_only::DiskOnly).

#![deny(unsafe_code)]

use super::{
    ordered::Ordered,
    records::{
        Record,
        Records,
        NO_INODE, //
    },
    sort::sort_by_key, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Mutex, //
    },
};
use rust_mpage::{
    fs::{
        Buffer,
        Cached,
        FsInode,
        InodeRef,
        InodeType,
        SuperBlock,
        Wait, //
    },
    mm::without_fs_reclaim, //
};

/// How often an inode is waited for that is being read or evicted each time.
const TRIES: u32 = 8;

/// All of a filesystem.
#[pin_data]
pub(crate) struct Removals {
    #[pin]
    pub(super) records: Mutex<Records>,
    #[pin]
    running: Mutex<()>,
    /// How many records there are.
    count: Atomic<u64>,
}

impl Removals {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            records <- new_mutex!(Records::new(), "ext2_removals"),
            running <- new_mutex!((), "ext2_removals_running"),
            count: Atomic::new(0),
        })
    }

    /// Whether names of an inode that has none, or names in it, may be on the medium still.
    #[inline]
    pub(crate) fn has(&self, inode: u32) -> bool {
        if self.is_empty() {
            return false;
        }
        let records = self.records.lock();
        records.links_of(inode).is_some() || records.has((NO_INODE, inode))
    }

    /// Whether there are none.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Acquire) == 0
    }

    /// Resolves them if so many links are kept, or for so long, or so many directories have
    /// changed, that it should be done. Before a name in a directory of the filesystem of `inode`
    /// changes.
    pub(crate) fn bound<F: Ordered>(&self, inode: &FsInode<F>) {
        if self.is_empty() || !self.records.lock().are_due() {
            return;
        }
        // What cannot be written is not of this caller.
        let _ = self.resolve(inode.super_block());
    }

    /// Notes that a directory changes: before, and, as it may be written meanwhile, after it has.
    ///
    /// Fails with `ENOMEM`, and with `EIO` if very many changes cannot be written.
    pub(crate) fn note_change<F: Ordered>(&self, directory: &FsInode<F>) -> Result {
        let mut records = self.records.lock();
        if !records.has((NO_INODE, directory.number() as u32)) {
            records.reserve()?;
            records.reserved -= 1;
        }
        records.add(Record::new(NO_INODE, directory, 0));
        self.publish(&records);
        Ok(())
    }

    /// Tells those who do not lock how many there are.
    pub(super) fn publish(&self, records: &Records) {
        self.count.store(records.list.len() as u64, Release);
    }

    /// Calls `read`, which reads the image of inode number `inode`, with how many links are kept in
    /// it. They are not given up meanwhile.
    pub(crate) fn reading<R>(&self, inode: u32, read: impl FnOnce(u32) -> R) -> R {
        if self.is_empty() {
            return read(0);
        }
        let records = self.records.lock();
        read(records.links_of(inode).unwrap_or(0))
    }

    /// A directory leaves memory. If its pages could not be written nobody will know that later; if
    /// it is deleted it is written as an inode without blocks.
    pub(crate) fn directory_goes<F: Ordered>(&self, directory: &FsInode<F>) {
        let number = directory.number() as u32;
        let waits = F::moves_end(directory);
        if self.is_empty() {
            return;
        }
        let is_deleted = directory.nlink() == 0;
        let is_held_back = waits || F::is_held_back(directory);
        let mut records = self.records.lock();
        records.set_stuck(number, |record| {
            !is_deleted && (record.is_stuck || is_held_back || directory.has_unwritten_pages())
        });
        let mut own = records
            .list
            .iter()
            .filter(|record| record.directory == number);
        if is_deleted && own.all(|record| record.inode == NO_INODE) {
            if let Some(change) = records.find((NO_INODE, number)) {
                // Nothing waits for it.
                records.remove(&change);
                self.publish(&records);
            }
        }
    }

    /// Writes the directories that have lost names, and then gives up the links.
    ///
    /// Fails with `EIO` if some cannot be written, and with `ENOMEM`. Nobody calls this who has
    /// locked a folio of a directory or a tree, or while the filesystem is being frozen, when
    /// inodes cannot be evicted.
    pub(crate) fn resolve<F: Ordered>(&self, sb: &SuperBlock<F>) -> Result {
        if self.is_empty() || sb.is_read_only() {
            return Ok(());
        }
        let _running = self.running.lock();
        self.records.lock().try_begins();
        let (mut directories, serial) = self.directories(|record| !record.is_stuck)?;
        if directories.is_empty() {
            return Ok(());
        }
        // Those that cannot be written stay.
        directories.retain(|&mut number| self.write_directory(sb, number).is_err());
        sb.device().flush()?;

        let mut result = Ok(());
        // What is of no inode goes last: the number of a directory is not used again before.
        let mut key = (NO_INODE + 1, 0);
        while let Some(record) = self.next(key, serial) {
            if directories.binary_search(&record.directory).is_err() {
                // It is reported, and stays.
                result = self.give_up(sb, &record).and(result);
            }
            key = (record.inode, record.directory.saturating_add(1));
        }
        self.forget_changes(&directories, serial)?;
        match directories.is_empty() {
            true => result,
            false => Err(EIO),
        }
    }

    /// Forgets the records whose links have been given up, and changes of directories, but for
    /// those that could not be written, and those that links are kept for.
    fn forget_changes(&self, unwritten: &[u32], serial: u64) -> Result {
        let mut records = self.records.lock();
        let records = &mut *records;
        let with_links = records.list.iter().filter(|record| record.links != 0);
        let len = with_links.clone().count();
        let mut needed = without_fs_reclaim(|| KVVec::with_capacity(len, GFP_KERNEL))?;
        for record in with_links {
            // There is memory.
            let _ = needed.push_within_capacity(record.directory);
        }
        sort_by_key(&mut needed, |&needed| needed);
        records.retain_changes(|record| {
            record.serial > serial
                || record.is_stuck
                || unwritten.binary_search(&record.directory).is_ok()
                || needed.binary_search(&record.directory).is_ok()
        });
        self.publish(records);
        Ok(())
    }

    /// Brings all directories that have changed, and their inodes, to the device. For `fsync(2)`.
    ///
    /// Fails with `EIO` if one cannot be written, and with `ENOMEM`.
    pub(crate) fn write_all<F: Ordered>(&self, sb: &SuperBlock<F>) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        let _running = self.running.lock();
        let (directories, _) = self.directories(|_| true)?;
        let mut result = Ok(());
        for &number in directories.iter() {
            let written = self.write_directory(sb, number);
            result = result.and(written.map(|_| ()));
        }
        result
    }

    /// Reports that pages of a directory could not be written, if that is so and is news. Before it
    /// is written, which may be once more, and when a sync of it fails; no folio of it is locked.
    pub(crate) fn report_unwritten<F: Ordered>(&self, directory: &FsInode<F>) {
        let has_failed = directory.has_unwritten_pages();
        if !has_failed && self.is_empty() {
            return;
        }
        let number = directory.number() as u32;
        let is_news = self.records.lock().set_reported(number, has_failed);
        if has_failed && is_news {
            F::corrupt(
                directory.super_block(),
                fmt!("directory {number}: cannot be written; it may lose names"),
            );
        }
    }

    /// Reports, at the end, what could not be resolved.
    pub(crate) fn report<F: Ordered>(&self, sb: &SuperBlock<F>) {
        let records = self.records.lock();
        for record in records.list.iter().filter(|record| record.is_news()) {
            let directory = record.directory;
            match record.inode {
                NO_INODE => F::corrupt(
                    sb,
                    fmt!("directory {directory}: cannot be written; it may have lost names"),
                ),
                inode => F::corrupt(
                    sb,
                    fmt!(
                        "directory {directory}: cannot be written; it may have a name of inode \
                         {inode} on the disk"
                    ),
                ),
            }
        }
    }

    /// The directories of some records, in order, each once; and the number of the last record that
    /// there is.
    fn directories(&self, of: impl Fn(&Record) -> bool) -> Result<(KVVec<u32>, u64)> {
        let records = self.records.lock();
        let len = records.list.len();
        let mut numbers = without_fs_reclaim(|| KVVec::with_capacity(len, GFP_KERNEL))?;
        for record in records.list.iter().filter(|record| of(record)) {
            // There is memory.
            let _ = numbers.push_within_capacity(record.directory);
        }
        sort_by_key(&mut numbers, |&number| number);
        let mut last = None;
        numbers.retain(|&mut number| last.replace(number) != Some(number));
        Ok((numbers, records.serial))
    }

    fn next(&self, key: (u32, u32), serial: u64) -> Option<Record> {
        self.records.lock().next(key, serial)
    }

    /// Brings a directory and its inode to the device. Of one that has left memory the pages have
    /// been written, unless it is deleted, which the inode says. The directory, if it is in memory.
    ///
    /// Fails with `EIO` if it cannot be written, and with `EBUSY` if it comes and goes.
    pub(crate) fn write_directory<'m, F: Ordered>(
        &self,
        sb: &'m SuperBlock<F>,
        number: u32,
    ) -> Result<Option<InodeRef<'m, F>>> {
        for _ in 0..TRIES {
            match sb.cached_inode(number.into()) {
                // It has the number of one that is deleted, as the disk knows, or it would not.
                Cached::Here(other) if !other.is_directory() => return Ok(None),
                Cached::Here(directory) => {
                    directory.write_all_pages()?;
                    directory.sync(Wait::Yes)?;
                    return Ok(Some(directory));
                }
                Cached::Absent => {
                    let (block, _) = F::place(sb, number)?;
                    let buffer = sb.bread(block.into())?;
                    sb.rescue(&buffer);
                    sb.sync_buffer(&buffer)?;
                    return Ok(None);
                }
                Cached::Busy => sb.wait_for_inode(number.into()),
            }
        }
        Err(EBUSY)
    }

    /// Whether a directory could not be written, and has left memory.
    pub(crate) fn is_stuck(&self, directory: u32) -> bool {
        let records = self.records.lock();
        let mut own = records.list.iter();
        own.any(|record| record.directory == directory && record.is_stuck)
    }

    /// Gives up the links of a record, in the inode or, if that is not in memory, in its image.
    fn give_up<F: Ordered>(&self, sb: &SuperBlock<F>, record: &Record) -> Result {
        let (block, offset) = F::place(sb, record.inode)?;
        let buffer = sb.bread(block.into()).inspect_err(|_| {
            F::corrupt(
                sb,
                fmt!("cannot read inode {} in block {block}", record.inode),
            );
        })?;
        for _ in 0..TRIES {
            if self.try_give_up(sb, record, &buffer, offset as usize)? {
                sb.mark_dirty(&buffer);
                return Ok(());
            }
            sb.wait_for_inode(record.inode.into());
        }
        Err(EBUSY)
    }

    /// As [`give_up`](Self::give_up), unless the inode is being read or evicted.
    fn try_give_up<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        record: &Record,
        buffer: &Buffer,
        offset: usize,
    ) -> Result<bool> {
        let settled = F::branches(sb).settled_of(record.inode);
        let mut records = self.records.lock();
        match records.find(record.key()) {
            Some(now) if now.serial == record.serial && !now.is_stuck => (),
            // There is another name, for the next time.
            _ => return Ok(true),
        }
        let known = sb.with_cached_inode(record.inode.into(), |inode| {
            F::give_up_links(inode, record.links);
            F::store_known(inode, buffer, offset, settled)
        });
        match known {
            Cached::Here(stored) => {
                stored?;
            }
            Cached::Absent => F::take_links(buffer, offset, record.links)?,
            Cached::Busy => return Ok(false),
        }
        records.give_up(record);
        Ok(true)
    }
}
