// SPDX-License-Identifier: GPL-2.0

//! Inodes with the same attributes share a block, which counts them.
//!
//! What the disk may say is never that fewer inodes have a block than have it:
//! [`owners`](crate::order::owners) keeps the count up until the image of an inode that has left is
//! on the medium. Who has to know whether an inode has a block alone does not count those; and,
//! before he acts on it, has them written.
//!
//! C counterparts: `ext2_xattr_cache_find()`, `ext2_xattr_release_block()`,
//! `ext2_xattr_delete_inode()`, and what `ext2_xattr_set()` decides by the count.
//!
//! Locks: that of the inode's attributes, unless nobody else has the inode; inside it that of all
//! counts, and in that of the buffer.

#![deny(unsafe_code)]

use super::read::{
    copy,
    corrupt,
    note, //
};
use crate::{
    alloc::attribute_block::{
        self,
        Guard, //
    },
    disk::{
        attribute_block::{
            header_of,
            word,
            AttributeBlock,
            MOST_OWNERS, //
        },
        ATTRIBUTES_ROOT, //
    },
    inode::{
        self,
        Ext2Inode, //
    },
    mount::report,
    order::owners::Counts, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    Buffer,
    Level,
    LockedBuffer, //
};

/// A block that an inode with some attributes can have.
pub(super) enum Shared {
    /// That which it has.
    Own,
    /// One of others, which counts it as an owner since now.
    Block {
        block: u32,
        /// The disk may have it as the inode's.
        may_have: bool,
    },
}

/// Finds a block with the attributes of `new`. C: `ext2_xattr_cache_find()`.
///
/// Fails with `ENOMEM`, or as the space for it cannot be charged; nothing has changed then.
pub(super) fn find(inode: &Ext2Inode, new: &AttributeBlock<'_>) -> Result<Option<Shared>> {
    let sb = inode.super_block();
    let own = inode.data().file_acl();
    if new.hash() == 0 {
        return Ok(None);
    }
    let cache = &sb.data().attribute_blocks;
    // So that nobody forgets what is looked at.
    let mut counts = sb.data().order.owners.lock();
    let found = cache.find(new.hash(), |block| {
        let block = u32::try_from(block).ok()?;
        // What is wrong with it is for its owner to find.
        sb.data().geometry.check_data_blocks(block, 1).ok()?;
        let buffer = sb.bread(block.into()).ok()?;
        let joined = join(inode, &buffer, new, &mut counts).transpose()?;
        Some(joined.map(|may_have| (buffer, may_have)))
    });
    match found.transpose()? {
        None => Ok(None),
        Some((buffer, _)) if buffer.number() == u64::from(own) => Ok(Some(Shared::Own)),
        Some((buffer, may_have)) => Ok(Some(Shared::Block {
            block: buffer.number() as u32,
            may_have,
        })),
    }
}

/// Makes the inode an owner of a block, if it has these attributes and not too many have it
/// already; unless the inode has it. Whether the disk may have it as the inode's.
///
/// One that the inode has alone it has to find nobody else for: C takes it out of the cache before
/// it looks for another, and puts it back, as the first one, when there is none.
fn join(
    inode: &Ext2Inode,
    buffer: &Buffer,
    new: &AttributeBlock<'_>,
    counts: &mut Counts<'_>,
) -> Result<Option<bool>> {
    let sb = inode.super_block();
    let (number, block) = (inode.number() as u32, buffer.number() as u32);
    let locked = buffer.lock();
    let bytes = copy(&locked)?;
    let is_own = block == inode.data().file_acl();
    let is_wanted = AttributeBlock::new(&bytes).is_ok_and(|there| {
        let owners = there.owners().saturating_sub(counts.of(block));
        (1..=MOST_OWNERS).contains(&owners) && !(is_own && owners == 1) && there.is_same_as(new)
    });
    if !is_wanted {
        return Ok(None);
    }
    if is_own {
        return Ok(Some(true));
    }
    attribute_block::charge(inode)?;
    if counts.come_back(block, number) {
        return Ok(Some(true));
    }
    locked.update_le32(word::OWNERS, |owners| owners.checked_add(1));
    drop(locked);
    sb.mark_dirty(buffer);
    note_branch(inode, buffer).inspect_err(|_| {
        let _locked = buffer.lock();
        buffer.update_le32(word::OWNERS, |owners| owners.checked_sub(1));
        attribute_block::discharge(inode);
    })?;
    Ok(Some(false))
}

/// Has a block brought to the medium before the image of the inode, which is about to have it.
pub(super) fn note_branch(inode: &Ext2Inode, buffer: &Buffer) -> Result {
    let sb = inode.super_block();
    let number = inode.number() as u32;
    let branches = &sb.data().order.branches;
    let batch = branches.add(sb, number, Some(buffer))?;

    let settled = branches.settled_of(number);
    inode.data().note_fresh(ATTRIBUTES_ROOT, batch, settled);
    Ok(())
}

/// What may be done about the block of an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holding {
    /// Nobody else has it, and the disk does not say so.
    Alone,
    /// Nobody else has it, but on the disk.
    AloneInMemory,
    /// Others have it.
    Shared,
    /// Its count is wrong.
    Wrong,
}

/// What `owners` of a block are, of which so many have left.
fn holding(owners: u32, leaving: u32) -> Holding {
    match owners.checked_sub(leaving) {
        None | Some(0) => Holding::Wrong,
        Some(1) if leaving == 0 => Holding::Alone,
        Some(1) => Holding::AloneInMemory,
        Some(_) => Holding::Shared,
    }
}

/// How often the disk is told who has left a block, before it is left as it is: an inode may be in
/// use by who stores it just then.
const TRIES: u32 = 3;

/// Calls `act` with what an inode's block is held by, the counts and the block being locked. If
/// only the disk says that others have it, that is changed before; where it cannot be, they have
/// it.
fn with_holding<R>(
    inode: &Ext2Inode,
    buffer: &Buffer,
    act: impl FnOnce(Holding, &LockedBuffer<'_>, &mut Counts<'_>) -> R,
) -> R {
    let sb = inode.super_block();
    let owners = &sb.data().order.owners;
    let mut tries = TRIES;

    loop {
        let mut counts = owners.lock();
        let locked = buffer.lock();
        let count = locked.le32(word::OWNERS).unwrap_or(0);
        let holding = holding(count, counts.of(buffer.number() as u32));
        if holding != Holding::AloneInMemory || tries == 0 {
            return act(holding, &locked, &mut counts);
        }
        drop(locked);
        drop(counts);
        tries -= 1;
        // What cannot be written is reported.
        let _ = owners.resolve(sb);
    }
}

/// Changes the block of an inode to these bytes, if nobody else has it. Whether it has.
pub(super) fn change_alone(inode: &Ext2Inode, buffer: &Buffer, bytes: &[u8]) -> Result<bool> {
    let sb = inode.super_block();
    let changed = with_holding(inode, buffer, |holding, locked, _| {
        if holding != Holding::Alone || !forget(inode, locked) {
            return Ok(false);
        }
        locked.copy_from(0, bytes).map(|()| true)
    })?;
    if changed {
        sb.mark_dirty(buffer);
        note(sb, buffer, bytes);
    }
    Ok(changed)
}

/// Nobody is to share a block any more. Whether that is so.
fn forget(inode: &Ext2Inode, locked: &LockedBuffer<'_>) -> bool {
    let hash = locked.le32(word::HASH).unwrap_or(0);
    let cache = &inode.super_block().data().attribute_blocks;

    cache.forget(hash, locked.number())
}

/// An inode leaves its block, which it has not any more; the disk may have it. Who is the last
/// frees it. C: `ext2_xattr_release_block()`.
pub(super) fn leave(inode: &Ext2Inode, buffer: Buffer, may_have: bool) {
    let sb = inode.super_block();
    let owners = &sb.data().order.owners;
    let block = buffer.number() as u32;

    if may_have && owners.is_full() {
        // What cannot be written is reported.
        let _ = owners.resolve(sb);
    }
    let left = with_holding(inode, &buffer, |holding, locked, counts| match holding {
        Holding::Alone if forget(inode, locked) => Left::Last,
        Holding::Shared if !may_have => {
            locked.update_le32(word::OWNERS, |owners| owners.checked_sub(1));
            Left::Changed
        }
        Holding::Shared if counts.add(block, inode.number() as u32) => Left::Waits,
        Holding::Wrong => Left::Wrong,
        _ => Left::Stuck,
    });
    match left {
        Left::Last => attribute_block::free(inode, block, buffer, guard(inode, may_have)),
        Left::Changed => {
            attribute_block::discharge(inode);
            sb.mark_dirty(&buffer);
        }
        Left::Waits => attribute_block::discharge(inode),
        // It has an owner too many: e2fsck's to find, and of no harm until then.
        Left::Stuck => {
            attribute_block::discharge(inode);
            sb.message(
                Level::Warning,
                fmt!(
                    "warning: inode {}: the block of its extended attributes, {block}, cannot be freed",
                    inode.number()
                ),
            );
        }
        Left::Wrong => {
            attribute_block::discharge(inode);
            report::corrupt(
                sb,
                fmt!(
                    "inode {}: the block of its extended attributes, {block}, has had too few owners",
                    inode.number()
                ),
            );
        }
    }
}

/// How an inode has left its block.
enum Left {
    /// It was the last.
    Last,
    /// The count is lower.
    Changed,
    /// The count will be.
    Waits,
    /// The count is what it was.
    Stuck,
    Wrong,
}

/// What tells the disk that the inode has not its block any more.
fn guard(inode: &Ext2Inode, may_have: bool) -> Guard {
    if !may_have {
        return Guard::NotNeeded;
    }
    inode::store(inode).map_or(Guard::Missing, Guard::Block)
}

/// Gives up the attributes of an inode that is being deleted. C: `ext2_xattr_delete_inode()`.
pub(crate) fn release(inode: &Ext2Inode) {
    let data = inode.data();
    let block = data.file_acl();
    if block == 0 {
        return;
    }
    let may_have = data.set_file_acl(0, false);
    if may_have {
        // So the image is without the block before anybody counts the inode among those that leave
        // it; where that fails, who needs it tries again.
        let _ = inode::store(inode);
    }
    // Where it cannot be looked at it is nobody's, and counted for nobody.
    if inode::check_own(inode, block, 1).is_err() {
        attribute_block::discharge(inode);
        return;
    }
    let Ok(buffer) = inode.super_block().bread(block.into()) else {
        attribute_block::discharge(inode);
        report::corrupt(
            inode.super_block(),
            fmt!(
                "inode {}: the block of its extended attributes, {block}, cannot be read",
                inode.number()
            ),
        );
        return;
    };
    match header_of(|index| buffer.le32(index)) {
        Ok(()) => leave(inode, buffer, may_have),
        Err(error) => {
            attribute_block::discharge(inode);
            corrupt(inode, block, error);
        }
    }
}

#[kunit_tests(rust_ext2_share)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_block() {
        assert_eq!(holding(1, 0), Holding::Alone);
        assert_eq!(holding(2, 1), Holding::AloneInMemory);
        assert_eq!(holding(2, 0), Holding::Shared);
        assert_eq!(holding(1025, 1), Holding::Shared);
        assert_eq!(holding(0, 0), Holding::Wrong);
        assert_eq!(holding(3, 3), Holding::Wrong);
        assert_eq!(holding(3, 4), Holding::Wrong);
    }
}
