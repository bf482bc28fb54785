// SPDX-License-Identifier: GPL-2.0

//! What the inodes of one type can do, as the C tables that it is made of. Who makes them are the
//! operations of each type.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    DeviceNumber,
    LinkTarget, //
};
use crate::{
    abstractions::fs::FileSystem,
    bindings, //
};
use core::marker::PhantomData;
use kernel::prelude::*;

/// What the inodes of one type can do, ready to be given to a [`NewInode`](crate::fs::NewInode).
pub struct Operations<T> {
    pub(in crate::abstractions::fs) inode: &'static bindings::inode_operations,
    pub(in crate::abstractions::fs) file: Option<&'static bindings::file_operations>,
    pub(in crate::abstractions::fs) mapping: Option<&'static bindings::address_space_operations>,
    pub(in crate::abstractions::fs) content: Content,
    pub(in crate::abstractions::fs) _filesystem: PhantomData<T>,
}

pub(in crate::abstractions::fs) enum Content {
    File,
    /// One whose folios have no buffer_heads.
    WritableFile,
    Directory,
    Symlink,
    FastSymlink(LinkTarget),
    Special(DeviceNumber),
}

impl<T: FileSystem> Operations<T> {
    /// Checks that they are those of an inode with this mode: what the VFS does with an inode, and
    /// which of its fields it looks at, depends on the mode.
    pub(in crate::abstractions::fs) fn check(&self, mode: u16) -> Result {
        let suits = match (&self.content, u32::from(mode) & bindings::S_IFMT) {
            (Content::File | Content::WritableFile, bindings::S_IFREG) => true,
            (Content::Directory, bindings::S_IFDIR) => true,
            (Content::Symlink | Content::FastSymlink(_), bindings::S_IFLNK) => true,
            (Content::Special(_), file_type) => matches!(
                file_type,
                bindings::S_IFCHR | bindings::S_IFBLK | bindings::S_IFIFO | bindings::S_IFSOCK
            ),
            _ => false,
        };
        if suits {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// A regular file has folios of any size.
    ///
    /// # Safety
    ///
    /// `inode` must be a new inode, which nobody else uses.
    unsafe fn keep_in_folios(inode: *mut bindings::inode) {
        // SAFETY: Nobody else uses the inode, so its mapping, which is part of it, has no
        // folios yet.
        unsafe { bindings::rust_mpage_helper_mapping_set_large_folios((*inode).i_mapping) };
    }

    /// Gives `inode` these operations, which suit the type in `mode`, see [`Self::check`].
    ///
    /// # Safety
    ///
    /// `inode` must be a new inode of `T` with that mode, which nobody else uses, and they must
    /// have been checked for it.
    pub(in crate::abstractions::fs) unsafe fn apply(self, inode: *mut bindings::inode, mode: u16) {
        // SAFETY: Nobody else uses the inode by the safety requirements, and its own mapping is
        // part of it; so their fields may be set.
        unsafe {
            (*inode).i_op = self.inode;
            if let Some(file) = self.file {
                (*inode).__bindgen_anon_3.i_fop = file;
            }
            if let Some(mapping) = self.mapping {
                (*(*inode).i_mapping).a_ops = mapping;
            }
        }
        match self.content {
            // SAFETY: The inode is a new one by the safety requirements.
            Content::File => unsafe { Self::keep_in_folios(inode) },
            Content::WritableFile => {
                // SAFETY: The inode is a new one by the safety requirements.
                unsafe { Self::keep_in_folios(inode) };
                // SAFETY: The mapping has no folios yet: the inode is a new one.
                unsafe {
                    bindings::rust_mpage_helper_mapping_set_release_always((*inode).i_mapping)
                };
            }
            // Their pages are looked at in place.
            //
            // SAFETY: Nobody else uses the inode by the safety requirements.
            Content::Directory | Content::Symlink => unsafe { bindings::inode_nohighmem(inode) },
            Content::FastSymlink(target) => {
                let (len, target) = target.into_raw();
                // SAFETY: Nobody else uses the inode by the safety requirements, so its fields
                // may be set. The target is freed with the inode.
                unsafe {
                    (*inode).__bindgen_anon_5.i_link = target;
                    (*inode).i_size = len as bindings::loff_t;
                }
            }
            Content::Special(device) => {
                // SAFETY: The inode is a new one, and the mode that of a special file, as has been
                // checked, by the safety requirements.
                unsafe { bindings::init_special_inode(inode, mode, device.into_raw()) }
            }
        }
    }
}
