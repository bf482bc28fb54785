// SPDX-License-Identifier: GPL-2.0

//! Filesystem objects.
//!
//! A filesystem implements [`FileSystem`] and is registered with [`Registration`]. Its inodes are
//! [`FsInode`]s; what they can do are [`Operations`], made of the filesystem's implementations of
//! [`InodeOperations`], [`DirectoryOperations`] and [`AddressSpaceOperations`].
//!
//! In each file, a type whose name ends in `VTable` owns every `extern "C"` function: it converts
//! what it gets, calls the safe trait, and converts back.

mod acl;
mod address_space;
mod buffer;
mod buffer_bits;
mod buffer_state;
mod cached;
mod changes;
mod direct;
mod direct_map;
mod directory;
mod directory_write;
mod exclusive;
mod export;
mod fiemap;
mod fs_inode;
mod ids;
mod inode;
mod inode_flags;
mod inode_ref;
mod inode_state;
mod inode_view;
mod ioctl;
mod library_writes;
mod link_target;
mod mbcache;
mod message;
mod metadata;
mod namespace;
mod new_inode;
mod operations;
mod parameters;
mod quota;
mod quota_files;
mod registration;
mod rename;
mod security;
mod seek;
mod super_block;
mod super_flags;
mod task;
mod truncate;
mod unwritten;
mod unwritten_tests;
mod writable;
mod write;
mod write_iter;
mod xattr;

pub use self::acl::{
    Acl,
    AclEntry,
    AclKind,
    AclOperations,
    AclTable, //
};
pub use self::address_space::{
    AddressSpaceOperations,
    AddressSpaceVTable,
    AddressSpaceWriteOperations,
    CacheWrites, //
};
pub use self::buffer::{
    Buffer,
    LockedBuffer, //
};
pub use self::cached::Cached;
pub use self::changes::{
    ChangeGuard,
    Later, //
};
pub use self::directory::{
    DirectoryOperations,
    DirectoryPage,
    DirectoryReader,
    EntryType,
    LockedDirectory, //
};
pub use self::directory_write::ExclusiveDirectory;
pub use self::exclusive::ExclusiveInode;
pub use self::export::{
    ExportOperations,
    ExportTable, //
};
pub use self::fiemap::{
    ExtentFlags,
    FiemapRequest, //
};
use self::fs_inode::InodeCache;
pub use self::fs_inode::{
    Attributes,
    FsInode,
    Iget,
    NewInode, //
};
pub use self::ids::{
    DeviceNumber,
    KernelGid,
    KernelUid, //
};
pub use self::inode::{
    Inode,
    InodeType, //
};
pub use self::inode_flags::InodeFlags;
pub use self::inode_ref::InodeRef;
pub use self::inode_state::{
    ErrorSequence,
    Wait, //
};
pub use self::inode_view::InodeView;
pub use self::ioctl::IoctlOperations;
pub use self::library_writes::Called;
pub(crate) use self::library_writes::SealedWrites;
pub use self::link_target::LinkTarget;
pub use self::mbcache::BlockCache;
pub use self::message::{
    panic,
    Level,
    RateLimit, //
};
pub use self::namespace::NamespaceOperations;
use self::namespace::NamespaceVTable;
pub use self::new_inode::{
    CreatedInode,
    Creation,
    GroupFrom,
    UnhashedInode, //
};
pub use self::operations::{
    FileOperations,
    InodeOperations,
    Operations,
    StatAttributes, //
};
pub use self::parameters::{
    EnumTable,
    Parameter,
    ParameterTable,
    Parameters,
    Value, //
};
pub use self::quota::SpaceCharge;
pub use self::quota_files::{
    QuotaFileSystem,
    QuotaUse, //
};
#[cfg(CONFIG_KUNIT)]
pub(crate) use self::registration::is_static;
pub use self::registration::{
    Access,
    FileSystem,
    MountRequest,
    Purpose,
    Registration, //
};
pub use self::rename::{
    Rename,
    RenameDirectories,
    RenameSource,
    RenameTarget, //
};
pub use self::super_block::{
    AnySuperBlock,
    NewSuperBlock,
    StatFs,
    SuperBlock, //
};
pub use self::task::{
    capable_sys_admin,
    capable_sys_resource,
    current_pid,
    now,
    random_below,
    random_u32, //
};
pub use self::truncate::{
    InvalidateLock,
    InvalidateLockShared, //
};
pub use self::unwritten::Unwritten;
pub use self::writable::{
    BegunSync,
    WritableFile,
    WritableInode, //
};
pub use self::write::{
    AccessChange,
    Pass,
    Syncing,
    WritableFileSystem,
    WriteTable, //
};
pub use self::xattr::{
    SetMode,
    XattrHandler,
    XattrHandlers,
    XattrNames,
    XattrNamespace,
    XattrOperations,
    XattrTable,
    XattrValue, //
};
