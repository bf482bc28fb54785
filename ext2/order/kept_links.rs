// SPDX-License-Identifier: GPL-2.0

//! Links that an inode on the disk keeps though names are gone.
//!
//! Locks: none; inside, those of [`Removals`](super::removals::Removals).

#![deny(unsafe_code)]

use super::{
    records::Record,
    removals::Removals, //
};
use crate::inode::Ext2Inode;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// Links that the images of an inode have in addition, because names of it go that the disk may
/// have, and memory for the record of them. They are given up when this is dropped.
#[must_use]
pub(crate) struct KeptLinks {
    inode: ARef<Ext2Inode>,
    links: u32,
}

impl KeptLinks {
    /// None yet of an inode that is in use.
    ///
    /// Fails with `ENOMEM`, and with `EIO` if very many cannot be given up.
    pub(crate) fn none(inode: &Ext2Inode) -> Result<Self> {
        removals_of(inode).records.lock().reserve()?;
        Ok(Self {
            inode: ARef::from(inode),
            links: 0,
        })
    }

    /// So many of an inode that is in use. Fails as [`none`](Self::none).
    pub(crate) fn new(inode: &Ext2Inode, links: u32) -> Result<Self> {
        let mut kept = Self::none(inode)?;
        kept.keep(links);
        Ok(kept)
    }

    /// Keeps more.
    pub(crate) fn keep(&mut self, links: u32) {
        self.inode.data().keep_links(links);
        self.links += links;
    }

    /// Keeps the links until `directory` is on the medium, as it is now.
    pub(crate) fn until_written(mut self, directory: &Ext2Inode) {
        let links = core::mem::take(&mut self.links);
        if links == 0 {
            return;
        }
        let removals = removals_of(&self.inode);
        // Unlocked before what was reserved is given back.
        let mut records = removals.records.lock();
        records.add(Record::new(self.inode.number() as u32, directory, links));
        removals.publish(&records);
        self.inode.mark_dirty();
    }

    /// Keeps them if the disk may have the names that have just been removed from `directory`.
    pub(crate) fn settle(self, directory: &Ext2Inode) {
        // A name is on the disk only after the inode is.
        if self.inode.data().is_on_disk() {
            self.until_written(directory);
        }
    }
}

impl Drop for KeptLinks {
    fn drop(&mut self) {
        removals_of(&self.inode).records.lock().reserved -= 1;
        if self.links != 0 {
            self.inode.data().give_up_links(self.links);
            self.inode.mark_dirty();
        }
    }
}

fn removals_of(inode: &Ext2Inode) -> &Removals {
    &inode.super_block().data().order.removals
}
