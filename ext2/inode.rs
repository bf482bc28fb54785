// SPDX-License-Identifier: GPL-2.0

//! Reading inodes.
//!
//! Left out: everything that writes; attributes.

#![deny(unsafe_code)]

use crate::{
    dir::Directory,
    disk::{
        inode_flags,
        RawInode,
        INODE_POINTERS, //
    },
    file::{
        File,
        PageCache, //
    },
    inode_disk::{
        DeviceNumber,
        DiskInode,
        IdWidth,
        InodeError,
        InodeKind, //
    },
    report,
    super_block::{
        self,
        Ext2, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
    },
};
use rust_mpage_core::abstractions::fs::{
    self,
    Attributes,
    FsInode,
    Iget,
    InodeFlags,
    LinkTarget,
    NewInode,
    Operations,
    StatAttributes,
    SuperBlock, //
};

/// An inode of an ext2 filesystem.
pub(crate) type Ext2Inode = FsInode<Ext2>;

/// What is kept for each inode; `struct ext2_inode_info`.
pub(crate) struct InodeData {
    /// The pointers to blocks. Read without a lock, as in C: a pointer changes in one piece, and
    /// whoever follows it and may race with truncation looks again afterwards.
    pointers: [Atomic<u32>; INODE_POINTERS],
    /// The flags, `EXT2_*_FL`.
    flags: Atomic<u32>,
    /// The page of a directory in which the last lookup found its name.
    pub(crate) lookup_hint: Atomic<u32>,
}

impl InodeData {
    fn new(disk: &DiskInode) -> impl Init<Self, Error> + '_ {
        try_init!(Self {
            pointers: core::array::from_fn(|i| {
                Atomic::new(disk.block.get(i).map_or(0, |pointer| pointer.get()))
            }),
            flags: Atomic::new(disk.flags),
            lookup_hint: Atomic::new(0),
        }? Error)
    }

    /// Pointer number `index`, or `None` beyond the last.
    #[inline(always)]
    pub(crate) fn pointer(&self, index: u32) -> Option<u32> {
        Some(self.pointers.get(index as usize)?.load(Relaxed))
    }

    /// The flags, `EXT2_*_FL`.
    pub(crate) fn flags(&self) -> u32 {
        self.flags.load(Relaxed)
    }

    /// The flags that `statx(2)` shows.
    pub(crate) fn stat_attributes(&self) -> StatAttributes {
        let flags = self.flags.load(Relaxed);
        [
            (inode_flags::APPEND, StatAttributes::APPEND),
            (inode_flags::COMPRESS, StatAttributes::COMPRESSED),
            (inode_flags::IMMUTABLE, StatAttributes::IMMUTABLE),
            (inode_flags::NO_DUMP, StatAttributes::NO_DUMP),
        ]
        .into_iter()
        .filter(|(flag, _)| flags & flag != 0)
        .fold(StatAttributes::NONE, |all, (_, shown)| all.with(shown))
    }
}

/// Gets inode number `ino`. C: `ext2_iget()`.
///
/// Fails with `ESTALE` if the inode has been deleted, with `EUCLEAN` if there cannot be such an
/// inode or it is corrupt, and with `EIO` if it cannot be read.
pub(crate) fn get(sb: &SuperBlock<Ext2>, ino: u32) -> Result<ARef<Ext2Inode>> {
    match sb.iget(ino.into())? {
        Iget::Cached(inode) => Ok(inode),
        Iget::New(inode) => fill(sb, inode, ino),
    }
}

/// Reads inode number `ino` from disk.
fn read(sb: &SuperBlock<Ext2>, ino: u32) -> Result<RawInode> {
    let data = sb.data();
    let location = data.geometry.inode_location(ino).map_err(|error| {
        report::corrupt(sb, fmt!("{error}"));
        error.errno()
    })?;
    let block = data.inode_table_block(&location).ok_or(EUCLEAN)?;
    super_block::read(sb, block.into(), location.offset).inspect_err(|_| {
        report::corrupt(sb, fmt!("cannot read inode {ino} in block {block}"));
    })
}

/// Fills a new inode; giving it up is what happens on failure.
fn fill(sb: &SuperBlock<Ext2>, inode: NewInode<Ext2>, ino: u32) -> Result<ARef<Ext2Inode>> {
    let data = sb.data();
    let ids = if data.options().no_uid32 {
        IdWidth::Bits16
    } else {
        IdWidth::Bits32
    };
    let disk =
        DiskInode::decode(&read(sb, ino)?, &data.geometry, ids).map_err(|error| match error {
            // NFS asks for them. Who has found it in a directory reports it.
            InodeError::Deleted => error.errno(),
            _ => {
                report::corrupt(sb, fmt!("inode {ino} {error}"));
                error.errno()
            }
        })?;
    inode.init(
        &attributes(&disk),
        operations(&disk)?,
        InodeData::new(&disk),
    )
}

fn operations(disk: &DiskInode) -> Result<Operations<Ext2>> {
    let device = |number: DeviceNumber| fs::DeviceNumber::new(number.major, number.minor);

    Ok(match disk.kind {
        InodeKind::Regular => Operations::regular::<File, PageCache>(),
        InodeKind::Directory => Operations::directory::<Directory, PageCache>(),
        InodeKind::SlowSymlink => Operations::symlink::<File, PageCache>(),
        InodeKind::FastSymlink => {
            let target = disk.fast_symlink_target().ok_or(EUCLEAN)?;
            Operations::fast_symlink::<File>(LinkTarget::new(target)?)
        }
        InodeKind::CharacterDevice(number) | InodeKind::BlockDevice(number) => {
            Operations::special::<File>(device(number))
        }
        InodeKind::Fifo | InodeKind::Socket => {
            Operations::special::<File>(fs::DeviceNumber::new(0, 0))
        }
    })
}

fn attributes(disk: &DiskInode) -> Attributes {
    Attributes {
        mode: disk.mode,
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
