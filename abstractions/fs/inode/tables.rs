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
    fn keep_in_folios(inode: *mut bindings::inode) {
        // SAFETY: The caller has a new inode, which nobody else looks at; its mapping has no folios
        // yet.
        unsafe { bindings::rust_mpage_helper_mapping_set_large_folios((*inode).i_mapping) };
    }

    /// Gives `inode`, a new inode of `T` that they have been checked for, these operations.
    pub(in crate::abstractions::fs) fn apply(self, inode: *mut bindings::inode, mode: u16) {
        // SAFETY: The caller has a new inode, which nobody else looks at; its own mapping is part
        // of it.
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
            Content::File => Self::keep_in_folios(inode),
            Content::WritableFile => {
                Self::keep_in_folios(inode);
                // SAFETY: As above; the mapping has no folios yet.
                unsafe {
                    bindings::rust_mpage_helper_mapping_set_release_always((*inode).i_mapping)
                };
            }
            // Their pages are looked at in place.
            //
            // SAFETY: As above.
            Content::Directory | Content::Symlink => unsafe { bindings::inode_nohighmem(inode) },
            Content::FastSymlink(target) => {
                let (len, target) = target.into_raw();
                // SAFETY: As above. The target is freed with the inode.
                unsafe {
                    (*inode).__bindgen_anon_5.i_link = target;
                    (*inode).i_size = len as bindings::loff_t;
                }
            }
            Content::Special(device) => {
                // SAFETY: As above; the mode is that of a special file, as has been checked.
                unsafe { bindings::init_special_inode(inode, mode, device.into_raw()) }
            }
        }
    }
}
