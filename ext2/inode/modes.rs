// SPDX-License-Identifier: GPL-2.0

//! Modes of files that have, or whose directory has, extended attributes in the inode itself: not
//! more than an access control list there would give.
//!
//! C counterpart: none, see [`attributes`](crate::inode::attributes).
//!
//! Locks: none. Such attributes do not change while a filesystem is mounted.

#![deny(unsafe_code)]

use super::{
    attributes::{
        list_in_inode,
        mode_of, //
    },
    data::Ext2Inode,
    place::{
        read_block,
        InTable, //
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

/// The mode that an inode has on the disk, of which only a part may be in effect.
pub(crate) fn noted_mode(inode: &Ext2Inode) -> u16 {
    inode.mode() | inode.data().hidden_mode()
}

/// Takes note that who may do what with an inode has changed.
pub(crate) fn note_rights(inode: &Ext2Inode) {
    inode.data().disk_only.lock().rights_changed = true;
}

/// The mode of a new file in `dir`, if `mode` is asked for: not more than the directory's default
/// access control list would give, if it has one.
///
/// Fails with the error of what cannot be read, with `EUCLEAN` if the list makes no sense.
pub(crate) fn mode_in(dir: &Ext2Inode, mode: u16) -> Result<u16> {
    let data = dir.data();
    let is_link = mode & mode::TYPE_MASK == mode::SYMLINK;
    if is_link || !data.attributes.in_inode {
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
    let most = |area: &[u8]| match attribute_list::find(area, 0, attribute_list::kind::DEFAULT_ACL)?
    {
        Some(list) => acl::most_of_default(list).ok_or(Malformed).map(Some),
        None => Ok(None),
    };

    let sb = dir.super_block();
    let number = u32::try_from(dir.number()).map_err(|_| EUCLEAN)?;
    let InTable { buffer, offset, .. } = read_block(sb, number)?;
    let inode_size = sb.data().geometry.inode_size();
    Ok(match list_in_inode(&buffer, offset, inode_size)? {
        Some(list) => most(&list),
        None => Ok(None),
    })
}
