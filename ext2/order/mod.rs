// SPDX-License-Identifier: GPL-2.0

//! The order in which metadata reaches the medium.
//!
//! Whatever is in a buffer of the device may be written at any time, by anybody. So what must not
//! be on the disk before something else is put into a buffer, or into a bio, only after that:
//!
//! - [`cuts`]: blocks that were freed get a new owner after what cut them off;
//! - [`branches`]: a pointer to a block of metadata after that block;
//! - [`names`]: a name after the inode that it leads to, and that inode's count of links;
//! - [`moved`]: that a name is gone after it is where it moved to;
//! - [`removals`]: the number of a deleted inode gets a new owner, and its image says that it is
//!   deleted, after the names that led to it;
//! - [`owners`]: the count of inodes that share a block of attributes is lowered after the image of
//!   one that does not any more.
//!
//! These are the rules of soft updates. There is no circle: a cut is in the metadata block itself;
//! a branch waits for nothing; a name waits for branches; a name that is to go for one that has
//! come, whose page waits for no other; a removal for both. Who writes for one of them takes the
//! locks in the opposite order, `removals`, `moved`, a folio of a directory, `names`, `branches`,
//! and but for `moved`, and what is outside of that, none is held by who waits for the tree of an
//! inode. `cuts` is by itself, inside of the tree mutex.
//!
//! Writing happens in a [`batch`] for all that is waiting, with one flush of the device: what one
//! inode or directory needs, others will need soon. [`write`] does it, in the order of [`sort`];
//! [`pending_cuts`] is the list of [`cuts`], [`moves`] that of [`moved`], [`records`] that of
//! [`removals`], and [`kept_links`] what others see of it; [`put_off`] counts inodes that are
//! written later, for the sake of [`branches`].
//!
//! C counterpart: none; C ext2 leaves what a crash makes of its order to e2fsck.
//!
//! What the rules need of a filesystem they ask for by [`Ordered`](ordered::Ordered).
//!
//! May use: no other room.

#![deny(unsafe_code)]

mod batch;
pub(crate) mod branches;
mod cuts;
pub(crate) mod kept_links;
pub(crate) mod moved;
pub(crate) mod moves;
mod names;
pub(crate) mod ordered;
pub(crate) mod owners;
mod pending_cuts;
mod put_off;
mod records;
pub(crate) mod removals;
mod sort;
mod write;

#[cfg(CONFIG_KUNIT)]
mod block_model_tests;
#[cfg(CONFIG_KUNIT)]
mod model_tests;
#[cfg(CONFIG_KUNIT)]
mod test_blocks;
#[cfg(CONFIG_KUNIT)]
mod test_device;
#[cfg(CONFIG_KUNIT)]
mod test_names;
#[cfg(CONFIG_KUNIT)]
mod test_store;

use self::{
    branches::FreshBranches,
    cuts::Cuts,
    moved::MovedNames,
    names::NewNames,
    owners::Owners,
    removals::Removals, //
};
use kernel::prelude::*;

/// What of a filesystem waits for what.
#[pin_data]
pub(crate) struct Order {
    #[pin]
    pub(crate) cuts: Cuts,
    #[pin]
    pub(crate) branches: FreshBranches,
    #[pin]
    pub(crate) names: NewNames,
    #[pin]
    pub(crate) moved: MovedNames,
    #[pin]
    pub(crate) removals: Removals,
    #[pin]
    pub(crate) owners: Owners,
}

impl Order {
    /// Nothing waits.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            cuts <- Cuts::new(),
            branches <- FreshBranches::new(),
            names <- NewNames::new(),
            moved <- MovedNames::new(),
            removals <- Removals::new(),
            owners <- Owners::new(),
        }? Error)
    }
}
