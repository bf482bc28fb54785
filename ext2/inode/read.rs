// SPDX-License-Identifier: GPL-2.0

//! Reading inodes, and what can be asked of every inode.
//!
//! Left out: what is kept of them in memory, which is [`InodeData`]; writing, which is
//! [`write`](crate::inode::write); extended attributes.

#![deny(unsafe_code)]

use super::{
    attributes::{
        self,
        Known, //
    },
    data::{
        InodeData, //
    },
    kinds::{
        Directory,
        DirectoryPages,
        File,
        LinkPages,
        PageCache, //
    },
    place::{
        read_block,
        InTable, //
    },
};
use crate::{
    disk::{
        geometry::InodeLocation,
        inode_decode::{
            DeviceNumber,
            DiskInode,
            IdWidth,
            InodeError,
            InodeKind, //
        },
        inode_encode,
        inode_flags,
        mode,
        RawInode, //
    },
    mount::{
        options::Flag,
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::{
    self,
    Attributes,
    Iget,
    InodeFlags,
    InodeRef,
    LinkTarget,
    NewInode,
    Operations,
    SuperBlock, //
};

use zerocopy::FromZeros;

/// Gets inode number `ino`. C: `ext2_iget()`.
///
/// Fails with `ESTALE` if the inode has been deleted, with `EUCLEAN` if there cannot be such an
/// inode or it is corrupt, and with `EIO` if it cannot be read.
pub(crate) fn get(sb: &SuperBlock<Ext2>, ino: u32) -> Result<InodeRef<'_, Ext2>> {
    match sb.iget(ino.into())? {
        Iget::Cached(inode) => Ok(inode),
        Iget::New(inode) => fill(sb, inode, ino),
    }
}

/// Reads inode number `ino` from disk, and looks at its attributes. The inode has the links that it
/// should have; the image has so many more as is said.
fn read(sb: &SuperBlock<Ext2>, ino: u32) -> Result<(RawInode, Known, u32)> {
    let InTable { buffer, offset, .. } = read_block(sb, ino)?;
    let mut raw = RawInode::new_zeroed();
    let kept = sb.data().order.removals.reading(ino, |kept| {
        buffer
            .copy_to(offset as usize, raw.as_mut_bytes())
            .map(|()| kept)
    })?;
    let links = inode_encode::without_links(&raw, kept);
    raw.links_count.set(links);
    let size = sb.data().geometry.inode_size();
    let known = attributes::look(&buffer, offset, size)?;
    Ok((raw, known, kept))
}

/// Fills a new inode; giving it up is what happens on failure.
fn fill<'m>(
    sb: &SuperBlock<Ext2>,
    inode: NewInode<'m, Ext2>,
    ino: u32,
) -> Result<InodeRef<'m, Ext2>> {
    let data = sb.data();
    let ids = if data.options().has(Flag::NoUid32) {
        IdWidth::Bits16
    } else {
        IdWidth::Bits32
    };
    let (raw, known, kept) = read(sb, ino)?;
    let disk = DiskInode::decode(&raw, &data.geometry, ids).map_err(|error| match error {
        // NFS asks for them. Who has found it in a directory reports it.
        InodeError::Deleted => error.errno(),
        _ => {
            report::corrupt(sb, fmt!("inode {ino} {error}"));
            error.errno()
        }
    })?;
    let owners = &data.order.owners;
    if disk.file_acl != 0 && !owners.is_empty() {
        owners.lock().come_back(disk.file_acl, ino);
    }
    let attributes = vfs_attributes(&disk, known);
    let changed = !data.order.removals.is_empty();
    inode.init(
        &attributes,
        operations(&disk)?,
        InodeData::of(&disk, known, kept, changed),
    )
}

/// The blocks that are needed to free an inode and its blocks, as the inode table has it, for who
/// reads ahead: arrays of pointers, and the bitmaps of its first block and of itself; 0 is none.
/// None if that part of the inode table is not in memory, or not yet.
pub(crate) fn needed_to_free(sb: &SuperBlock<Ext2>, ino: u32) -> Option<[u32; 5]> {
    let data = sb.data();
    let geometry = &data.geometry;
    let Ok(location) = geometry.inode_location(ino) else {
        return Some([0; 5]);
    };
    let raw = in_memory(sb, &location)?;
    let [first, .., single, double, triple] = raw.block.map(|block| {
        let block = block.get();
        match geometry.check_data_blocks(block, 1) {
            Ok(()) => block,
            Err(_) => 0,
        }
    });
    let inodes = data.groups.layout(location.group);
    let inodes = inodes.map_or(0, |group| group.inode_bitmap());
    let blocks = match first {
        0 => None,
        _ => geometry.group_of_block(first),
    };
    let blocks = blocks.and_then(|group| data.groups.layout(group));
    let blocks = blocks.map_or(0, |group| group.block_bitmap());

    Some(match raw.mode.get() & mode::TYPE_MASK {
        mode::REGULAR => [single, double, triple, blocks, inodes],
        mode::DIRECTORY => [0, 0, 0, blocks, inodes],
        _ => [0, 0, 0, 0, inodes],
    })
}

/// Whether the inode table has a directory there that can be read, for who reads ahead. None if
/// that part of it is not in memory.
pub(crate) fn is_directory_in_memory(sb: &SuperBlock<Ext2>, ino: u32) -> Option<bool> {
    let geometry = &sb.data().geometry;
    let Ok(location) = geometry.inode_location(ino) else {
        return Some(false);
    };
    let raw = in_memory(sb, &location)?;

    Some(
        DiskInode::decode(&raw, geometry, IdWidth::Bits32)
            .is_ok_and(|disk| matches!(disk.kind, InodeKind::Directory)),
    )
}

/// The image of an inode, if that part of the inode table is in memory.
fn in_memory(sb: &SuperBlock<Ext2>, location: &InodeLocation) -> Option<RawInode> {
    let block = sb.data().inode_table_block(location)?.into();
    // Who is about to have it need not be waited for.
    let buffer = sb.is_cached(block).then(|| sb.cached(block))??;
    let mut raw = RawInode::new_zeroed();

    buffer
        .copy_to(location.offset as usize, raw.as_mut_bytes())
        .ok()?;
    Some(raw)
}

fn operations(disk: &DiskInode) -> Result<Operations<Ext2>> {
    let device =
        |number: DeviceNumber| fs::DeviceNumber::new(number.major, number.minor).ok_or(EUCLEAN);

    Ok(match disk.kind {
        InodeKind::Regular => Operations::writable_regular::<File, PageCache>(),
        InodeKind::Directory => Operations::writable_directory::<Directory, DirectoryPages>(),
        InodeKind::SlowSymlink => Operations::writable_symlink::<File, LinkPages>(),
        InodeKind::FastSymlink => {
            let target = disk.fast_symlink_target().ok_or(EUCLEAN)?;
            Operations::writable_fast_symlink::<File>(LinkTarget::new(target)?)
        }
        InodeKind::CharacterDevice(number) | InodeKind::BlockDevice(number) => {
            Operations::writable_special::<File>(device(number)?)
        }
        InodeKind::Fifo | InodeKind::Socket => {
            Operations::writable_special::<File>(fs::DeviceNumber::NONE)
        }
    })
}

fn vfs_attributes(disk: &DiskInode, known: Known) -> Attributes {
    Attributes {
        mode: attributes::mode_of(disk.mode, known).effective,
        uid: disk.uid,
        gid: disk.gid,
        links: disk.nlink.into(),
        size: disk.size,
        blocks: disk.sectors.into(),
        atime: disk.atime.into(),
        mtime: disk.mtime.into(),
        ctime: disk.ctime.into(),
        generation: disk.generation,
        flags: vfs_flags(disk.flags),
    }
}

/// The flags that the VFS heeds. C: `ext2_set_inode_flags()`.
pub(crate) fn vfs_flags(flags: u32) -> InodeFlags {
    [
        (inode_flags::SYNC, InodeFlags::SYNC),
        (inode_flags::APPEND, InodeFlags::APPEND),
        (inode_flags::IMMUTABLE, InodeFlags::IMMUTABLE),
        (inode_flags::NO_ATIME, InodeFlags::NO_ATIME),
        (inode_flags::DIR_SYNC, InodeFlags::DIR_SYNC),
    ]
    .into_iter()
    .filter(|(flag, _)| flags & flag != 0)
    .fold(InodeFlags::default(), |all, (_, set)| all.with(set))
}
