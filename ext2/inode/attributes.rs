// SPDX-License-Identifier: GPL-2.0

//! Extended attributes in an inode itself, as ext4 writes them. They are not supported, but an
//! access control list must not widen access by being ignored.
//!
//! What that means for modes is decided in [`acl`]; here is which files have such attributes. They
//! are often labels of a security module: a list is looked for.
//!
//! C counterpart: none, C ext2 does not know of them; `ext4_xattr_ibody_get()`.
//!
//! Locks: none. They do not change while a filesystem is mounted.

#![deny(unsafe_code)]

use crate::disk::{
    acl::{
        self,
        SplitMode, //
    },
    attribute_list,
    revision, //
};
use kernel::prelude::*;
use rust_mpage::fs::Buffer;

/// What is known of the attributes in an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    /// There are some in the inode itself.
    pub(crate) in_inode: bool,
    /// It may have an access control list, and so gives its group no more than others.
    pub(crate) may_have_acl: bool,
}

/// What is known of the attributes in an inode that is in `buffer` from byte `offset` on.
pub(crate) fn look(buffer: &Buffer, offset: u32, inode_size: u32) -> Result<Known> {
    let list = list_in_inode(buffer, offset, inode_size)?;

    Ok(Known {
        in_inode: list.is_some(),
        may_have_acl: list.is_some_and(|list| attribute_list::may_have_acl(&list, 0)),
    })
}

/// The list of attributes in an inode, if there is one.
pub(crate) fn list_in_inode(
    buffer: &Buffer,
    offset: u32,
    inode_size: u32,
) -> Result<Option<KVec<u8>>> {
    const WORD: usize = size_of::<u32>();

    let (offset, size) = (offset as usize, inode_size as usize);
    let known = revision::GOOD_OLD_INODE_SIZE as usize;
    if size < known + WORD {
        return Ok(None);
    }
    // `i_extra_isize`
    let extra = buffer.le16((offset + known) / size_of::<u16>());
    let magic = known + usize::from(extra.unwrap_or(0));
    let list = magic + WORD;
    if magic % WORD != 0
        || list >= size
        || buffer.le32((offset + magic) / WORD) != Some(attribute_list::MAGIC)
    {
        return Ok(None);
    }
    let mut bytes = KVec::from_elem(0u8, size - list, GFP_KERNEL)?;
    buffer.copy_to(offset + list, &mut bytes)?;
    Ok(Some(bytes))
}

/// The mode of an inode with these attributes.
pub(crate) fn mode_of(mode: u16, known: Known) -> SplitMode {
    if known.may_have_acl {
        acl::split(mode)
    } else {
        SplitMode {
            effective: mode,
            hidden: 0,
        }
    }
}
