// SPDX-License-Identifier: GPL-2.0

//! Modes of files that have, or whose directory has, extended attributes: not more than an access
//! control list would give.
//!
//! C counterparts: `ext2_init_acl()`, `ext2_acl_chmod()`.
//!
//! Locks: none. Attributes do not change while a filesystem is mounted.

#![deny(unsafe_code)]

use super::{
    attributes::{
        list_in_inode,
        mode_of, //
    },
    data::Ext2Inode,
    place::{
        check_own,
        place, //
    },
};
use crate::{
    disk::{
        acl,
        attribute_list::{
            self,
            Malformed, //
        },
        mode, //
    },
    mount::report, //
};
use kernel::prelude::*;

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
    let (block, offset) = place(sb, number)?;
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
    check_own(inode, number, 1)?;
    let buffer = inode.super_block().bread(number.into())?;
    let mut bytes = KVec::from_elem(0u8, buffer.size(), GFP_KERNEL)?;
    buffer.copy_to(0, &mut bytes)?;
    Ok(Some(bytes))
}
