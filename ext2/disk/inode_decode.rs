// SPDX-License-Identifier: GPL-2.0

//! An inode as the disk has it, checked and in plain numbers.
//!
//! [`DiskInode::decode`] is the pure part of `ext2_iget()`: it refuses an inode that is deleted or
//! cannot be right, so that whoever makes a VFS inode of it only copies. Beyond C it refuses an
//! inode of no known type, and symbolic links whose length cannot be: C cuts these short.
//!
//! Left out: block pointers. They may be many, they are checked as they are followed, with
//! [`Geometry::check_data_blocks`].
//!
//! Locks: none, the caller holds a copy of the inode, or one that does not change.

use super::{
    dirent::FileType,
    geometry::Geometry,
    geometry_error::BadBlocks,
    structures::{
        Le32,
        RawInode,
        INODE_POINTERS, //
    },
};
use kernel::{
    fmt,
    prelude::*, //
};

/// Bytes in an inode's block pointers: the target of a fast symbolic link is shorter.
pub(crate) const FAST_SYMLINK_LIMIT: usize = size_of::<[Le32; INODE_POINTERS]>();

/// How the owner and group of an inode are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum IdWidth {
    /// In 16 bits, the mount option `nouid32`.
    Bits16,
    /// In 32 bits.
    Bits32,
}

/// The number of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DeviceNumber {
    /// Which driver, at most 12 bits.
    pub(crate) major: u32,
    /// Which of its devices, at most 20 bits.
    pub(crate) minor: u32,
}

impl DeviceNumber {
    /// From the block pointers of a device's inode: the first in the old form, 8 bits each, or the
    /// second in the new; `old_decode_dev()`, `new_decode_dev()`.
    pub(crate) fn decode(block: &[Le32; INODE_POINTERS]) -> Self {
        let [old, new, ..] = block;

        match old.get() {
            0 => {
                let new = new.get();
                Self {
                    major: (new >> 8) & 0xfff,
                    minor: (new & 0xff) | ((new >> 12) & 0xfff00),
                }
            }
            old => Self {
                major: (old >> 8) & 0xff,
                minor: old & 0xff,
            },
        }
    }

    /// The first two block pointers of an inode for the device, `ext2_write_inode()`.
    pub(crate) fn encode(self) -> (Le32, Le32) {
        if self.major < 256 && self.minor < 256 {
            (Le32::new(self.major << 8 | self.minor), Le32::new(0))
        } else {
            let new = (self.minor & 0xff) | (self.major << 8) | ((self.minor & !0xff) << 12);
            (Le32::new(0), Le32::new(new))
        }
    }
}

/// What an inode is, with what only an inode of that type has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InodeKind {
    /// A regular file, with its data in blocks.
    Regular,
    /// A directory, with its entries in blocks.
    Directory,
    /// A symbolic link whose target is in the inode, see [`DiskInode::fast_symlink_target`].
    FastSymlink,
    /// A symbolic link whose target is in its first block.
    SlowSymlink,
    /// A character device.
    CharacterDevice(DeviceNumber),
    /// A block device.
    BlockDevice(DeviceNumber),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// An inode in use; what of `struct ext2_inode_info` comes from disk.
///
/// # Invariants
///
/// `size` is at most `i64::MAX`; `file_acl` is 0 or a block that may hold data; if the inode is a
/// fast symbolic link, `size` is more than 0 and less than [`FAST_SYMLINK_LIMIT`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskInode {
    /// Type and permissions, `i_mode`.
    pub(crate) mode: u16,
    /// What the inode is.
    pub(crate) kind: InodeKind,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Links to the inode, at least 1.
    pub(crate) nlink: u16,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Access time in seconds.
    pub(crate) atime: i32,
    /// Change time in seconds.
    pub(crate) ctime: i32,
    /// Modification time in seconds.
    pub(crate) mtime: i32,
    /// Space used, indirect and attribute blocks included, in units of 512 bytes.
    pub(crate) sectors: u32,
    /// See [`inode_flags`](crate::disk::structures::inode_flags).
    pub(crate) flags: u32,
    /// Changes each time that the inode number is used anew.
    pub(crate) generation: u32,
    /// The block of extended attributes, 0 if there is none.
    pub(crate) file_acl: u32,
    /// Unused, kept to be written back; 0 for a regular file.
    pub(crate) dir_acl: u32,
    /// Unused, kept to be written back.
    pub(crate) faddr: u32,
    /// Unused, kept to be written back.
    pub(crate) frag: u8,
    /// Unused, kept to be written back.
    pub(crate) fsize: u8,
    /// Block pointers, not checked; of a fast symbolic link, the target; of a device, its number.
    pub(crate) block: [Le32; INODE_POINTERS],
}

impl DiskInode {
    /// Checks `raw`, an inode of the filesystem with this geometry.
    pub(crate) fn decode(
        raw: &RawInode,
        geometry: &Geometry,
        ids: IdWidth,
    ) -> Result<Self, InodeError> {
        let mode = raw.mode.get();
        let nlink = raw.links_count.get();
        if nlink == 0 {
            // The test of e2fsck. NFS comes here, with handles of files that are gone.
            return Err(if mode == 0 || raw.dtime.get() != 0 {
                InodeError::Deleted
            } else {
                InodeError::NoLinks { mode }
            });
        }
        let file_type = FileType::from_mode(mode).ok_or(InodeError::UnknownType { mode })?;

        let file_acl = raw.file_acl.get();
        if file_acl != 0 {
            geometry
                .check_data_blocks(file_acl, 1)
                .map_err(InodeError::AttributeBlock)?;
        }

        let mut size = u64::from(raw.size_low.get());
        let mut dir_acl = 0;
        if file_type == FileType::Regular {
            size |= u64::from(raw.size_high.get()) << 32;
        } else {
            dir_acl = raw.size_high.get();
        }
        if i64::try_from(size).is_err() {
            return Err(InodeError::Size { size });
        }

        let id = |low: u16, high: u16| match ids {
            IdWidth::Bits16 => low.into(),
            IdWidth::Bits32 => u32::from(low) | u32::from(high) << 16,
        };
        // INVARIANT: The size and the attribute block were checked above, `kind()` checks symbolic
        // links.
        Ok(Self {
            mode,
            kind: kind(raw, file_type, size, geometry)?,
            uid: id(raw.uid_low.get(), raw.uid_high.get()),
            gid: id(raw.gid_low.get(), raw.gid_high.get()),
            nlink,
            size,
            atime: raw.atime.get() as i32,
            ctime: raw.ctime.get() as i32,
            mtime: raw.mtime.get() as i32,
            sectors: raw.blocks.get(),
            flags: raw.flags.get(),
            generation: raw.generation.get(),
            file_acl,
            dir_acl,
            faddr: raw.faddr.get(),
            frag: raw.frag,
            fsize: raw.fsize,
            block: raw.block,
        })
    }

    /// The target of a fast symbolic link, without a NUL; `None` if the inode is another.
    pub(crate) fn fast_symlink_target(&self) -> Option<&[u8]> {
        if self.kind != InodeKind::FastSymlink {
            return None;
        }
        self.block
            .as_bytes()
            .get(..usize::try_from(self.size).ok()?)
    }
}

/// Finds what an inode of type `file_type` is; where the target of a symbolic link is, and whether
/// it can be there.
fn kind(
    raw: &RawInode,
    file_type: FileType,
    size: u64,
    geometry: &Geometry,
) -> Result<InodeKind, InodeError> {
    Ok(match file_type {
        FileType::Regular => InodeKind::Regular,
        FileType::Directory => InodeKind::Directory,
        FileType::CharacterDevice => InodeKind::CharacterDevice(DeviceNumber::decode(&raw.block)),
        FileType::BlockDevice => InodeKind::BlockDevice(DeviceNumber::decode(&raw.block)),
        FileType::Fifo => InodeKind::Fifo,
        FileType::Socket => InodeKind::Socket,
        FileType::Symlink if is_fast_symlink(raw, geometry) => {
            let target = usize::try_from(size)
                .ok()
                .filter(|len| (1..FAST_SYMLINK_LIMIT).contains(len))
                .and_then(|len| raw.block.as_bytes().get(..len));

            match target {
                Some(target) if !target.contains(&0) => InodeKind::FastSymlink,
                _ => return Err(InodeError::SymlinkLength { size }),
            }
        }
        // With its NUL, the target fits in a block.
        FileType::Symlink if size == 0 || size >= u64::from(geometry.block_size().bytes()) => {
            return Err(InodeError::SymlinkLength { size });
        }
        FileType::Symlink => InodeKind::SlowSymlink,
    })
}

/// Whether a symbolic link has no block but that of its attributes,
/// `ext2_inode_is_fast_symlink()`.
fn is_fast_symlink(raw: &RawInode, geometry: &Geometry) -> bool {
    let attributes = match raw.file_acl.get() {
        0 => 0,
        _ => geometry.block_size().sectors(),
    };

    raw.blocks.get() == attributes
}

/// Why an inode cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum InodeError {
    /// It was deleted, or never used; only a stale handle or a corrupt directory leads to it.
    Deleted,
    /// It has no links, but was not deleted either.
    NoLinks {
        /// `i_mode`.
        mode: u16,
    },
    /// It is nothing that exists.
    UnknownType {
        /// `i_mode`.
        mode: u16,
    },
    /// Its attributes are where they cannot be.
    AttributeBlock(BadBlocks),
    /// It is larger than any file.
    Size {
        /// Size in bytes.
        size: u64,
    },
    /// The target of a symbolic link is empty or too long, or has a NUL in it.
    SymlinkLength {
        /// `i_size`.
        size: u64,
    },
}

impl InodeError {
    /// `ESTALE` for a deleted inode, else `EUCLEAN`; as `ext2_iget()`.
    pub(crate) fn errno(&self) -> Error {
        match self {
            Self::Deleted => ESTALE,
            _ => EUCLEAN,
        }
    }
}

impl fmt::Display for InodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleted => write!(f, "is deleted"),
            Self::NoLinks { mode } => write!(
                f,
                "has no links, but mode {mode:#o} and no time of deletion"
            ),
            Self::UnknownType { mode } => write!(f, "has a mode of no known type: {mode:#o}"),
            Self::AttributeBlock(bad) => {
                write!(f, "has a bad block of extended attributes: ")?;
                fmt::Display::fmt(bad, f)
            }
            Self::Size { size } => write!(f, "has an impossible size: {size} bytes"),
            Self::SymlinkLength { size } => {
                write!(f, "is a symbolic link with a bad target of {size} bytes")
            }
        }
    }
}
