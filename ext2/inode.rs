// SPDX-License-Identifier: GPL-2.0

//! Reading inodes.
//!
//! Left out: everything that writes; attributes.

#![deny(unsafe_code)]

use crate::{
    dir::Directory,
    dirent::FileType,
    disk::{
        inode_flags,
        RawInode,
        INODE_POINTERS, //
    },
    file::{
        File,
        PageCache, //
    },
    report,
    super_block::{
        self,
        Ext2, //
    },
};
use kernel::{
    fmt,
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
    Attributes,
    DeviceNumber,
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

/// The longest target of a symbolic link that is kept in the inode, in bytes.
const FAST_SYMLINK_MAX: usize = INODE_POINTERS * size_of::<u32>() - 1;

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
    fn new(raw: &RawInode) -> impl Init<Self, Error> + '_ {
        try_init!(Self {
            pointers: core::array::from_fn(|i| {
                Atomic::new(raw.block.get(i).map_or(0, |pointer| pointer.get()))
            }),
            flags: Atomic::new(raw.flags.get()),
            lookup_hint: Atomic::new(0),
        }? Error)
    }

    /// Pointer number `index`, or `None` beyond the last.
    #[inline(always)]
    pub(crate) fn pointer(&self, index: u32) -> Option<u32> {
        Some(self.pointers.get(index as usize)?.load(Relaxed))
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
/// Fails with `ESTALE` if the inode has been deleted, with `EINVAL` if there cannot be such an
/// inode, with `EUCLEAN` if it is corrupt and with `EIO` if it cannot be read.
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
    let raw = read(sb, ino)?;
    let corrupt = |what: fmt::Arguments<'_>| {
        report::corrupt(sb, fmt!("inode {ino}: {what}"));
        EUCLEAN
    };

    // As e2fsck tells deleted inodes. NFS asks for them.
    if raw.links_count.get() == 0 {
        if raw.mode.get() == 0 || raw.dtime.get() != 0 {
            return Err(ESTALE);
        }
        return Err(corrupt(fmt!(
            "no links, but mode {:#o} and no deletion time",
            raw.mode.get()
        )));
    }
    let Some(file_type) = FileType::from_mode(raw.mode.get()) else {
        return Err(corrupt(fmt!("unknown type in mode {:#o}", raw.mode.get())));
    };
    let acl = raw.file_acl.get();
    if acl != 0 {
        if let Err(error) = sb.data().geometry.check_data_blocks(acl, 1) {
            return Err(corrupt(fmt!("attribute block: {error}")));
        }
    }
    let attributes = attributes(sb, &raw, file_type);
    if attributes.size > i64::MAX as u64 {
        return Err(corrupt(fmt!("size {}", attributes.size)));
    }

    let operations = match file_type {
        FileType::Regular => Operations::regular::<File, PageCache>(),
        FileType::Directory => Operations::directory::<Directory, PageCache>(),
        FileType::Symlink if is_fast_symlink(sb, &raw) => {
            let mut bytes = [0; FAST_SYMLINK_MAX + 1];
            for (to, from) in bytes.chunks_exact_mut(size_of::<u32>()).zip(&raw.block) {
                to.copy_from_slice(&from.to_bytes());
            }
            let len = usize::try_from(attributes.size).unwrap_or(usize::MAX);
            let Some(target) = bytes.get(..len).filter(|_| len <= FAST_SYMLINK_MAX) else {
                return Err(corrupt(fmt!("symbolic link of {len} bytes without blocks")));
            };
            Operations::fast_symlink::<File>(LinkTarget::new(target)?)
        }
        FileType::Symlink => Operations::symlink::<File, PageCache>(),
        _ => Operations::special::<File>(device(&raw)),
    };
    inode.init(&attributes, operations, InodeData::new(&raw))
}

fn attributes(sb: &SuperBlock<Ext2>, raw: &RawInode, file_type: FileType) -> Attributes {
    let high = |bits: u16| {
        if sb.data().options().no_uid32 {
            0
        } else {
            u32::from(bits) << 16
        }
    };
    let size_high = match file_type {
        FileType::Regular => raw.size_high.get(),
        // Other types have something else there.
        _ => 0,
    };
    let time = |time: u32| i64::from(time as i32);

    Attributes {
        mode: raw.mode.get(),
        uid: u32::from(raw.uid_low.get()) | high(raw.uid_high.get()),
        gid: u32::from(raw.gid_low.get()) | high(raw.gid_high.get()),
        links: raw.links_count.get().into(),
        size: u64::from(raw.size_low.get()) | u64::from(size_high) << 32,
        blocks: raw.blocks.get().into(),
        atime: time(raw.atime.get()),
        mtime: time(raw.mtime.get()),
        ctime: time(raw.ctime.get()),
        generation: raw.generation.get(),
        flags: flags(raw.flags.get()),
    }
}

/// The flags that the VFS heeds. C: `ext2_set_inode_flags()`.
fn flags(flags: u32) -> InodeFlags {
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

/// Whether the target of a symbolic link is in the inode: it has no blocks but for attributes.
/// C: `ext2_inode_is_fast_symlink()`.
fn is_fast_symlink(sb: &SuperBlock<Ext2>, raw: &RawInode) -> bool {
    let attributes = if raw.file_acl.get() != 0 {
        sb.data().geometry.block_size().sectors()
    } else {
        0
    };
    raw.blocks.get() == attributes
}

/// The device that a special file stands for: in the old encoding, in the first pointer, or in the
/// new one, in the second. C: `old_decode_dev()`, `new_decode_dev()`.
fn device(raw: &RawInode) -> DeviceNumber {
    match &raw.block {
        [old, new, ..] if old.get() == 0 => {
            let number = new.get();
            DeviceNumber::new(
                (number >> 8) & 0xfff,
                (number & 0xff) | ((number >> 12) & 0xfff00),
            )
        }
        [old, ..] => {
            let number = old.get();
            DeviceNumber::new((number >> 8) & 0xff, number & 0xff)
        }
    }
}
