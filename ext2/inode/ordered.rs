// SPDX-License-Identifier: GPL-2.0

//! What the order in which metadata is written asks of inodes.
//!
//! Locks: as in what is called.

#![deny(unsafe_code)]

use super::{
    data::Ext2Inode,
    place,
    write, //
};
use crate::{
    disk::attribute_block,
    mount::{
        report,
        Ext2, //
    },
    order::{
        branches::{
            FreshBranches,
            Settled, //
        },
        kept_links,
        ordered::Ordered,
        removals::Removals, //
    },
};
use kernel::{
    fmt,
    prelude::*, //
};
use rust_mpage::fs::{
    Buffer,
    InodeView,
    SuperBlock, //
};

/// Links that the images of an inode have in addition.
pub(crate) type KeptLinks<'i> = kept_links::KeptLinks<'i, Ext2>;

impl Ordered for Ext2 {
    fn branches(sb: &SuperBlock<Self>) -> &FreshBranches {
        &sb.data().order.branches
    }

    fn removals(sb: &SuperBlock<Self>) -> &Removals {
        &sb.data().order.removals
    }

    fn corrupt(sb: &SuperBlock<Self>, what: fmt::Arguments<'_>) {
        report::corrupt(sb, what)
    }

    fn place(sb: &SuperBlock<Self>, inode: u32) -> Result<(u32, u32)> {
        place::place(sb, inode)
    }

    fn store_known(
        inode: &InodeView<Self>,
        buffer: &Buffer,
        offset: usize,
        settled: Settled,
    ) -> Result<bool> {
        write::store_known(inode, buffer, offset, settled)
    }

    fn take_links(buffer: &Buffer, offset: usize, links: u32) -> Result {
        write::take_links(buffer, offset, links)
    }

    fn has_attributes(buffer: &Buffer, offset: usize, block: u32) -> Result<bool> {
        write::has_attributes(buffer, offset, block)
    }

    fn lose_owner(sb: &SuperBlock<Self>, block: u32) -> Result {
        let buffer = sb.bread(block.into())?;
        // It has another, or it would have been freed with the last.
        let lower = |count: u32| count.checked_sub(1).filter(|&left| left != 0);
        let lowered = buffer.update_le32(attribute_block::word::OWNERS, lower);

        sb.mark_dirty(&buffer);
        lowered.map(|_| ()).ok_or(EUCLEAN).inspect_err(|_| {
            report::corrupt(
                sb,
                fmt!("attributes in block {block}: not one owner is counted, run e2fsck"),
            );
        })
    }

    fn keep_links(inode: &Ext2Inode, links: u32) {
        inode.data().keep_links(links)
    }

    fn give_up_links(inode: &InodeView<Self>, links: u32) {
        inode.data().give_up_links(links)
    }

    fn store_up_to(directory: &Ext2Inode, end: u64) -> Result {
        write::store_up_to(directory, end)
    }

    fn moves_end(directory: &Ext2Inode) -> bool {
        let moved = &directory.super_block().data().order.moved;
        moved.directory_goes(directory.number() as u32)
    }

    fn is_held_back(inode: &Ext2Inode) -> bool {
        inode.data().is_held_back()
    }

    fn is_on_disk(inode: &Ext2Inode) -> bool {
        inode.data().is_on_disk()
    }
}
