// SPDX-License-Identifier: GPL-2.0

//! Extended attributes, which are not supported yet, but must not widen access by being ignored.
//!
//! What that means for modes is decided in [`acl`]; here is which files have attributes, and which
//! directories have a list for new files. A block of attributes is not read for it when an inode is:
//! whatever is in it, the file counts as one with an access control list. Attributes in the inode
//! itself, as ext4 writes them, are at hand, and often labels of a security module; there a list is
//! looked for.
//!
//! C counterparts: `ext2_init_acl()`, `ext2_xattr_get()`. C does not know attributes in inodes.
//!
//! Locks: none. Attributes do not change while a filesystem is mounted.

#![deny(unsafe_code)]

use crate::{
    acl::{
        self,
        SplitMode, //
    },
    array,
    attribute_list::{
        self,
        Malformed, //
    },
    disk::{
        mode,
        revision, //
    },
    inode::{
        self,
        Ext2Inode, //
    },
    report, //
};
use kernel::prelude::*;
use rust_mpage::fs::Buffer;

/// What is known of the attributes of an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Known {
    /// There are some in the inode itself.
    pub(crate) in_inode: bool,
    /// It may have an access control list, and so gives its group no more than others.
    pub(crate) may_have_acl: bool,
}

/// What is known of the attributes of an inode in `buffer` from byte `offset` on, which has this
/// block of attributes, or 0.
pub(crate) fn look(
    buffer: &Buffer,
    offset: u32,
    inode_size: u32,
    attribute_block: u32,
) -> Result<Known> {
    let list = list_in_inode(buffer, offset, inode_size)?;

    Ok(Known {
        in_inode: list.is_some(),
        may_have_acl: attribute_block != 0
            || list.is_some_and(|list| attribute_list::may_have_acl(&list, 0)),
    })
}

/// The list of attributes in an inode, if there is one.
fn list_in_inode(buffer: &Buffer, offset: u32, inode_size: u32) -> Result<Option<KVec<u8>>> {
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

/// Takes note of a mode that an inode gets. The mode to be in effect.
pub(crate) fn set_mode(inode: &Ext2Inode, mode: u16) -> u16 {
    let data = inode.data();
    let split = mode_of(mode, data.attributes);

    data.set_hidden_mode(split.hidden);
    split.effective
}

/// The mode of a new file in `dir`, if `mode` is asked for: not more than the directory's default
/// access control list would give, if it has one.
///
/// Fails with the error of what cannot be read, with `EUCLEAN` if the list makes no sense.
pub(crate) fn mode_in(dir: &Ext2Inode, mode: u16) -> Result<u16> {
    let data = dir.data();
    let is_link = mode & mode::TYPE_MASK == mode::SYMLINK;
    if is_link || (data.file_acl() == 0 && !data.attributes.in_inode) {
        return Ok(mode);
    }
    let corrupt = |Malformed| {
        report::corrupt(
            dir.super_block(),
            fmt!(
                "directory {}: bad extended attributes, no files can be made in it",
                dir.number()
            ),
        );
        EUCLEAN
    };
    match most_in(dir)?.map_err(corrupt)? {
        Some(most) => Ok(acl::limited(mode, most)),
        None => Ok(mode),
    }
}

/// The most that a new file in `dir` may give, if there is a limit.
fn most_in(dir: &Ext2Inode) -> Result<Result<Option<u16>, Malformed>> {
    let most = |area: &[u8], start| match attribute_list::find(
        area,
        start,
        attribute_list::DEFAULT_ACL,
    )? {
        Some(list) => acl::most_of_default(list).ok_or(Malformed).map(Some),
        None => Ok(None),
    };

    let sb = dir.super_block();
    let number = u32::try_from(dir.number()).map_err(|_| EUCLEAN)?;
    let (block, offset) = inode::place(sb, number)?;
    let buffer = sb.bread(block.into())?;
    let inode_size = sb.data().geometry.inode_size();
    if let Some(list) = list_in_inode(&buffer, offset, inode_size)? {
        match most(&list, 0) {
            Ok(None) => {}
            found => return Ok(found),
        }
    }
    Ok(match block_of(dir)? {
        Some(block) if !block.starts_with(&attribute_list::MAGIC.to_le_bytes()) => Err(Malformed),
        Some(block) => most(&block, attribute_list::LIST_IN_BLOCK),
        None => Ok(None),
    })
}

/// The block of attributes of an inode, if it has one.
fn block_of(inode: &Ext2Inode) -> Result<Option<KVec<u8>>> {
    let number = inode.data().file_acl();
    if number == 0 {
        return Ok(None);
    }
    array::check_own(inode, number, 1)?;
    let buffer = inode.super_block().bread(number.into())?;
    let mut bytes = KVec::from_elem(0u8, buffer.size(), GFP_KERNEL)?;
    buffer.copy_to(0, &mut bytes)?;
    Ok(Some(bytes))
}
