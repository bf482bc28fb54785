// SPDX-License-Identifier: GPL-2.0

//! Links that an inode on the disk keeps though names are gone.
//!
//! Locks: none; inside, those of [`Removals`](crate::order::removals::Removals).

#![deny(unsafe_code)]

use super::{
    ordered::Ordered,
    records::{
        Record,
        NO_INODE, //
    },
    removals::Removals, //
};
use kernel::prelude::*;
use rust_mpage::fs::FsInode;

/// Links that the images of an inode have in addition, because names of it go that the disk may
/// have, and memory for the records of them. They are given up when this is dropped.
#[must_use]
pub(crate) struct KeptLinks<'i, F: Ordered> {
    inode: &'i FsInode<F>,
    links: u32,
    reserved: usize,
}

impl<'i, F: Ordered> KeptLinks<'i, F> {
    /// None yet of an inode that is in use.
    ///
    /// Fails with `ENOMEM`, and with `EIO` if very many cannot be given up.
    pub(crate) fn none(inode: &'i FsInode<F>) -> Result<Self> {
        removals_of(inode).records.lock().reserve()?;
        Ok(Self {
            inode,
            links: 0,
            reserved: 1,
        })
    }

    /// So many of an inode that is in use. Fails as [`none`](Self::none).
    pub(crate) fn new(inode: &'i FsInode<F>, links: u32) -> Result<Self> {
        let mut kept = Self::none(inode)?;
        kept.keep(links);
        Ok(kept)
    }

    /// So many that a directory has from a `..` which goes, for [`until_gone`](Self::until_gone).
    /// Fails as [`none`](Self::none).
    pub(crate) fn of_parent(parent: &'i FsInode<F>, links: u32) -> Result<Self> {
        let mut kept = Self::new(parent, links)?;
        removals_of(parent).records.lock().reserve()?;
        kept.reserved += 1;
        Ok(kept)
    }

    /// Keeps more.
    pub(crate) fn keep(&mut self, links: u32) {
        F::keep_links(self.inode, links);
        self.links += links;
    }

    /// Keeps the links until `directory` is on the medium, as it is now.
    pub(crate) fn until_written(self, directory: &FsInode<F>) {
        self.until(directory, None);
    }

    /// Keeps the links until `directory` is on the medium, and notes its change with them.
    fn until(mut self, directory: &FsInode<F>, change: Option<Record>) {
        let links = core::mem::take(&mut self.links);
        if links == 0 {
            return;
        }
        let removals = removals_of(self.inode);
        // Unlocked before what was reserved is given back.
        let mut records = removals.records.lock();
        records.add(Record::new(self.inode.number() as u32, directory, links));
        if let Some(change) = change {
            records.add(change);
        }
        removals.publish(&records);
        self.inode.mark_dirty();
    }

    /// Keeps the link from the `..` of `victim`, which has lost its last name and its links, until
    /// the medium knows that: by its image, with which it has no blocks. Nobody gets its number
    /// before.
    pub(crate) fn until_gone(self, victim: &FsInode<F>) {
        // What the disk does not have leads nowhere.
        if !F::is_on_disk(victim) {
            return;
        }
        self.until(victim, Some(Record::new(NO_INODE, victim, 0)));
    }

    /// Keeps them if the disk may have the names that have just been removed from `directory`.
    pub(crate) fn settle(self, directory: &FsInode<F>) {
        // A name is on the disk only after the inode is.
        if F::is_on_disk(self.inode) {
            self.until_written(directory);
        }
    }
}

impl<F: Ordered> Drop for KeptLinks<'_, F> {
    fn drop(&mut self) {
        removals_of(self.inode).records.lock().reserved -= self.reserved;
        if self.links != 0 {
            F::give_up_links(self.inode, self.links);
            self.inode.mark_dirty();
        }
    }
}

fn removals_of<F: Ordered>(inode: &FsInode<F>) -> &Removals {
    F::removals(inode.super_block())
}
