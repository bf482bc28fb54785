// SPDX-License-Identifier: GPL-2.0

//! Quota files: read and written as blocks of metadata, past the page cache, whose locks those who
//! count have no right to.
//!
//! C counterpart: `ext2_quota_read()`, `ext2_quota_write()`, and what `ext2_quota_on()` and
//! `ext2_quota_off()` do with the inode.
//!
//! Beyond C: a new block is filled with zeroes, not with what another file has left there; and it
//! is an error of the filesystem, which is written again, if one cannot be written.
//!
//! Locks: the kernel's locks of quota are held. Takes the file's tree mutex to allocate.

#![deny(unsafe_code)]

use super::pieces::{
    pieces,
    readable,
    Piece, //
};
use crate::{
    disk::inode_flags,
    inode::{
        self,
        Ext2Inode, //
    },
    map::Mapper,
    mount::Ext2,
};
use kernel::prelude::*;
use rust_mpage::{
    fs::{
        Buffer,
        HeldInode,
        QuotaUse, //
    },
    BlockCount,
    BlockMapper,
    Extent,
    LogicalBlock, //
};

/// What a quota file in use has of flags: nobody changes it but the kernel.
const IN_USE: u32 = inode_flags::NO_ATIME | inode_flags::IMMUTABLE;

/// Reads from byte `at` on; holes are zeroes.
pub(crate) fn read(file: &Ext2Inode, at: u64, out: &mut [u8]) -> Result<usize> {
    let len = readable(file.size(), at, out.len());
    let (mut rest, _) = out.split_at_mut(len);

    for piece in pieces(file.block_bits(), at, len) {
        let (here, behind) = rest.split_at_mut(piece.len);
        read_piece(file, piece, here)?;
        rest = behind;
    }
    Ok(len)
}

fn read_piece(file: &Ext2Inode, piece: Piece, out: &mut [u8]) -> Result {
    let mapping = Mapper.lookup(file, LogicalBlock(piece.block), BlockCount(1))?;
    match mapping.extent() {
        Extent::Mapped { start, .. } => {
            let buffer = file.super_block().bread(start.0)?;
            buffer.copy_to(piece.offset, out)
        }
        Extent::Hole => {
            out.fill(0);
            Ok(())
        }
    }
}

/// Writes from byte `at` on, as far as that goes.
pub(crate) fn write(file: &Ext2Inode, at: u64, bytes: &[u8]) -> Result<usize> {
    let mut rest = bytes;

    for piece in pieces(file.block_bits(), at, bytes.len()) {
        let (here, behind) = rest.split_at(piece.len);
        if let Err(error) = write_piece(file, piece, here) {
            return match bytes.len() - rest.len() {
                0 => Err(error),
                written => Ok(written),
            };
        }
        rest = behind;
    }
    Ok(bytes.len() - rest.len())
}

fn write_piece(file: &Ext2Inode, piece: Piece, bytes: &[u8]) -> Result {
    let sb = file.super_block();
    let mapping = Mapper.allocate(file, LogicalBlock(piece.block), BlockCount(1))?;
    let Extent::Mapped { start, .. } = mapping.extent() else {
        return Err(EIO);
    };
    let buffer: Buffer = if mapping.is_new() {
        sb.new_block(start.0)?
    } else {
        sb.bread(start.0)?
    };
    // No half of it is written.
    let locked = buffer.lock();
    locked.copy_from(piece.offset, bytes)?;
    drop(locked);
    sb.mark_dirty(&buffer);
    Ok(())
}

/// Notes what a file is used for. Unless it is in use, what is kept for who writes to it is given
/// up.
pub(crate) fn mark(file: HeldInode<'_, Ext2>, is: QuotaUse) {
    let data = file.data();
    let flags = match is {
        QuotaUse::On => data.flags() | IN_USE,
        QuotaUse::Suspended | QuotaUse::Off => data.flags() & !IN_USE,
    };
    data.set_flags(flags);
    file.set_flags(inode::vfs_flags(flags));
    if is != QuotaUse::On {
        let windows = &file.super_block().data().windows;
        data.lock_tree().give_up(windows);
    }
    if is == QuotaUse::Off {
        leave_to_pages(&file);
    }
}

/// The file has been written through its pages: that is what is read from now on, whatever there is
/// in memory of its blocks. The kernel only sees to pages of the device of which nobody has any
/// block.
pub(crate) fn prepare(file: &Ext2Inode) -> Result {
    file.write_and_wait()?;
    for_each_block(file, |block| file.super_block().forget_cached(block));
    Ok(())
}

/// The file is read and written through its pages from now on. All its blocks have been written;
/// one that could not be, which the filesystem has heard of, is tried once more, and then given up:
/// later it would be written over what somebody else has there.
fn leave_to_pages(file: &Ext2Inode) {
    let sb = file.super_block();

    for_each_block(file, |block| {
        if let Ok(buffer) = sb.bread(block) {
            if buffer.is_dirty() && sb.sync_buffer(&buffer).is_err() {
                buffer.forget();
            }
        }
    });
}

/// Calls `act` with each block of the device that a file has, as far as that can be found out, but
/// for those that the filesystem itself needs. Holes are passed over by their length; a file that
/// has more blocks than the filesystem has the same ones again.
fn for_each_block(file: &Ext2Inode, mut act: impl FnMut(u64)) {
    let end = file.size().div_ceil(1 << file.block_bits());
    let mut left = file.super_block().data().geometry.blocks_count();
    let mut at = 0;

    while at < end && left > 0 {
        let max = u32::try_from(end - at).unwrap_or(u32::MAX);
        let Ok(mapping) = Mapper.lookup(file, LogicalBlock(at), BlockCount(max)) else {
            return;
        };
        let len = mapping.len().0;
        if let Extent::Mapped { start, .. } = mapping.extent() {
            let first = u32::try_from(start.0).unwrap_or(0);
            left = left.saturating_sub(len);
            if inode::check_own(file, first, len).is_ok() {
                (start.0..).take(len as usize).for_each(&mut act);
            }
        }
        at += u64::from(len.max(1));
    }
}
