// SPDX-License-Identifier: GPL-2.0

//! What the VFS calls to write the filesystem: which function is for what.
//!
//! C counterpart: `ext2_sops`.

#![deny(unsafe_code)]

use crate::{
    evict,
    inode::Ext2Inode,
    inode_write,
    super_block::Ext2,
    super_state, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    SuperBlock,
    Wait,
    WritableFileSystem, //
};

impl WritableFileSystem for Ext2 {
    fn mounted(sb: &SuperBlock<Self>) -> Result {
        super_state::mounted(sb)
    }

    fn write_inode(inode: &Ext2Inode) -> Result {
        inode_write::write_inode(inode)
    }

    fn sync_inode_metadata(inode: &Ext2Inode) -> Result {
        inode_write::sync(inode)
    }

    fn delete_inode(inode: &Ext2Inode) -> Result {
        evict::delete(inode)
    }

    fn release_inode(inode: &Ext2Inode) {
        evict::release(inode)
    }

    fn free_inode(inode: &Ext2Inode) {
        evict::free(inode)
    }

    fn sync_fs(sb: &SuperBlock<Self>, wait: Wait) -> Result {
        super_state::sync_fs(sb, wait)
    }

    fn freeze(sb: &SuperBlock<Self>) -> Result {
        super_state::freeze(sb)
    }

    fn unfreeze(sb: &SuperBlock<Self>) -> Result {
        super_state::unfreeze(sb)
    }

    fn put_super(sb: &SuperBlock<Self>) {
        super_state::put_super(sb)
    }
}
