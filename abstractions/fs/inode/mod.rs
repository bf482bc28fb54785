// SPDX-License-Identifier: GPL-2.0

//! The room of inodes.
//!
//! - [`plain`]: as any filesystem's; [`inode_view`], [`fs_inode`]: one that is there, and one that
//!   is in use, with the filesystem's data, which is in the same [`slot`]; [`inode_ref`]: a
//!   reference;
//! - [`iget`]: reading one; [`cached`]: looking whether it is in memory; [`tables`]: what it can
//!   do;
//! - [`inode_state`], [`held`]: changing it, by anybody, and by one at a time; [`exclusive`],
//!   [`truncate`], [`changes`]: the proofs that it may be; [`rwsem`]: its lock, where the VFS has
//!   not taken it;
//! - [`ids`], [`inode_flags`], [`link_target`]: what it has.
//!
//! May use: `buffers`, `mounted`.

mod cached;
mod changes;
mod exclusive;
mod fs_inode;
mod held;
mod ids;
mod iget;
mod inode_flags;
mod inode_ref;
mod inode_state;
mod inode_view;
mod link_target;
mod plain;
mod rwsem;
mod slot;
mod tables;
mod truncate;
mod visits_tests;

pub(super) use self::cached::wait_for_visits;
pub use self::cached::Cached;
pub use self::changes::{
    ChangeGuard,
    Later, //
};
pub use self::exclusive::ExclusiveInode;
pub use self::fs_inode::FsInode;
pub use self::held::HeldInode;
pub use self::ids::{
    DeviceNumber,
    KernelGid,
    KernelUid, //
};
pub use self::iget::{
    Attributes,
    Iget,
    NewInode, //
};
pub use self::inode_flags::InodeFlags;
pub(super) use self::inode_ref::check_mount;
pub use self::inode_ref::InodeRef;
pub use self::inode_state::Wait;
pub use self::inode_view::InodeView;
pub use self::link_target::LinkTarget;
pub use self::plain::{
    Inode,
    InodeType, //
};
pub(super) use self::rwsem::{
    ExclusiveLock,
    SharedLock, //
};
pub(super) use self::slot::{
    init_data,
    InodeCache, //
};
pub(super) use self::tables::Content;
pub use self::tables::Operations;
pub use self::truncate::{
    ExclusivePages,
    InvalidateLock, //
};
