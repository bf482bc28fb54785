// SPDX-License-Identifier: GPL-2.0

//! Blocks of metadata that are on the medium before anything there points to them: indirect blocks,
//! and the first contents of blocks of directories and of targets of symbolic links.
//!
//! Who makes a pointer of an inode lead to one adds it before, and notes its batch with the inode
//! ([`InodeData::note_fresh`](crate::inode::data::InodeData::note_fresh)); the image of the inode
//! is stored with the pointer after that batch only. A block whose pointer is in an indirect block
//! that can be found on disk cannot wait: [`allocate`](crate::map::allocate) writes it at once.
//!
//! Locks: those of [`Batches`]; taken inside of a tree mutex, and of the lock of a folio. That of
//! [`PutOff`] is outside of all of them, inside `s_umount` only: who syncs holds it while inodes
//! are written.

#![deny(unsafe_code)]

use super::{
    batch::Batches,
    ordered::Ordered,
    put_off::PutOff,
    write::{
        write_blocks,
        Waiting, //
    },
};
use kernel::{
    prelude::*,
    static_lock_class, //
};
use rust_mpage::fs::{
    Buffer,
    SuperBlock, //
};

/// A block that the medium may not have, of this inode. One without a buffer has been written, and
/// only the device's cache has to be flushed.
type Branch = Waiting<u32>;

/// What of an inode's branches is on the medium, as it was seen.
#[derive(Clone, Copy)]
pub(crate) struct Settled {
    /// The last batch that was dealt with.
    batch: u64,
    /// Something of it could not be written.
    has_failed: bool,
}

impl Settled {
    /// Of those branches with `is_own`.
    pub(super) fn of<T>(branches: &Batches<T>, is_own: impl Fn(&T) -> bool) -> Self {
        // In this order: failures are known before their batch is done.
        let batch = branches.done();
        Self {
            batch,
            has_failed: branches.has_failed(is_own),
        }
    }

    /// All batches up to one.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn up_to(batch: u64) -> Self {
        Self {
            batch,
            has_failed: false,
        }
    }

    /// Whether all is that is in batches up to `batch`.
    pub(crate) fn has(self, batch: u64) -> bool {
        !self.has_failed && batch <= self.batch
    }
}

/// All of a filesystem.
#[pin_data]
pub(crate) struct FreshBranches {
    #[pin]
    batches: Batches<Branch>,
    #[pin]
    put_off: PutOff,
}

impl FreshBranches {
    /// None.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            batches <- Batches::new(
                (c"ext2_branches_waiting", static_lock_class!()),
                (c"ext2_branches_running", static_lock_class!()),
            ),
            put_off <- PutOff::new(),
        })
    }

    /// Adds a block that inode number `inode` will point to, written already if there is no buffer
    /// of it. The batch to wait for.
    ///
    /// Fails with `ENOMEM`.
    pub(crate) fn add<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        inode: u32,
        block: Option<&Buffer>,
    ) -> Result<u64> {
        let (batch, many) = self.batches.add(Branch::new(inode, block.cloned()))?;
        if many {
            // Failures are kept for those whom they concern.
            let _ = self.write(sb, batch);
        }
        Ok(batch)
    }

    /// What of the branches of inode number `inode` is on the medium now.
    pub(crate) fn settled_of(&self, inode: u32) -> Settled {
        Settled::of(&self.batches, |branch| branch.what == inode)
    }

    /// Has a batch brought to the medium.
    ///
    /// Fails with `EIO` if a block of inode number `inode` cannot be written, and with `ENOMEM`.
    pub(crate) fn settle<F: Ordered>(&self, sb: &SuperBlock<F>, batch: u64, inode: u32) -> Result {
        self.batches.settle_own(
            batch,
            |branch| branch.what == inode,
            |branches| write(sb, branches),
        )
    }

    /// Whether a batch has been dealt with.
    pub(crate) fn is_done(&self, batch: u64) -> bool {
        self.batches.is_done(batch)
    }

    /// Notes that an inode which waits for a batch is written later, with others.
    pub(crate) fn note_put_off(&self) {
        self.put_off.note();
    }

    /// Has all that inodes wait for which have been put off brought to the medium, if there are
    /// any, and then calls `write_inodes`, which stores them. Those that it fails for find that
    /// out.
    ///
    /// Who comes meanwhile, for the same inodes perhaps, waits until they are stored.
    pub(crate) fn store_put_off<F: Ordered>(
        &self,
        sb: &SuperBlock<F>,
        write_inodes: impl FnOnce(),
    ) {
        self.put_off.store(|| {
            let _ = self.settle_all(sb);
            write_inodes();
        });
    }

    /// Has all that there is brought to the medium. Failures are kept.
    pub(super) fn settle_all<F: Ordered>(&self, sb: &SuperBlock<F>) -> Result {
        if self.batches.is_empty() {
            // What is under way has to be waited for all the same.
            return self.write(sb, self.batches.current() - 1);
        }
        self.write(sb, self.batches.current())
    }

    fn write<F: Ordered>(&self, sb: &SuperBlock<F>, batch: u64) -> Result {
        if self.batches.is_done(batch) {
            return Ok(());
        }
        self.batches.settle(batch, |branches| write(sb, branches))
    }
}

fn write<F: Ordered>(sb: &SuperBlock<F>, branches: &mut KVVec<Branch>) {
    let flushed = write_blocks(sb, branches);
    for branch in branches.iter() {
        F::corrupt(
            sb,
            fmt!(
                "inode {}: cannot write its indirect blocks: error {}",
                branch.what,
                branch.errno(flushed)
            ),
        );
    }
}
