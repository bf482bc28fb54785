// SPDX-License-Identifier: GPL-2.0

//! File handles.
//!
//! Locks: none here; the directory's `i_rwsem` while its parent is looked for.

#![deny(unsafe_code)]

use crate::{
    dir,
    disk,
    inode::{
        self,
        Ext2Inode, //
    },
    mount::Ext2, //
};
use kernel::prelude::*;
use rust_mpage::fs::{
    ExportOperations,
    InodeRef,
    LockedDirectory,
    SuperBlock,
    Wait, //
};

/// How files are found by their handles.
pub(crate) struct Export;

impl ExportOperations for Export {
    type FileSystem = Ext2;

    fn inode(sb: &SuperBlock<Ext2>, number: u64, generation: u32) -> Result<InodeRef<'_, Ext2>> {
        let geometry = &sb.data().geometry;
        let ino = u32::try_from(number).map_err(|_| ESTALE)?;
        if ino != disk::ino::ROOT && ino < geometry.first_ino() || ino > geometry.inodes_count() {
            return Err(ESTALE);
        }

        let inode = inode::get(sb, ino)?;
        if generation != 0 && inode.generation() != generation {
            return Err(ESTALE);
        }
        Ok(inode)
    }

    /// Directories are not written at once, so this is more than in C.
    fn commit(inode: &Ext2Inode) -> Result {
        if inode.is_directory() {
            inode.write_all_pages()?;
        }
        inode.sync(Wait::Yes)?;
        inode::sync_names(inode)?;
        inode.super_block().device().flush()
    }

    fn parent(dir: LockedDirectory<'_, Ext2>) -> Result<InodeRef<'_, Ext2>> {
        let ino = dir::find(dir, b"..")?.ok_or(ENOENT)?.inode;
        inode::get(dir.inode().super_block(), ino)
    }
}
