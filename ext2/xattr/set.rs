// SPDX-License-Identifier: GPL-2.0

//! Attributes are set and taken away.
//!
//! The new block is made beside the old one. If there is one with the same attributes that is
//! shared; else the old one is changed, if the inode has it alone and keeps its access control
//! list as it is; else the inode gets a new one, and the old one has an owner less.
//!
//! C counterpart: `ext2_xattr_set()`, `ext2_xattr_set2()`. C changes the old block before it looks
//! for one to share, and in place where a list changes; all else is left the same.
//!
//! Locks: that of the inode's attributes.

#![deny(unsafe_code)]

use super::{
    read::{
        self,
        OwnBlock, //
    },
    share::{
        self,
        Shared, //
    },
};
use crate::{
    alloc::attribute_block,
    disk::{
        attribute_block::{
            with,
            AttributeBlock,
            Name, //
        },
        attribute_list::kind, //
    },
    inode::Ext2Inode,
    mount::{
        report,
        super_state, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::{
    Buffer,
    SetMode,
    Wait, //
};

/// The longest name of an attribute, without its prefix.
pub(super) const NAME_MAX: usize = 255;

/// Sets an attribute, or takes it away.
///
/// Fails with `ERANGE` if the name or the value is too long for any block, with `ENODATA` or
/// `EEXIST` as `mode` says, with `ENOSPC` if there is no room in the block or no block, with `EIO`,
/// `ENOMEM` and `EUCLEAN`. The attributes are as before then, unless it is that the inode is
/// written at once and cannot be.
pub(super) fn set(
    inode: &Ext2Inode,
    name: Name<'_>,
    value: Option<&[u8]>,
    mode: SetMode,
) -> Result {
    let size = inode.super_block().block_size() as usize;
    if name.name.len() > NAME_MAX || value.is_some_and(|value| value.len() > size) {
        return Err(ERANGE);
    }
    let _locked = inode.data().attribute_block.lock();
    let own = OwnBlock::of(inode)?;
    let old = own.as_ref().map(OwnBlock::block).transpose()?;
    let exists = old.as_ref().is_some_and(|old| old.find(name).is_some());

    mode.check(exists)?;
    if value.is_none() && !exists {
        return Ok(());
    }
    let new = with(old.as_ref(), size, name, value)?;
    let is_list = name.kind == kind::ACCESS_ACL;
    match new {
        // The mode is what it is with the list, on the disk too: that is there before it, and goes
        // in one image with it.
        Some(bytes) => change(inode, own.as_ref(), &bytes, !is_list)?,
        None => replace(inode, own.as_ref(), 0, false),
    }
    inode.set_ctime_now();
    inode.mark_dirty();
    // With a list the mode follows, and who sets both waits for both.
    match inode.is_sync() && !is_list {
        true => inode.sync(Wait::Yes),
        false => Ok(()),
    }
}

/// Gives the inode a block with these bytes: that which it has, only if `in_place`, or if there is
/// no other.
fn change(inode: &Ext2Inode, own: Option<&OwnBlock>, bytes: &[u8], in_place: bool) -> Result {
    let new = AttributeBlock::new(bytes).map_err(|_| EINVAL)?;

    match share::find(inode, &new)? {
        Some(Shared::Own) => return Ok(()),
        Some(Shared::Block { block, may_have }) => {
            replace(inode, own, block, may_have);
            return Ok(());
        }
        None => {}
    }
    let old = own.map(OwnBlock::block).transpose()?;
    if old.is_some_and(|old| old.is_same_as(&new)) {
        return Ok(());
    }
    let change_own = || match own {
        Some(own) => share::change_alone(inode, &own.buffer, bytes),
        None => Ok(false),
    };
    if in_place && change_own()? {
        return Ok(());
    }
    match make(inode, bytes) {
        Ok(block) => {
            replace(inode, own, block, false);
            Ok(())
        }
        Err(error) if !in_place && own.is_some() && [ENOSPC, EDQUOT].contains(&error) => {
            // Then one comes after the other: what the mode is by now, the list, and what follows.
            inode.mark_dirty();
            inode.sync(Wait::Yes)?;
            inode.device().flush()?;
            match own {
                Some(own) if change_own()? => {
                    bring_out(inode, &own.buffer);
                    Ok(())
                }
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Brings the block of an inode to the medium. That it could not be written is reported, and is no
/// error of who has changed the list in it, which it has: who is told so takes back the mode.
fn bring_out(inode: &Ext2Inode, buffer: &Buffer) {
    let sb = inode.super_block();
    let written = sb.sync_buffer(buffer).and_then(|()| inode.device().flush());
    if let Err(error) = written {
        report::corrupt(
            sb,
            fmt!(
                "inode {}: cannot write extended attributes: error {}",
                inode.number(),
                error.to_errno()
            ),
        );
    }
}

/// The inode has another block, and leaves its own.
fn replace(inode: &Ext2Inode, own: Option<&OwnBlock>, block: u32, may_have: bool) {
    let may_have_old = inode.data().set_file_acl(block, may_have);

    inode.mark_dirty();
    if let Some(own) = own {
        share::leave(inode, own.buffer.clone(), may_have_old);
    }
}

/// Makes a new block with these bytes, which the inode is about to have.
fn make(inode: &Ext2Inode, bytes: &[u8]) -> Result<u32> {
    let sb = inode.super_block();
    let block = attribute_block::claim(inode)?;
    let made = sb.new_block(block.into()).and_then(|buffer| {
        buffer.copy_from(0, bytes)?;
        sb.mark_dirty(&buffer);
        super_state::enable_attributes(sb)
            .and_then(|()| share::note_branch(inode, &buffer))
            .inspect_err(|_| buffer.clone().forget())?;
        Ok(buffer)
    });
    match made {
        Ok(buffer) => {
            read::note(sb, &buffer, bytes);
            Ok(block)
        }
        Err(error) => {
            attribute_block::unclaim(inode, block);
            Err(error)
        }
    }
}
