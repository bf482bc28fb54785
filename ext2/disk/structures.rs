// SPDX-License-Identifier: GPL-2.0

//! What an ext2 filesystem looks like on disk: structures, constants, nothing else.
//!
//! Every multi-byte field is a little-endian type, so that forgetting a conversion is a type error
//! and so that every structure has alignment 1 and no padding: any byte slice that is long enough
//! can be viewed as one, and any value can be written back as bytes. Viewing bytes as a structure
//! says nothing about what they mean; validation is in [`geometry`](crate::disk::geometry),
//! [`inode_decode`](crate::disk::inode_decode) and [`dirent`](crate::disk::dirent).
//!
//! Field names are those of `fs/ext2/ext2.h` without their prefixes (`s_`, `bg_`, `i_`).
//!
//! Left out: blocks of extended attributes, see [`attribute_block`](crate::disk::attribute_block).

use kernel::prelude::*;
use zerocopy_derive::{
    Immutable,
    KnownLayout,
    Unaligned, //
};

/// A little-endian `u16` on disk, `__le16`.
pub(crate) type Le16 = zerocopy::little_endian::U16;

/// A little-endian `u32` on disk, `__le32`.
pub(crate) type Le32 = zerocopy::little_endian::U32;

/// `s_magic` of every ext2 filesystem, `EXT2_SUPER_MAGIC`.
pub(crate) const SUPER_MAGIC: u16 = 0xef53;

/// Where the primary superblock starts, in bytes from the start of the device.
pub(crate) const SUPER_OFFSET: u64 = 1024;

/// The unit of the `sb=` mount option, in bytes; `BLOCK_SIZE` in C.
pub(crate) const SUPER_UNIT: u64 = 1024;

/// The longest file name, in bytes, `EXT2_NAME_LEN`.
pub(crate) const NAME_LEN: usize = 255;

/// The most links that a file can have, `EXT2_LINK_MAX`.
pub(crate) const LINK_MAX: u32 = 32000;

/// Revision levels, `s_rev_level`.
pub(crate) mod revision {
    /// Fixed inode size and first inode, no feature flags; `EXT2_GOOD_OLD_REV`.
    pub(crate) const GOOD_OLD: u32 = 0;
    /// Inode size, first inode and features are in the superblock; `EXT2_DYNAMIC_REV`.
    pub(crate) const DYNAMIC: u32 = 1;
    /// The newest revision that may be written to, `EXT2_MAX_SUPP_REV`.
    pub(crate) const MAX_SUPPORTED: u32 = DYNAMIC;
    /// Size of an inode in bytes in revision 0, `EXT2_GOOD_OLD_INODE_SIZE`.
    pub(crate) const GOOD_OLD_INODE_SIZE: u32 = 128;
    /// First inode that is not reserved in revision 0, `EXT2_GOOD_OLD_FIRST_INO`.
    pub(crate) const GOOD_OLD_FIRST_INO: u32 = 11;
}

/// Special inode numbers.
pub(crate) mod ino {
    /// The root directory, `EXT2_ROOT_INO`.
    pub(crate) const ROOT: u32 = 2;
}

/// `s_state`.
pub(crate) mod state {
    /// Unmounted cleanly, `EXT2_VALID_FS`.
    pub(crate) const VALID: u16 = 0x0001;
    /// Errors were detected, `EXT2_ERROR_FS`.
    pub(crate) const ERROR: u16 = 0x0002;
}

/// `s_errors`: what to do when the filesystem turns out to be corrupt.
pub(crate) mod errors {
    /// `EXT2_ERRORS_CONTINUE`.
    pub(crate) const CONTINUE: u16 = 1;
    /// `EXT2_ERRORS_PANIC`.
    pub(crate) const PANIC: u16 = 3;
}

/// `s_default_mount_opts`, the mount options used where the user gave none.
pub(crate) mod default_mount_opts {
    /// `EXT2_DEFM_DEBUG`.
    pub(crate) const DEBUG: u32 = 0x0001;
    /// `EXT2_DEFM_BSDGROUPS`, the option `grpid`.
    pub(crate) const BSD_GROUPS: u32 = 0x0002;
    /// `EXT2_DEFM_XATTR_USER`.
    pub(crate) const XATTR_USER: u32 = 0x0004;
    /// `EXT2_DEFM_ACL`.
    pub(crate) const ACL: u32 = 0x0008;
    /// `EXT2_DEFM_UID16`, the option `nouid32`.
    pub(crate) const UID16: u32 = 0x0010;
}

/// `s_max_mnt_count` written where a filesystem has 0, `EXT2_DFL_MAX_MNT_COUNT`.
pub(crate) const DEFAULT_MAX_MNT_COUNT: u16 = 20;

/// `s_feature_compat`: a driver that does not know these may still write.
pub(crate) mod compat {
    /// `EXT3_FEATURE_COMPAT_HAS_JOURNAL`.
    pub(crate) const HAS_JOURNAL: u32 = 0x0004;
    /// `EXT2_FEATURE_COMPAT_EXT_ATTR`.
    pub(crate) const EXT_ATTR: u32 = 0x0008;
    /// `EXT4_FEATURE_COMPAT_SPARSE_SUPER2`, which C ext2 does not know.
    pub(crate) const SPARSE_SUPER2: u32 = 0x0200;
}

/// `s_feature_ro_compat`: a driver that does not know these must not write.
pub(crate) mod ro_compat {
    /// `EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER`.
    pub(crate) const SPARSE_SUPER: u32 = 0x0001;
    /// `EXT2_FEATURE_RO_COMPAT_LARGE_FILE`.
    pub(crate) const LARGE_FILE: u32 = 0x0002;
    /// `EXT2_FEATURE_RO_COMPAT_BTREE_DIR`.
    pub(crate) const BTREE_DIR: u32 = 0x0004;
    /// What this driver can write, `EXT2_FEATURE_RO_COMPAT_SUPP`.
    pub(crate) const SUPPORTED: u32 = SPARSE_SUPER | LARGE_FILE | BTREE_DIR;
}

/// `s_feature_incompat`: a driver that does not know these must not mount.
pub(crate) mod incompat {
    /// `EXT2_FEATURE_INCOMPAT_FILETYPE`.
    pub(crate) const FILETYPE: u32 = 0x0002;
    /// `EXT2_FEATURE_INCOMPAT_META_BG`.
    pub(crate) const META_BG: u32 = 0x0010;
    /// What this driver can read, `EXT2_FEATURE_INCOMPAT_SUPP`.
    pub(crate) const SUPPORTED: u32 = FILETYPE | META_BG;
}

/// The type and permission bits of `i_mode`, `include/uapi/linux/stat.h`.
pub(crate) mod mode {
    /// The bits that hold the type.
    pub(crate) const TYPE_MASK: u16 = 0o170000;
    /// `S_IFIFO`.
    pub(crate) const FIFO: u16 = 0o010000;
    /// `S_IFCHR`.
    pub(crate) const CHARACTER: u16 = 0o020000;
    /// `S_IFDIR`.
    pub(crate) const DIRECTORY: u16 = 0o040000;
    /// `S_IFBLK`.
    pub(crate) const BLOCK: u16 = 0o060000;
    /// `S_IFREG`.
    pub(crate) const REGULAR: u16 = 0o100000;
    /// `S_IFLNK`.
    pub(crate) const SYMLINK: u16 = 0o120000;
    /// `S_IFSOCK`.
    pub(crate) const SOCKET: u16 = 0o140000;
}

/// `i_flags`, the `EXT2_*_FL` of `ext2.h`.
pub(crate) mod inode_flags {
    /// Overwrite the blocks of a deleted file, `EXT2_SECRM_FL`; not honoured.
    pub(crate) const SECURE_REMOVE: u32 = 0x0000_0001;
    /// Keep the contents of a deleted file, `EXT2_UNRM_FL`; not honoured.
    pub(crate) const UNDELETE: u32 = 0x0000_0002;
    /// Compress, `EXT2_COMPR_FL`; not honoured.
    pub(crate) const COMPRESS: u32 = 0x0000_0004;
    /// Synchronous updates, `EXT2_SYNC_FL`.
    pub(crate) const SYNC: u32 = 0x0000_0008;
    /// Immutable, `EXT2_IMMUTABLE_FL`.
    pub(crate) const IMMUTABLE: u32 = 0x0000_0010;
    /// Writes may only append, `EXT2_APPEND_FL`.
    pub(crate) const APPEND: u32 = 0x0000_0020;
    /// Do not dump, `EXT2_NODUMP_FL`.
    pub(crate) const NO_DUMP: u32 = 0x0000_0040;
    /// Do not update the access time, `EXT2_NOATIME_FL`.
    pub(crate) const NO_ATIME: u32 = 0x0000_0080;
    /// Has compressed clusters, `EXT2_COMPRBLK_FL`; not honoured.
    pub(crate) const COMPRESSED_BLOCKS: u32 = 0x0000_0200;
    /// Do not compress, `EXT2_NOCOMP_FL`; not honoured.
    pub(crate) const NO_COMPRESS: u32 = 0x0000_0400;
    /// A directory with a hash index, `EXT2_INDEX_FL`; ignored, the linear form is kept in step.
    pub(crate) const INDEX: u32 = 0x0000_1000;
    /// Reserved for ext3, `EXT2_JOURNAL_DATA_FL`.
    pub(crate) const JOURNAL_DATA: u32 = 0x0000_4000;
    /// Do not merge the tail of the file, `EXT2_NOTAIL_FL`.
    pub(crate) const NO_TAIL: u32 = 0x0000_8000;
    /// Synchronous directory updates, `EXT2_DIRSYNC_FL`.
    pub(crate) const DIR_SYNC: u32 = 0x0001_0000;
    /// The top of a directory hierarchy, for the Orlov allocator; `EXT2_TOPDIR_FL`.
    pub(crate) const TOP_DIR: u32 = 0x0002_0000;

    /// What a new inode takes over from its directory, `EXT2_FL_INHERITED`.
    pub(crate) const INHERITED: u32 = SECURE_REMOVE
        | UNDELETE
        | COMPRESS
        | SYNC
        | NO_DUMP
        | NO_ATIME
        | COMPRESSED_BLOCKS
        | NO_COMPRESS
        | JOURNAL_DATA
        | NO_TAIL
        | DIR_SYNC;
    /// What a new regular file may have of it, `EXT2_REG_FLMASK`.
    pub(crate) const REGULAR_MASK: u32 = !(DIR_SYNC | TOP_DIR);
    /// What a new inode that is neither file nor directory may have, `EXT2_OTHER_FLMASK`.
    pub(crate) const OTHER_MASK: u32 = NO_DUMP | NO_ATIME;
}

/// How many of an inode's block pointers point to data, `EXT2_NDIR_BLOCKS`.
pub(crate) const DIRECT_BLOCKS: usize = 12;

/// Which of an inode's block pointers points to an indirect block, `EXT2_IND_BLOCK`.
pub(crate) const INDIRECT: usize = 12;

/// How many block pointers an inode holds, `EXT2_N_BLOCKS`.
pub(crate) const INODE_POINTERS: usize = 15;

/// The number of the pointer to the block of attributes, where the others have numbers: it comes
/// after them.
pub(crate) const ATTRIBUTES_ROOT: u32 = INODE_POINTERS as u32;

/// And for the size of a directory, which is not to be on the disk before the last pointers are.
pub(crate) const SIZE_ROOT: u32 = ATTRIBUTES_ROOT + 1;

/// The superblock: 1024 bytes, `struct ext2_super_block`.
///
/// Revision 0 ends after `def_resgid`; what follows is then not to be used.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SuperBlock {
    /// Inodes in the filesystem.
    pub(crate) inodes_count: Le32,
    /// Blocks in the filesystem, those before `first_data_block` included.
    pub(crate) blocks_count: Le32,
    /// Blocks that only `def_resuid` and `def_resgid` may allocate.
    pub(crate) r_blocks_count: Le32,
    /// Free blocks when last written.
    pub(crate) free_blocks_count: Le32,
    /// Free inodes when last written.
    pub(crate) free_inodes_count: Le32,
    /// The block that holds the primary superblock, where group 0 starts.
    pub(crate) first_data_block: Le32,
    /// log2 of the block size in units of 1024 bytes.
    pub(crate) log_block_size: Le32,
    /// log2 of the fragment size in units of 1024 bytes; always the block size.
    pub(crate) log_frag_size: Le32,
    /// Blocks in every group but perhaps the last.
    pub(crate) blocks_per_group: Le32,
    /// Fragments in a group.
    pub(crate) frags_per_group: Le32,
    /// Inodes in every group.
    pub(crate) inodes_per_group: Le32,
    /// When last mounted, seconds.
    pub(crate) mtime: Le32,
    /// When last written, seconds.
    pub(crate) wtime: Le32,
    /// Mounts since the last check.
    pub(crate) mnt_count: Le16,
    /// Mounts after which a check is due; 0 or negative as `i16` is never.
    pub(crate) max_mnt_count: Le16,
    /// [`SUPER_MAGIC`].
    pub(crate) magic: Le16,
    /// See [`state`].
    pub(crate) state: Le16,
    /// See [`errors`].
    pub(crate) errors: Le16,
    /// Minor revision, unused.
    pub(crate) minor_rev_level: Le16,
    /// When last checked, seconds.
    pub(crate) lastcheck: Le32,
    /// Seconds after which a check is due, 0 is never.
    pub(crate) checkinterval: Le32,
    /// The operating system that made the filesystem.
    pub(crate) creator_os: Le32,
    /// See [`revision`].
    pub(crate) rev_level: Le32,
    /// The user that may use reserved blocks.
    pub(crate) def_resuid: Le16,
    /// The group that may use reserved blocks.
    pub(crate) def_resgid: Le16,
    /// First inode that is not reserved.
    pub(crate) first_ino: Le32,
    /// Size of an inode in bytes.
    pub(crate) inode_size: Le16,
    /// The group that this copy of the superblock is in.
    pub(crate) block_group_nr: Le16,
    /// See [`compat`].
    pub(crate) feature_compat: Le32,
    /// See [`incompat`].
    pub(crate) feature_incompat: Le32,
    /// See [`ro_compat`].
    pub(crate) feature_ro_compat: Le32,
    /// Identifies the filesystem.
    pub(crate) uuid: [u8; 16],
    /// The label, ended by a NUL unless full.
    pub(crate) volume_name: [u8; 16],
    /// Where last mounted, ended by a NUL unless full.
    pub(crate) last_mounted: [u8; 64],
    /// For compression, unused.
    pub(crate) algorithm_usage_bitmap: Le32,
    /// Blocks to preallocate for files, unused.
    pub(crate) prealloc_blocks: u8,
    /// Blocks to preallocate for directories, unused.
    pub(crate) prealloc_dir_blocks: u8,
    /// Padding; ext4 keeps the number of reserved descriptor blocks here.
    pub(crate) padding1: Le16,
    /// Identifies the journal, ext3.
    pub(crate) journal_uuid: [u8; 16],
    /// Inode of the journal, ext3.
    pub(crate) journal_inum: Le32,
    /// Device of the journal, ext3.
    pub(crate) journal_dev: Le32,
    /// First inode to delete at recovery, ext3.
    pub(crate) last_orphan: Le32,
    /// Seed of the directory hash, ext3.
    pub(crate) hash_seed: [Le32; 4],
    /// Default directory hash, ext3.
    pub(crate) def_hash_version: u8,
    /// Padding.
    pub(crate) padding2: [u8; 3],
    /// See [`default_mount_opts`].
    pub(crate) default_mount_opts: Le32,
    /// The first meta group: descriptor blocks from this one on lie in their own groups.
    pub(crate) first_meta_bg: Le32,
    /// Not used by ext2.
    pub(crate) reserved1: [u8; 324],
    /// The groups with backups, with the feature `sparse_super2`; 0 is none.
    pub(crate) backup_bgs: [Le32; 2],
    /// Not used by ext2.
    pub(crate) reserved2: [u8; 428],
}

static_assert!(size_of::<SuperBlock>() == 1024);
static_assert!(core::mem::offset_of!(SuperBlock, magic) == 0x38);
static_assert!(core::mem::offset_of!(SuperBlock, first_ino) == 0x54);
static_assert!(core::mem::offset_of!(SuperBlock, feature_incompat) == 0x60);
static_assert!(core::mem::offset_of!(SuperBlock, journal_uuid) == 0xd0);
static_assert!(core::mem::offset_of!(SuperBlock, default_mount_opts) == 0x100);
static_assert!(core::mem::offset_of!(SuperBlock, first_meta_bg) == 0x104);
static_assert!(core::mem::offset_of!(SuperBlock, backup_bgs) == 0x24c);

/// A group descriptor: 32 bytes, `struct ext2_group_desc`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct GroupDescriptor {
    /// Block of the block bitmap.
    pub(crate) block_bitmap: Le32,
    /// Block of the inode bitmap.
    pub(crate) inode_bitmap: Le32,
    /// First block of the inode table.
    pub(crate) inode_table: Le32,
    /// Free blocks in the group.
    pub(crate) free_blocks_count: Le16,
    /// Free inodes in the group.
    pub(crate) free_inodes_count: Le16,
    /// Directories in the group.
    pub(crate) used_dirs_count: Le16,
    /// Padding.
    pub(crate) pad: Le16,
    /// Not used by ext2.
    pub(crate) reserved: [Le32; 3],
}

static_assert!(size_of::<GroupDescriptor>() == 32);

/// The part of an inode that every inode size has: 128 bytes, `struct ext2_inode` with the Linux
/// variant of its unions.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawInode {
    /// Type and permissions, see [`mode`].
    pub(crate) mode: Le16,
    /// Owner, low 16 bits.
    pub(crate) uid_low: Le16,
    /// Size in bytes, low 32 bits.
    pub(crate) size_low: Le32,
    /// Access time, signed seconds.
    pub(crate) atime: Le32,
    /// Change time, signed seconds.
    pub(crate) ctime: Le32,
    /// Modification time, signed seconds.
    pub(crate) mtime: Le32,
    /// Deletion time, seconds; 0 for an inode in use.
    pub(crate) dtime: Le32,
    /// Group, low 16 bits.
    pub(crate) gid_low: Le16,
    /// Links to the inode.
    pub(crate) links_count: Le16,
    /// Space used by data, indirect and attribute blocks, in units of 512 bytes.
    pub(crate) blocks: Le32,
    /// See [`inode_flags`].
    pub(crate) flags: Le32,
    /// Reserved.
    pub(crate) reserved1: Le32,
    /// Block pointers, or the target of a fast symlink, or the number of a device.
    pub(crate) block: [Le32; INODE_POINTERS],
    /// Changes each time that the inode number is used anew, for NFS.
    pub(crate) generation: Le32,
    /// The block of extended attributes, or 0.
    pub(crate) file_acl: Le32,
    /// Size in bytes, high 32 bits, for regular files; `i_dir_acl` for all else.
    pub(crate) size_high: Le32,
    /// Address of a fragment, unused.
    pub(crate) faddr: Le32,
    /// Fragment number, unused.
    pub(crate) frag: u8,
    /// Fragment size, unused.
    pub(crate) fsize: u8,
    /// Padding.
    pub(crate) pad1: Le16,
    /// Owner, high 16 bits.
    pub(crate) uid_high: Le16,
    /// Group, high 16 bits.
    pub(crate) gid_high: Le16,
    /// Reserved.
    pub(crate) reserved2: Le32,
}

static_assert!(size_of::<RawInode>() == revision::GOOD_OLD_INODE_SIZE as usize);
static_assert!(core::mem::offset_of!(RawInode, block) == 40);
static_assert!(core::mem::offset_of!(RawInode, size_high) == 108);
static_assert!(core::mem::offset_of!(RawInode, uid_high) == 120);

/// What comes before the name in a directory entry: 8 bytes, `struct ext2_dir_entry_2`.
///
/// Without the feature `filetype` the last two fields are one 16-bit length, whose high byte is
/// always 0 as names are at most 255 bytes; so `name_len` is right in both forms.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DirEntryHeader {
    /// Inode, 0 for an entry that is not in use.
    pub(crate) inode: Le32,
    /// Bytes from this entry to the next.
    pub(crate) rec_len: Le16,
    /// Bytes in the name.
    pub(crate) name_len: u8,
    /// Type of the inode, with the feature `filetype`.
    pub(crate) file_type: u8,
}

static_assert!(size_of::<DirEntryHeader>() == 8);

#[kunit_tests(rust_ext2_disk)]
mod tests {
    use super::*;

    #[test]
    fn superblock_fields_are_where_the_format_puts_them() {
        let mut bytes = [0u8; 1024];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = (i % 251) as u8;
        }
        let le32 = |at: usize| {
            let byte = |i: usize| ((at + i) % 251) as u32;
            byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
        };
        let sb = SuperBlock::ref_from_bytes(&bytes).map_err(|_| EINVAL);

        assert_eq!(sb.map(|s| s.blocks_count.get()), Ok(le32(4)));
        assert_eq!(sb.map(|s| s.log_block_size.get()), Ok(le32(24)));
        assert_eq!(sb.map(|s| s.rev_level.get()), Ok(le32(76)));
        assert_eq!(sb.map(|s| s.feature_ro_compat.get()), Ok(le32(100)));
        assert_eq!(sb.map(|s| s.uuid.first().copied()), Ok(Some(104)));
        assert_eq!(sb.map(|s| s.first_meta_bg.get()), Ok(le32(260)));
        assert_eq!(sb.map(|s| s.as_bytes() == bytes), Ok(true));
    }

    #[test]
    fn short_and_unaligned_bytes() {
        let bytes = [0u8; 129];

        assert!(RawInode::ref_from_bytes(bytes.split_at(127).0).is_err());
        assert!(RawInode::ref_from_prefix(bytes.split_at(1).1).is_ok());
        assert!(SuperBlock::ref_from_prefix(&bytes).is_err());
    }

    #[test]
    fn values_are_little_endian() {
        let mut header = DirEntryHeader {
            inode: Le32::new(0x0102_0304),
            rec_len: Le16::new(0x0506),
            name_len: 7,
            file_type: 8,
        };
        assert!(header.as_bytes() == [4, 3, 2, 1, 6, 5, 7, 8]);

        header.inode.set(1);
        assert!(header.as_bytes().starts_with(&[1, 0, 0, 0]));
    }
}
