// SPDX-License-Identifier: GPL-2.0

//! A name is on the medium only after the inode that it leads to.
//!
//! Who changes an entry of a directory to lead to an inode [`add`](NewNames::add)s that before; who
//! writes a page of the directory [`settle`](NewNames::settle)s it, with the folio locked, so that
//! no other name comes into it. The inode's image is then stored as it is in memory, with at least
//! as many links as it has names, and without the pointers that would lead to what is not on the
//! medium: it is written again with them in time.
//!
//! Locks: those of [`Batches`]; taken inside of the lock of a folio of a directory. While an image is
//! taken, the lock of the hash of inodes, a spinlock, and in it the inode's
//! [`DiskOnly`](crate::inode_data::DiskOnly).

#![deny(unsafe_code)]

use super::{
    batch::Batches,
    write_blocks,
    Waiting, //
};
use crate::{
    inode,
    inode_write,
    report,
    super_block::Ext2, //
};
use kernel::{
    prelude::*,
    static_lock_class, //
};
use rust_mpage_core::abstractions::fs::{
    Buffer,
    SuperBlock, //
};

/// An inode that has a name, or one more.
struct NewName {
    inode: u32,
    directory: u32,
    /// The block of the inode's image, once that is stored.
    block: Option<Buffer>,
    has_failed: bool,
}

impl Waiting for NewName {
    fn block(&self) -> Option<&Buffer> {
        self.block.as_ref()
    }

    fn set_failed(&mut self, failed: bool) {
        self.has_failed = failed;
    }

    fn has_failed(&self) -> bool {
        self.has_failed
    }
}

/// All of a filesystem.
#[pin_data]
pub(crate) struct NewNames {
    #[pin]
    batches: Batches<NewName>,
}

impl NewNames {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            batches <- Batches::new(
                (c"ext2_names_waiting", static_lock_class!()),
                (c"ext2_names_running", static_lock_class!()),
            ),
        })
    }

    /// Notes that a name in `directory` is about to lead to `inode`, both numbers. The batch to wait
    /// for before the name is written.
    ///
    /// Fails with `ENOMEM`.
    pub(crate) fn add(&self, sb: &SuperBlock<Ext2>, directory: u32, inode: u32) -> Result<u64> {
        let (batch, many) = self.batches.add(NewName {
            inode,
            directory,
            block: None,
            has_failed: false,
        })?;
        if many {
            // Failures are kept for those whom they concern.
            let _ = self.write(sb, batch);
        }
        Ok(batch)
    }

    /// Has the inodes that names of `directory`, up to a batch, lead to brought to the medium.
    ///
    /// Fails with `EIO` if one of them cannot be written, and with `ENOMEM`.
    pub(crate) fn settle(&self, sb: &SuperBlock<Ext2>, batch: u64, directory: u32) -> Result {
        let is_own = |name: &NewName| name.directory == directory;

        self.write(sb, batch)?;
        if self.batches.has_failed(is_own) {
            self.batches.settle_failed(|names| write(sb, names))?;
            if self.batches.has_failed(is_own) {
                return Err(EIO);
            }
        }
        Ok(())
    }

    fn write(&self, sb: &SuperBlock<Ext2>, batch: u64) -> Result {
        if self.batches.is_done(batch) {
            return Ok(());
        }
        self.batches.settle(batch, |names| write(sb, names))
    }
}

/// Stores the images of inodes, and writes them.
fn write(sb: &SuperBlock<Ext2>, names: &mut KVVec<NewName>) {
    names.sort_unstable_by_key(|name| name.inode);
    // A directory has its first entries before it has a name.
    if sb.data().order.branches.settle_all(sb).is_err() {
        return;
    }
    for name in names.iter_mut() {
        name.block = store(sb, name.inode).ok();
        name.has_failed = name.block.is_none();
    }
    write_blocks(sb, names);
    for name in names.iter() {
        report::corrupt(
            sb,
            fmt!(
                "inode {}: cannot be written, and so the name in directory {} neither",
                name.inode,
                name.directory
            ),
        );
    }
}

/// Stores the image of an inode as it is in memory, if it is there. Else its image was stored when
/// it left.
fn store(sb: &SuperBlock<Ext2>, number: u32) -> Result<Buffer> {
    let (block, offset) = inode::place(sb, number)?;
    let buffer = sb.bread(block.into())?;

    let stored = sb.with_cached_inode(number.into(), |inode| {
        inode_write::store_known(inode, &buffer, offset as usize)
    });
    match stored {
        Some(Ok(true)) => sb.mark_dirty(&buffer),
        Some(Err(error)) => return Err(error),
        Some(Ok(false)) | None => (),
    }
    Ok(buffer)
}
