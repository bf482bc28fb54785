// SPDX-License-Identifier: GPL-2.0

//! Filesystem objects.
//!
//! A filesystem is a [`FileSystem`] and implements [`MountableFileSystem`], which is registered
//! with [`Registration`]. Its inodes are [`FsInode`]s; what they can do are [`Operations`], made of
//! the filesystem's implementations of [`InodeOperations`], [`DirectoryOperations`] and
//! [`AddressSpaceOperations`].
//!
//! Each folder is a room; the head of its `mod.rs` says what is in it and what it may use. From the
//! ground up: `buffers`, `mounted`, `inode`, `quota`, `operations`, `io`, `xattr`, `names`,
//! `mount`. Beside them are `new_inode`, `writable` and `task`.
//!
//! In each file, a type whose name ends in `VTable` owns every `extern "C"` function: it converts
//! what it gets, calls the safe trait, and converts back.

mod buffers;
mod inode;
mod io;
mod mount;
mod mounted;
mod names;
mod new_inode;
mod operations;
mod quota;
mod task;
mod writable;
mod xattr;

pub use self::buffers::{
    AnySuperBlock,
    Buffer,
    LockedBuffer,
    Unwritten, //
};
pub use self::inode::{
    Attributes,
    Cached,
    ChangeGuard,
    DeviceNumber,
    ExclusiveInode,
    ExclusivePages,
    FsInode,
    HeldInode,
    Iget,
    Inode,
    InodeFlags,
    InodeRef,
    InodeType,
    InodeView,
    InvalidateLock,
    KernelGid,
    KernelUid,
    Later,
    LinkTarget,
    NewInode,
    Operations,
    Wait, //
};
#[cfg(CONFIG_KUNIT)]
pub(crate) use self::mount::is_static;
pub(crate) use self::mount::ModuleWatch;
pub use self::mount::{
    Access,
    AccessChange,
    EnumTable,
    MountRequest,
    MountableFileSystem,
    NewSuperBlock,
    Parameter,
    ParameterTable,
    Parameters,
    Pass,
    Purpose,
    QuotaFileSystem,
    Registration,
    StatFs,
    SuperAttributes,
    Syncing,
    Value,
    WritableFileSystem,
    WriteTable, //
};
pub use self::mounted::{
    AclTable,
    ExportTable,
    FileSystem,
    Level,
    RateLimit,
    SuperBlock,
    XattrTable, //
};
pub use self::names::{
    DirectoryOperations,
    DirectoryPage,
    DirectoryReader,
    EntryType,
    ExclusiveDirectory,
    ExportOperations,
    LockedDirectory,
    NamespaceOperations,
    Rename,
    RenameDirectories,
    RenameSource,
    RenameTarget, //
};
pub use self::new_inode::{
    CreatedInode,
    Creation,
    GroupFrom,
    UnhashedInode, //
};
pub(crate) use self::operations::SealedWrites;
pub use self::operations::{
    AddressSpaceOperations,
    AddressSpaceVTable,
    AddressSpaceWriteOperations,
    BegunSync,
    CacheWrites,
    Called,
    DirectEvent,
    DirectTracepoint,
    ExtentFlags,
    FiemapRequest,
    FileOperations,
    InodeOperations,
    IoctlOperations,
    StatAttributes,
    WritableFile,
    WritableInode, //
};
pub use self::quota::{
    QuotaLock,
    QuotaUse,
    SpaceCharge, //
};
pub use self::task::{
    capable_sys_admin,
    capable_sys_resource,
    current_pid,
    now,
    random_below,
    random_u32, //
};
pub use self::xattr::{
    Acl,
    AclEntry,
    AclKind,
    AclOperations,
    BlockCache,
    SetMode,
    XattrHandler,
    XattrHandlers,
    XattrNames,
    XattrNamespace,
    XattrOperations,
    XattrValue, //
};
