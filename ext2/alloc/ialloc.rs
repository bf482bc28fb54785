// SPDX-License-Identifier: GPL-2.0

//! Getting and freeing inodes.
//!
//! Which group an inode goes to is decided in [`choice`](crate::groups::choice).
//!
//! C counterpart: `fs/ext2/ialloc.c`.
//!
//! Locks: none. Bits and counts are changed atomically. The caller holds the `i_rwsem` of the
//! directory that a new inode is for.
//!
//! They are counted for their owners by the wrappers, when they are inserted and deleted.
//!
//! Left out: ACLs and security labels of new inodes, which are in [`xattr`](crate::xattr).

#![deny(unsafe_code)]

use super::balloc::write_bitmap;
use crate::{
    disk::{
        ino,
        inode_flags,
        mode, //
    },
    groups::{
        bitmap::{
            claim_first_that,
            Bitmap, //
        },
        choice::{
            Choice,
            Parent, //
        },
        count::GroupCount, //
    },
    inode::{
        self,
        Ext2Inode,
        InodeData, //
    },
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::{
    self,
    Buffer,
    CreatedInode,
    Creation,
    GroupFrom,
    Operations,
    SuperBlock, //
};

/// Makes the inode of a new file in `dir`, with the contents that `data` makes of its flags, and
/// marks it dirty. C: `ext2_new_inode()`.
///
/// Fails with `ENOSPC` if there is no free inode, with `EDQUOT` if its owner may have no more, with
/// `EUCLEAN` if one that is free is in use.
pub(crate) fn new_inode<'m, D>(
    dir: &'m Ext2Inode,
    mode: u16,
    operations: Operations<Ext2>,
    data: impl FnOnce(u32) -> Result<D>,
) -> Result<CreatedInode<'m, Ext2>>
where
    D: PinInit<InodeData, Error>,
{
    let sb = dir.super_block();
    let mode = inode::mode_in(dir, mode)?;
    let unhashed = sb.new_inode()?;
    let kind = if mode & mode::TYPE_MASK == mode::DIRECTORY {
        Kind::Directory
    } else {
        Kind::Other
    };
    let flags = inherited_flags(mode, dir.data().flags());
    let data = data(flags)?;
    let claimed = claim(dir, kind)?;
    let creation = Creation {
        number: claimed.ino.into(),
        mode,
        group: if sb.data().options().takes_group_of_directory() {
            GroupFrom::Directory
        } else {
            GroupFrom::Process
        },
        generation: sb.data().next_generation(),
        flags: inode::vfs_flags(flags),
    };

    let created = match unhashed.insert(dir, &creation, operations, data) {
        Ok(created) => created,
        Err(EBUSY) => {
            // Whoever uses it does not own it any less: it stays marked.
            report::corrupt(
                sb,
                fmt!("inode {} is free in the bitmap, and in use", claimed.ino),
            );
            return Err(EUCLEAN);
        }
        Err(error) => {
            release(sb, claimed.ino, kind);
            return Err(error);
        }
    };
    created.mark_dirty();
    inode::preread(sb, claimed.ino);
    Ok(created)
}

/// Frees the number of an inode that nobody uses any more. C: `ext2_free_inode()`.
pub(crate) fn free_inode(inode: &Ext2Inode) {
    let sb = inode.super_block();
    let kind = if inode.is_directory() {
        Kind::Directory
    } else {
        Kind::Other
    };
    match u32::try_from(inode.number()) {
        Ok(ino) => release(sb, ino, kind),
        Err(_) => report::corrupt(sb, fmt!("there is no inode {}", inode.number())),
    }
}

/// The flags of a new inode. C: `ext2_mask_flags()`.
fn inherited_flags(mode: u16, of_directory: u32) -> u32 {
    let flags = of_directory & inode_flags::INHERITED;

    match mode & mode::TYPE_MASK {
        mode::DIRECTORY => flags,
        mode::REGULAR => flags & inode_flags::REGULAR_MASK,
        _ => flags & inode_flags::OTHER_MASK,
    }
}

/// What an inode is, as far as counts are concerned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Other,
}

/// An inode that has been marked as in use.
struct Claimed {
    ino: u32,
}

/// Finds a free inode for `dir`, and marks it as in use. One that the disk may have a name of is
/// not taken as long as there are others.
fn claim(dir: &Ext2Inode, kind: Kind) -> Result<Claimed> {
    let sb = dir.super_block();
    let removals = &sb.data().order.removals;

    match claim_settled(dir, kind) {
        Err(ENOSPC) if !removals.is_empty() => {
            let resolved = removals.resolve(sb);
            match claim_settled(dir, kind) {
                // Of numbers that could not be had.
                Err(ENOSPC) => Err(resolved.err().unwrap_or(ENOSPC)),
                result => result,
            }
        }
        result => result,
    }
}

/// Finds a free inode that the disk has no name of.
fn claim_settled(dir: &Ext2Inode, kind: Kind) -> Result<Claimed> {
    let sb = dir.super_block();
    let data = sb.data();
    let geometry = &data.geometry;
    let groups = geometry.groups_count();
    let per_group = geometry.inodes_per_group();
    let first = choose_group(dir, kind).ok_or(ENOSPC)?;

    // The group may have filled up since.
    for group in Iterator::chain(first..groups, 0..first) {
        let bitmap = inode_bitmap(sb, group)?;
        let is_free = |index: u32| {
            let ino = group * per_group + index + 1;
            !data.order.removals.has(ino) && !data.order.moved.is_awaited(ino)
        };
        let Some(index) = claim_first_that(&bitmap, 0, per_group, is_free) else {
            continue;
        };
        write_bitmap(sb, &bitmap);

        let ino = group * per_group + index + 1;
        if ino < geometry.first_ino() || ino > geometry.inodes_count() {
            report::corrupt(sb, fmt!("the reserved inode {ino} is free in the bitmap"));
            return Err(EUCLEAN);
        }
        count_new(sb, group, kind);
        return Ok(Claimed { ino });
    }
    Err(ENOSPC)
}

/// The group that a new inode should go to.
fn choose_group(dir: &Ext2Inode, kind: Kind) -> Option<u32> {
    let data = dir.super_block().data();
    let geometry = &data.geometry;
    let choice = Choice::new(geometry, &data.groups);
    let number = u32::try_from(dir.number()).ok()?;
    let parent = geometry.inode_location(number).ok()?.group;

    match kind {
        Kind::Other => choice.for_file(parent, number),
        Kind::Directory if data.options().uses_old_allocator() => choice.for_directory_old(),
        Kind::Directory => {
            let is_top = number == ino::ROOT || dir.data().flags() & inode_flags::TOP_DIR != 0;
            let parent = if is_top {
                Parent::Top {
                    start: fs::random_below(geometry.groups_count()),
                }
            } else {
                Parent::Group(parent)
            };
            choice.for_directory(parent, &data.counters.totals())
        }
    }
}

/// Counts an inode that has been claimed.
fn count_new(sb: &SuperBlock<Ext2>, group: u32, kind: Kind) {
    let data = sb.data();

    data.counters.free_inodes.add(-1);
    data.groups.change(sb, group, GroupCount::FreeInodes, -1);
    match kind {
        Kind::Directory => {
            data.counters.directories.add(1);
            data.groups.change(sb, group, GroupCount::Directories, 1);
            data.groups.run_up_debt(group);
        }
        Kind::Other => data.groups.pay_debt(group),
    }
}

/// Marks an inode as free.
fn release(sb: &SuperBlock<Ext2>, ino: u32, kind: Kind) {
    let data = sb.data();
    let location = match data.geometry.inode_location(ino) {
        Ok(location) if ino >= data.geometry.first_ino() => location,
        _ => {
            report::corrupt(sb, fmt!("inode {ino} is reserved, and not to be freed"));
            return;
        }
    };
    let Ok(bitmap) = inode_bitmap(sb, location.group) else {
        return;
    };
    if bitmap.release(location.index) {
        count_freed(sb, location.group, kind);
    } else {
        report::corrupt(sb, fmt!("inode {ino} is freed, and was free before"));
    }
    write_bitmap(sb, &bitmap);
}

/// Counts an inode that has been freed. C: `ext2_release_inode()`.
fn count_freed(sb: &SuperBlock<Ext2>, group: u32, kind: Kind) {
    let data = sb.data();

    data.groups.change(sb, group, GroupCount::FreeInodes, 1);
    data.counters.free_inodes.add(1);
    if kind == Kind::Directory {
        data.groups.change(sb, group, GroupCount::Directories, -1);
        data.counters.directories.add(-1);
    }
}

/// Reads the bitmap of a group's inodes. C: `read_inode_bitmap()`.
fn inode_bitmap(sb: &SuperBlock<Ext2>, group: u32) -> Result<Buffer> {
    let layout = sb.data().groups.layout(group).ok_or(EUCLEAN)?;
    let block = layout.inode_bitmap();

    sb.bread(block.into()).inspect_err(|_| {
        report::corrupt(
            sb,
            fmt!("cannot read the inode bitmap of group {group} in block {block}"),
        )
    })
}
