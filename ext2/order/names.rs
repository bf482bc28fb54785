// SPDX-License-Identifier: GPL-2.0

//! A name is on the medium only after the inode that it leads to.
//!
//! Who changes an entry of a directory to lead to an inode [`add`](NewNames::add)s that before; who
//! writes a page of the directory [`settle`](NewNames::settle)s it, with the folio locked, so that
//! no other name comes into it. The inode's image is then stored as it is in memory, with at least
//! as many links as it has names, and without the pointers that would lead to what is not on the
//! medium: it is written again with them in time.
//!
//! Locks: those of [`Batches`]; taken inside of the lock of a folio of a directory. While an image
//! is taken, the lock of the hash of inodes, a spinlock, and in it the inode's
//! [`DiskOnly`](crate::inode::disk_only::DiskOnly).

#![deny(unsafe_code)]

use super::{
    batch::Batches,
    ordered::Ordered,
    sort::sort_by_key,
    write::{
        write_blocks,
        Waiting, //
    },
};
use kernel::{
    prelude::*,
    static_lock_class, //
};
use rust_mpage::{
    fs::{
        Buffer,
        Cached,
        SuperBlock, //
    },
    mm::without_fs_reclaim, //
};

/// An inode that has a name, or one more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    inode: u32,
    directory: u32,
}

/// What waits for the block of the inode's image, once that is stored.
type NewName = Waiting<Named>;

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

    /// Notes that a name in `directory` is about to lead to `inode`, both numbers. The batch to
    /// wait for before the name is written.
    ///
    /// Fails with `ENOMEM`.
    pub(crate) fn add<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        directory: u32,
        inode: u32,
    ) -> Result<u64> {
        let (batch, many) = self
            .batches
            .add(NewName::new(Named { inode, directory }, None))?;
        if many {
            // Failures are kept for those whom they concern.
            let _ = self.write(sb, batch);
        }
        Ok(batch)
    }

    /// Has the inodes that names of `directory`, up to a batch, lead to brought to the medium.
    ///
    /// Fails with `EIO` if one of them cannot be written, and with `ENOMEM`.
    pub(crate) fn settle<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        batch: u64,
        directory: u32,
    ) -> Result {
        self.batches.settle_own(
            batch,
            |name| name.what.directory == directory,
            |names| write(sb, names),
        )
    }

    fn write<F: Ordered>(&self, sb: &SuperBlock<F>, batch: u64) -> Result {
        if self.batches.is_done(batch) {
            return Ok(());
        }
        self.batches.settle(batch, |names| write(sb, names))
    }
}

/// Brings the images of directories, which are in order, to the medium, with the pointers to all of
/// their blocks that are there. The numbers of those that could not be written, in order.
///
/// Fails with `ENOMEM`.
pub(super) fn write_images<F: Ordered>(
    sb: &SuperBlock<F>,
    directories: &[u32],
) -> Result<KVVec<u32>> {
    let len = directories.len();
    let mut images = without_fs_reclaim(|| KVVec::with_capacity(len, GFP_KERNEL))?;
    let mut failed = without_fs_reclaim(|| KVVec::with_capacity(len, GFP_KERNEL))?;
    for &directory in directories {
        let image = Named {
            inode: directory,
            directory,
        };
        // There is memory.
        let _ = images.push_within_capacity(NewName::new(image, None));
    }
    write(sb, &mut images);
    for image in images.iter() {
        // There is memory.
        let _ = failed.push_within_capacity(image.what.inode);
    }
    sort_by_key(&mut failed, |&number| number);
    Ok(failed)
}

/// Stores the images of inodes, and writes them.
fn write<F: Ordered>(sb: &SuperBlock<F>, names: &mut KVVec<NewName>) {
    sort_by_key(names, |name| name.what);
    // Names that failed are here again with each try to write the directory.
    let mut last = None;
    names.retain(|name| last.replace(name.what) != Some(name.what));
    // A directory has its first entries before it has a name.
    if let Err(error) = F::branches(sb).settle_all(sb) {
        names.iter_mut().for_each(|name| name.failed = Some(error));
        return;
    }
    let mut last: Option<(u32, Result<Buffer>)> = None;
    for name in names.iter_mut() {
        let block = match &last {
            Some((inode, block)) if *inode == name.what.inode => block.clone(),
            _ => store(sb, name.what.inode),
        };
        last = Some((name.what.inode, block.clone()));
        name.failed = block.as_ref().err().copied();
        name.block = block.ok();
    }
    let flushed = write_blocks(sb, names);
    for name in names.iter() {
        F::corrupt(
            sb,
            fmt!(
                "inode {}: cannot be written, and so the name in directory {} neither: error {}",
                name.what.inode,
                name.what.directory,
                name.errno(flushed)
            ),
        );
    }
}

/// Stores the image of an inode as it is in memory, if it is there. Else its image was stored when
/// it left.
///
/// A file may be without its latest blocks. So may a directory: their names are not on the disk.
/// But it has its first block, with its own entry.
fn store<F: Ordered>(sb: &SuperBlock<F>, number: u32) -> Result<Buffer> {
    let (block, offset) = F::place(sb, number)?;
    let buffer = sb.bread(block.into())?;
    let settled = F::branches(sb).settled_of(number);

    let stored = sb.with_cached_inode(number.into(), |inode| {
        let has_first = F::store_known(inode, &buffer, offset as usize, settled)?;
        Ok::<_, Error>(has_first || !inode.is_directory())
    });
    match stored {
        Cached::Absent | Cached::Busy => Ok(buffer),
        Cached::Here(is_enough) => {
            let is_enough = is_enough?;
            sb.mark_dirty(&buffer);
            is_enough.then_some(buffer).ok_or(EIO)
        }
    }
}
