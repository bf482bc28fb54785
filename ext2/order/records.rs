// SPDX-License-Identifier: GPL-2.0

//! Which links are kept until which directories are written, and which directories have changed.
//!
//! Locks: the mutex of [`Removals`](crate::order::removals::Removals) that they are in.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};
use rust_mpage::{
    fs::{
        FileSystem,
        FsInode, //
    },
    mm::without_fs_reclaim, //
};

/// When so many links are kept, whoever changes a name should resolve them.
const MANY: u64 = 1024;

/// And when the first of them has been kept for so long.
const LONG: Delta = Delta::from_secs(30);

/// Or when there are so many records, in all.
const MANY_RECORDS: u64 = 8 * MANY;

/// What is kept of a directory that has changed is no inode's.
pub(super) const NO_INODE: u32 = 0;

/// More are not kept: that they cannot be given up is an error that lasts.
const MOST: u64 = 16 * MANY;

/// Links of an inode that are kept until a directory is written.
#[derive(Clone, Copy)]
pub(super) struct Record {
    /// Its number, or `NO_INODE`.
    pub(super) inode: u32,
    /// The number of the directory.
    pub(super) directory: u32,
    /// How many; 0 for `NO_INODE`, and when they have been given up.
    pub(super) links: u32,
    /// When the last was.
    pub(super) serial: u64,
    /// The directory could not be written, and is not in memory any more.
    pub(super) is_stuck: bool,
    /// Of `NO_INODE`: that the directory could not be written has been reported.
    pub(super) is_reported: bool,
}

impl Record {
    /// Of links of inode number `inode`, of which `directory` has lost the names just now.
    pub(super) fn new<F: FileSystem>(inode: u32, directory: &FsInode<F>, links: u32) -> Self {
        Self {
            inode,
            directory: directory.number() as u32,
            links,
            serial: 0,
            is_stuck: false,
            is_reported: false,
        }
    }

    /// Whether it is to be reported at the end.
    pub(super) fn is_news(&self) -> bool {
        match self.inode {
            NO_INODE => !self.is_reported,
            _ => self.links != 0,
        }
    }

    /// What they are ordered by.
    pub(super) fn key(&self) -> (u32, u32) {
        (self.inode, self.directory)
    }
}

/// Ordered by inode and directory, each once.
pub(super) struct Records {
    /// All of them.
    pub(super) list: KVVec<Record>,
    /// How many more there may have to be.
    pub(super) reserved: usize,
    /// How many links are kept of those that are not stuck.
    links: u64,
    /// Since when, or since the last try to give them up.
    since: Instant<Monotonic>,
    /// The number of the last.
    pub(super) serial: u64,
}

impl Records {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            list: KVVec::new(),
            reserved: 0,
            links: 0,
            since: Instant::now(),
            serial: 0,
        }
    }

    /// Notes that links are about to be given up.
    pub(super) fn try_begins(&mut self) {
        self.since = Instant::now();
    }

    /// Makes sure of memory for one record more.
    ///
    /// Fails with `ENOMEM`, and with `EIO` if there are too many.
    pub(super) fn reserve(&mut self) -> Result {
        let most = self.links.max(self.list.len() as u64);
        if most + self.reserved as u64 >= MOST {
            return Err(EIO);
        }
        without_fs_reclaim(|| self.list.reserve(self.reserved + 1, GFP_KERNEL))?;
        self.reserved += 1;
        Ok(())
    }

    /// Adds what was reserved.
    pub(super) fn add(&mut self, record: Record) {
        if self.links == 0 {
            self.since = Instant::now();
        }
        self.serial += 1;
        let serial = self.serial;
        match self
            .list
            .binary_search_by_key(&record.key(), |record| record.key())
        {
            Ok(at) => {
                if let Some(old) = self.list.get_mut(at) {
                    old.links += record.links;
                    old.serial = serial;
                    if !old.is_stuck {
                        self.links += u64::from(record.links);
                    }
                }
            }
            Err(at) => {
                self.links += u64::from(record.links);
                // There is memory.
                let _ = self.list.push_within_capacity(Record { serial, ..record });
                if let Some(behind) = self.list.get_mut(at..) {
                    behind.rotate_right(1);
                }
            }
        }
    }

    /// Whether they should be resolved.
    pub(super) fn are_due(&self) -> bool {
        self.links >= MANY
            || self.list.len() as u64 >= MANY_RECORDS
            || (self.links != 0 && self.since.elapsed() >= LONG)
    }

    /// Whether there is one.
    pub(super) fn has(&self, key: (u32, u32)) -> bool {
        self.find(key).is_some()
    }

    /// Where the records of inode `inode` begin.
    pub(super) fn first_of(&self, inode: u32) -> usize {
        self.list.partition_point(|record| record.inode < inode)
    }

    /// How many links of an inode are kept, if any.
    pub(super) fn links_of(&self, inode: u32) -> Option<u32> {
        let own = self.list.get(self.first_of(inode)..)?;
        let own = own.iter().take_while(|record| record.inode == inode);
        own.map(|record| record.links).reduce(u32::saturating_add)
    }

    /// The first record from `key` on that is not newer than `serial`, and may be resolved.
    pub(super) fn next(&self, key: (u32, u32), serial: u64) -> Option<Record> {
        let from = self.list.partition_point(|record| record.key() < key);
        let mut rest = self.list.iter().skip(from);
        rest.find(|record| record.serial <= serial && !record.is_stuck)
            .copied()
    }

    /// One, if it is there.
    pub(super) fn find(&self, key: (u32, u32)) -> Option<Record> {
        let at = self.list.binary_search_by_key(&key, |record| record.key());
        self.list.get(at.ok()?).copied()
    }

    /// Those of a directory are stuck from now on, if `is` says so, or not any more.
    pub(super) fn set_stuck(&mut self, directory: u32, is: impl Fn(&Record) -> bool) {
        for record in self.list.iter_mut() {
            if record.directory != directory {
                continue;
            }
            let links = u64::from(record.links);
            match (record.is_stuck, is(record)) {
                (false, true) => self.links -= links,
                (true, false) => self.links += links,
                _ => (),
            }
            record.is_stuck = is(record);
        }
    }

    /// Notes whether it has been reported that a directory cannot be written. Whether that is news.
    pub(super) fn set_reported(&mut self, directory: u32, is: bool) -> bool {
        let key = (NO_INODE, directory);
        let at = self.list.binary_search_by_key(&key, |record| record.key());
        match at.ok().and_then(|at| self.list.get_mut(at)) {
            Some(change) => core::mem::replace(&mut change.is_reported, is) != is,
            None => true,
        }
    }

    /// The links of one have been given up. It is in the list until that is
    /// [swept](Self::retain_changes): to take each out would move all that are behind it.
    pub(super) fn give_up(&mut self, record: &Record) {
        let at = self.list.binary_search_by_key(&record.key(), Record::key);
        if let Some(record) = at.ok().and_then(|at| self.list.get_mut(at)) {
            let links = core::mem::take(&mut record.links);
            if !record.is_stuck {
                self.links -= u64::from(links);
            }
        }
    }

    /// Keeps, of the changes of directories, those for which `keep` says so, and none whose links
    /// have been given up.
    pub(super) fn retain_changes(&mut self, keep: impl Fn(&Record) -> bool) {
        self.list.retain(|record| match record.inode {
            NO_INODE => keep(record),
            _ => record.links != 0,
        });
    }

    /// Forgets one.
    pub(super) fn remove(&mut self, record: &Record) {
        if let Ok(at) = self
            .list
            .binary_search_by_key(&record.key(), |record| record.key())
        {
            if let Ok(record) = self.list.remove(at) {
                if !record.is_stuck {
                    self.links -= u64::from(record.links);
                }
            }
        }
    }
}

#[kunit_tests(rust_ext2_records)]
mod tests {
    use super::*;

    fn record(inode: u32, directory: u32, links: u32) -> Record {
        Record {
            inode,
            directory,
            links,
            serial: 0,
            is_stuck: false,
            is_reported: false,
        }
    }

    fn some() -> Result<Records> {
        let mut records = Records::new();
        for (inode, directory, links) in [(30, 2, 1), (12, 40, 1), (12, 2, 2), (NO_INODE, 2, 0)] {
            records.reserve()?;
            records.add(record(inode, directory, links));
            records.reserved -= 1;
        }
        Ok(records)
    }

    #[test]
    fn links_of_an_inode_are_those_of_all_directories() -> Result {
        let mut records = some()?;

        assert_eq!(records.links_of(12), Some(3));
        assert_eq!(records.links_of(30), Some(1));
        assert_eq!(records.links_of(13), None);
        assert_eq!(records.links, 4);
        records.remove(&record(12, 2, 2));
        assert_eq!((records.links_of(12), records.links), (Some(1), 2));
        assert!(records.has((NO_INODE, 2)) && !records.has((12, 2)));
        Ok(())
    }

    #[test]
    fn one_more_of_the_same_is_added_to_it() -> Result {
        let mut records = some()?;
        let before = records.find((12, 40)).ok_or(EINVAL)?;

        records.add(record(12, 40, 5));
        let after = records.find((12, 40)).ok_or(EINVAL)?;
        assert_eq!((after.links, records.list.len()), (6, 4));
        assert!(after.serial > before.serial);
        // It is not one of those that were there.
        assert_eq!(
            records.next((1, 0), 4).map(|record| record.key()),
            Some((12, 2))
        );
        assert_eq!(
            records.next((12, 3), 4).map(|record| record.key()),
            Some((30, 2))
        );
        Ok(())
    }

    #[test]
    fn what_is_stuck_is_not_next() -> Result {
        let mut records = some()?;

        records
            .list
            .iter_mut()
            .for_each(|record| record.is_stuck = record.inode == 12);
        assert_eq!(
            records.next((1, 0), u64::MAX).map(|record| record.key()),
            Some((30, 2))
        );
        assert!(records.next((30, 3), u64::MAX).is_none());
        Ok(())
    }

    /// One whose links have been given up is there until the list is swept, with none; and if it
    /// has got some again meanwhile, it stays.
    #[test]
    fn links_are_given_up_in_place() -> Result {
        let mut records = some()?;
        let serial = records.serial;

        for key in [(12, 2), (12, 40), (30, 2)] {
            let record = records.next(key, serial).ok_or(EINVAL)?;
            records.give_up(&record);
            assert_eq!(records.find(key).map(|record| record.links), Some(0));
        }
        assert_eq!((records.links, records.list.len()), (0, 4));
        // There may be no memory to sweep it before the end.
        assert_eq!(records.list.iter().filter(|one| one.is_news()).count(), 1);
        records.reserve()?;
        records.add(record(12, 40, 3));
        records.reserved -= 1;
        assert_eq!((records.links_of(12), records.links), (Some(3), 3));
        records.retain_changes(|_| false);
        assert_eq!(records.list.len(), 1);
        assert!(records.has((12, 40)) && records.links_of(30).is_none());
        Ok(())
    }

    #[test]
    fn a_directory_is_reported_once() -> Result {
        let mut records = some()?;
        let news = |records: &Records| records.list.iter().filter(|one| one.is_news()).count();

        assert_eq!(news(&records), 4);
        assert!(records.set_reported(2, true) && !records.set_reported(2, true));
        // Another change is of the same failure.
        records.add(record(NO_INODE, 2, 0));
        assert!(!records.set_reported(2, true) && news(&records) == 3);
        // It has been written meanwhile.
        assert!(records.set_reported(2, false) && records.set_reported(2, true));
        // Nobody knows whether it was.
        assert!(records.set_reported(7, true) && records.set_reported(7, true));
        Ok(())
    }

    #[test]
    fn many_are_due() -> Result {
        let mut records = some()?;

        assert!(!records.are_due());
        records.add(record(12, 40, MANY as u32));
        assert!(records.are_due());
        records.add(record(12, 40, MOST as u32));
        assert!(records.reserve() == Err(EIO));
        Ok(())
    }
}
