// SPDX-License-Identifier: GPL-2.0

//! Getting and freeing blocks.
//!
//! Where blocks are found is decided in [`search`](crate::groups::search); here bitmaps are
//! read and checked, counts are kept, and what is freed is checked: never a block outside the
//! filesystem, never one of its own metadata, and no block twice. Nobody gets a block without a
//! promise of [`space`](crate::groups::space), which [`new_blocks`] claims for who has none.
//!
//! C counterpart: `fs/ext2/balloc.c`. Checked beyond it: that blocks are not over the superblock or
//! the group descriptors in use.
//!
//! Locks: the caller has the inode's tree mutex when it gets blocks. Bits are changed atomically,
//! so nothing else is locked but what [`windows`](crate::groups::windows) locks. Counting them for
//! their owners takes spinlocks.

#![deny(unsafe_code)]

use crate::{
    disk::{
        geometry::Geometry,
        run::{
            Run,
            Wanted, //
        }, //
    },
    groups::{
        bitmap::Bitmap,
        count::GroupCount,
        own_blocks::unmarked_metadata,
        search::{
            self,
            SearchSpace, //
        },
        space::{
            Promised,
            Reserve, //
        },
        windows::{
            BlockAllocInfo,
            Windows, //
        },
    },
    inode::Ext2Inode,
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::{
    self,
    Buffer,
    SpaceCharge,
    SuperBlock, //
};

impl Bitmap for Buffer {
    #[inline]
    fn word(&self, index: u32) -> Option<u32> {
        self.le32(index as usize)
    }

    #[inline]
    fn claim_in_word(&self, index: u32, bits: u32) -> bool {
        let all = |word| (word & bits == 0).then_some(word | bits);
        self.update_le32(index as usize, all).is_some()
    }

    #[inline]
    fn release(&self, bit: u32) -> bool {
        self.test_and_clear_le_bit(bit) == Some(true)
    }
}

impl SearchSpace for SuperBlock<Ext2> {
    type Bitmap = Buffer;

    fn geometry(&self) -> &Geometry {
        &self.data().geometry
    }

    fn windows(&self) -> &Windows {
        &self.data().windows
    }

    fn free_blocks(&self, group: u32) -> u32 {
        self.data().groups.count(group, GroupCount::FreeBlocks)
    }

    fn is_unreadable(&self, group: u32) -> bool {
        self.data().groups.is_unreadable(group)
    }

    /// C: `read_block_bitmap()`.
    fn block_bitmap(&self, group: u32) -> Result<Buffer> {
        let data = self.data();
        let layout = data.groups.layout(group).ok_or(EUCLEAN)?;
        let block = layout.block_bitmap();
        let bitmap = self.bread(block.into());
        data.groups.note_bitmap(group, bitmap.is_ok(), &data.space);
        let bitmap = bitmap.inspect_err(|_| {
            report::corrupt(
                self,
                fmt!("cannot read the bitmap of group {group} in block {block}"),
            )
        })?;

        if data.groups.is_bitmap_new(group) {
            if let Some(block) = unmarked_metadata(&bitmap, &data.geometry, group, layout) {
                report::corrupt(
                    self,
                    fmt!("metadata in block {block} is free in the bitmap of group {group}"),
                );
            }
        }
        Ok(bitmap)
    }

    fn may_hold_data(&self, group: u32, blocks: Run) -> bool {
        let Run { first, count } = blocks;
        let data = self.data();
        let is_metadata = data.geometry.check_data_blocks(first, count).is_err()
            || data
                .groups
                .layout(group)
                .is_none_or(|layout| layout.overlaps(first, count));

        if is_metadata {
            report::corrupt(
                self,
                fmt!("{count} blocks from {first} on are metadata, and free in the bitmap"),
            );
        }
        !is_metadata
    }
}

/// Claims blocks for the current task: as many as it wants while there are many, as many as it
/// needs while one is left that is not reserved for others. C: `ext2_has_free_blocks()`.
///
/// Fails with `ENOSPC`.
pub(crate) fn claim(sb: &SuperBlock<Ext2>, wanted: Wanted) -> Result<Promised<'_>> {
    let data = sb.data();
    let reserved = data.state.reserved_blocks();

    let promised = data
        .space
        .claim(wanted, Reserve::Keep(reserved))
        .or_else(|| {
            (fs::capable_sys_resource() || data.options().is_privileged())
                .then(|| data.space.claim(wanted, Reserve::Use))
                .flatten()
        });
    promised.ok_or(ENOSPC)
}

/// How many bitmaps that could not be read are tried again, at most.
const TRIES: usize = 16;

/// As [`claim`]; where there is nothing, groups whose bitmaps could not be read are looked at
/// again, the one of `goal` first.
fn claim_anywhere(sb: &SuperBlock<Ext2>, goal: u32, wanted: Wanted) -> Result<Promised<'_>> {
    let data = sb.data();
    let result = claim(sb, wanted);
    if result.is_ok() || data.space.withdrawn() == 0 {
        return result;
    }
    let start = data.geometry.group_of_block(goal).unwrap_or(0);
    let mut is_readable = false;
    for group in data.groups.unreadable_from(start).take(TRIES) {
        is_readable |= sb.block_bitmap(group).is_ok();
    }
    match is_readable {
        true => claim(sb, wanted),
        false => result,
    }
}

/// Gets up to `wanted.most` blocks in a row, near `goal`; they are in use, and the inode's. The
/// inode is marked dirty. An owner who may not have these gets `whole`, at least what is needed, or
/// none. C: `ext2_new_blocks()`.
///
/// Fails with `EDQUOT` if an owner of the inode may not have them, with `ENOSPC` if there are none
/// for the current task, or with the error of a bitmap that cannot be read.
pub(crate) fn new_blocks(
    inode: &Ext2Inode,
    info: &mut BlockAllocInfo,
    goal: u32,
    wanted: Wanted,
    whole: u32,
) -> Result<Run> {
    let sb = inode.super_block();
    let mut promised =
        claim_anywhere(sb, goal, wanted).map_err(|error| refused(inode, whole, error))?;
    let most = wanted.most.min(promised.count());
    let needed = wanted.needed.min(most);
    let charge = charge(inode, most, whole.min(most))?;
    let most = (charge.bytes() >> sb.block_bits()) as u32;
    let run = place(sb, info, goal, Wanted { needed, most }, &mut promised)?;

    charge.keep(u64::from(run.count) << sb.block_bits());
    inode.mark_dirty();
    Ok(run)
}

/// As [`new_blocks`], of those that have been promised, and no more than are left of these. They
/// have been reserved for the inode's owners, see [`reserve`]; if quota has been turned on since,
/// it is too late for `EDQUOT`.
pub(crate) fn promised_blocks(
    inode: &Ext2Inode,
    info: &mut BlockAllocInfo,
    goal: u32,
    wanted: Wanted,
    promised: &mut Promised<'_>,
) -> Result<Run> {
    let most = wanted.most.min(promised.count());
    let needed = wanted.needed.min(most);
    let wanted = Wanted { needed, most };
    let run = place(inode.super_block(), info, goal, wanted, promised)?;

    inode.charge_promised(bytes(inode, run.count));
    inode.mark_dirty();
    Ok(run)
}

/// Gives places to promised blocks.
fn place(
    sb: &SuperBlock<Ext2>,
    info: &mut BlockAllocInfo,
    goal: u32,
    wanted: Wanted,
    promised: &mut Promised<'_>,
) -> Result<Run> {
    if wanted.most == 0 {
        return Err(ENOSPC);
    }
    let found = search::allocate(sb, info, goal, wanted)?;
    let count = found.blocks.count;

    let data = sb.data();
    promised.spend(count);
    data.groups
        .change(sb, found.group, GroupCount::FreeBlocks, -(count as i32));
    data.counters.free_blocks.add(-i64::from(count));
    write_bitmap(sb, &found.bitmap);
    Ok(found.blocks)
}

/// Reserves blocks that are being promised for the owners of the inode: all that were claimed, or,
/// if these may not have them, `least`. [`None`] if they may not have these either. What is too
/// much for them is told to who needs it, once.
#[inline]
pub(crate) fn reserve<'s>(
    inode: &Ext2Inode,
    claimed: Promised<'s>,
    least: u32,
) -> Option<Promised<'s>> {
    match inode.super_block().has_quota() {
        false => Some(claimed),
        true => reserve_for_owners(inode, claimed, least),
    }
}

#[cold]
fn reserve_for_owners<'s>(
    inode: &Ext2Inode,
    mut claimed: Promised<'s>,
    least: u32,
) -> Option<Promised<'s>> {
    let count = claimed.count();
    if count > least && inode.reserve_ahead(bytes(inode, count)).is_ok() {
        return Some(claimed);
    }
    inode.reserve(bytes(inode, least)).ok()?;
    Some(claimed.split(least))
}

/// So many blocks that a promise was spent on are about to be given back, and promised again.
pub(crate) fn reserve_again(inode: &Ext2Inode, count: u32) {
    if inode.super_block().has_quota() {
        inode.reserve_anyway(bytes(inode, count));
    }
}

fn bytes(inode: &Ext2Inode, blocks: u32) -> u64 {
    u64::from(blocks) << inode.block_bits()
}

/// Counts `most` blocks for the inode and its owners, or, if that is more than these may have,
/// `least`.
fn charge(inode: &Ext2Inode, most: u32, least: u32) -> Result<SpaceCharge<'_, Ext2>> {
    if most > least {
        match inode.charge_ahead(bytes(inode, most)) {
            Err(EDQUOT) => {}
            result => return result,
        }
    }
    inode.charge(bytes(inode, least))
}

/// The error of who does not get so many blocks: that an owner may not have them comes before that
/// there are none, as in C.
#[cold]
fn refused(inode: &Ext2Inode, count: u32, error: Error) -> Error {
    match inode.charge(bytes(inode, count)) {
        Err(EDQUOT) => EDQUOT,
        _ => error,
    }
}

/// Frees blocks that a promise was spent on, for nothing: they are promised again.
pub(crate) fn take_back(inode: &Ext2Inode, run: Run, promised: &mut Promised<'_>) {
    reserve_again(inode, run.count);
    promised.take_back(run.count);
    free_blocks(inode, run.first, run.count);
}

/// Frees `count` blocks from `first` on, to which the inode does not lead any more. The inode is
/// marked dirty. C: `ext2_free_blocks()`.
///
/// What must not or cannot be freed is reported, and stays in use. If the bitmap cannot be read or
/// says that it is free, it does not count as the inode's any more; in C it does. What is metadata
/// or no block at all still counts, as in C: it was never given to the inode.
pub(crate) fn free_blocks(inode: &Ext2Inode, first: u32, count: u32) {
    let sb = inode.super_block();
    let data = sb.data();

    if let Err(error) = data.geometry.check_data_blocks(first, count) {
        report::corrupt(
            sb,
            fmt!("inode {}: freeing blocks: {error}", inode.number()),
        );
        return;
    }
    let mut freed = 0;
    for blocks in data.geometry.by_group(first, count) {
        match free_in_group(sb, blocks) {
            Ok(count) => freed += count,
            Err(_) => break,
        }
    }
    if freed > 0 {
        data.space.add_freed(freed);
        data.counters.free_blocks.add(freed.into());
    }
    inode.sub_bytes(u64::from(count) << sb.block_bits());
    inode.mark_dirty();
}

/// Frees a metadata block of the inode. First nobody writes it any more, then it may get another
/// owner: the other way round, what the next one has to write would be forgotten.
pub(crate) fn free_metadata(inode: &Ext2Inode, block: u32, buffer: Buffer) {
    buffer.forget();
    free_blocks(inode, block, 1);
}

/// Takes `count` blocks from the inode, and leaves them in use: the disk may still say that they
/// are the inode's, and nothing will tell it. They are e2fsck's to find. The inode is marked dirty.
pub(crate) fn abandon_blocks(inode: &Ext2Inode, first: u32, count: u32) {
    let sb = inode.super_block();

    report::corrupt(
        sb,
        fmt!(
            "inode {}: {count} blocks from {first} on cannot be freed",
            inode.number()
        ),
    );
    inode.sub_bytes(u64::from(count) << sb.block_bits());
    inode.mark_dirty();
}

/// As [`abandon_blocks`], of a block that cannot be written: who looks for a free one does not find
/// it again.
pub(crate) fn abandon_unwritable(inode: &Ext2Inode, block: u32) {
    let sb = inode.super_block();

    report::corrupt(
        sb,
        fmt!(
            "inode {}: block {block} cannot be written, and stays in use",
            inode.number()
        ),
    );
    inode.sub_bytes(1 << sb.block_bits());
    inode.mark_dirty();
}

/// Frees blocks of one group. How many of them were in use.
fn free_in_group(sb: &SuperBlock<Ext2>, blocks: Run) -> Result<u32> {
    let Run { first, count } = blocks;
    let data = sb.data();
    let group = data.geometry.group_of_block(first).ok_or(EUCLEAN)?;
    let start = data.geometry.group_first_block(group).ok_or(EUCLEAN)?;
    let bitmap = sb.block_bitmap(group)?;

    if data
        .groups
        .layout(group)
        .ok_or(EUCLEAN)?
        .overlaps(first, count)
    {
        report::corrupt(
            sb,
            fmt!("{count} blocks from {first} on are metadata, and not to be freed"),
        );
        return Err(EUCLEAN);
    }
    let mut freed = 0;
    for block in first..first + count {
        if bitmap.release(block - start) {
            freed += 1;
        } else {
            report::corrupt(sb, fmt!("block {block} is freed, and was free before"));
        }
    }
    write_bitmap(sb, &bitmap);
    data.groups
        .change(sb, group, GroupCount::FreeBlocks, freed as i32);
    Ok(freed)
}

/// Has a bitmap written, now if the filesystem is mounted `sync`.
pub(crate) fn write_bitmap(sb: &SuperBlock<Ext2>, bitmap: &Buffer) {
    sb.mark_dirty(bitmap);
    if sb.is_synchronous() && sb.sync_buffer(bitmap).is_err() {
        // It is dirty again. For those who sync the device the error is kept in its mapping, too.
        report::corrupt(
            sb,
            fmt!("cannot write the bitmap in block {}", bitmap.number()),
        );
    }
}
