// SPDX-License-Identifier: GPL-2.0

//! Links that an inode on the disk keeps though names are gone.
//!
//! Locks: none; inside, those of [`Removals`](crate::order::removals::Removals).

#![deny(unsafe_code)]

use super::{
    ordered::Ordered,
    records::Record,
    removals::Removals, //
};
use kernel::prelude::*;
use rust_mpage::fs::FsInode;

/// Links that the images of an inode have in addition, because names of it go that the disk may
/// have, and memory for the record of them. They are given up when this is dropped.
#[must_use]
pub(crate) struct KeptLinks<'i, F: Ordered> {
    inode: &'i FsInode<F>,
    links: u32,
}

impl<'i, F: Ordered> KeptLinks<'i, F> {
    /// None yet of an inode that is in use.
    ///
    /// Fails with `ENOMEM`, and with `EIO` if very many cannot be given up.
    pub(crate) fn none(inode: &'i FsInode<F>) -> Result<Self> {
        removals_of(inode).records.lock().reserve()?;
        Ok(Self { inode, links: 0 })
    }

    /// So many of an inode that is in use. Fails as [`none`](Self::none).
    pub(crate) fn new(inode: &'i FsInode<F>, links: u32) -> Result<Self> {
        let mut kept = Self::none(inode)?;
        kept.keep(links);
        Ok(kept)
    }

    /// Keeps more.
    pub(crate) fn keep(&mut self, links: u32) {
        F::keep_links(self.inode, links);
        self.links += links;
    }

    /// Keeps the links until `directory` is on the medium, as it is now.
    pub(crate) fn until_written(mut self, directory: &FsInode<F>) {
        let links = core::mem::take(&mut self.links);
        if links == 0 {
            return;
        }
        let removals = removals_of(self.inode);
        // Unlocked before what was reserved is given back.
        let mut records = removals.records.lock();
        records.add(Record::new(self.inode.number() as u32, directory, links));
        removals.publish(&records);
        self.inode.mark_dirty();
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
        removals_of(self.inode).records.lock().reserved -= 1;
        if self.links != 0 {
            F::give_up_links(self.inode, self.links);
            self.inode.mark_dirty();
        }
    }
}

fn removals_of<F: Ordered>(inode: &FsInode<F>) -> &Removals {
    F::removals(inode.super_block())
}
