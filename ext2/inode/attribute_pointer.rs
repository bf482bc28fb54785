// SPDX-License-Identifier: GPL-2.0

//! The block of extended attributes that an inode has.
//!
//! C counterpart: `i_file_acl` and `xattr_sem` of `struct ext2_inode_info`.
//!
//! Locks: a mutex, for those who look at attributes and those who change them; inside it the
//! spinlock of [`DiskOnly`](super::disk_only::DiskOnly), so that an image says of the block what is
//! noted of it.

#![deny(unsafe_code)]

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

/// The block of attributes of an inode.
#[pin_data]
pub(crate) struct AttributePointer {
    block: Atomic<u32>,
    #[pin]
    lock: Mutex<()>,
}

impl AttributePointer {
    /// This block, or 0.
    pub(super) fn new(block: u32) -> impl PinInit<Self> {
        pin_init!(Self {
            block: Atomic::new(block),
            lock <- new_mutex!((), "ext2_xattr"),
        })
    }
}

impl AttributePointer {
    /// The block, 0 if there is none. C: `i_file_acl`.
    pub(super) fn block(&self) -> u32 {
        self.block.load(Relaxed)
    }

    /// Sets the block.
    pub(super) fn set_block(&self, block: u32) {
        self.block.store(block, Relaxed);
    }

    /// Keeps others from the attributes. C: `xattr_sem`.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock()
    }
}
