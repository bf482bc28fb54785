// SPDX-License-Identifier: GPL-2.0

//! The room of directories and names.
//!
//! - [`directory`]: reading one; [`directory_write`]: changing one that nobody else reads;
//! - [`namespace`]: giving names and taking them, and in [`rename`] both;
//! - [`export`]: finding files without names.
//!
//! May use: `inode`, `mounted`, `new_inode`, `operations`, `writable`, `xattr`.

mod directory;
mod directory_write;
mod export;
mod namespace;
mod rename;

pub use self::directory::{
    DirectoryOperations,
    DirectoryPage,
    DirectoryReader,
    EntryType,
    LockedDirectory, //
};
pub use self::directory_write::ExclusiveDirectory;
pub use self::export::ExportOperations;
pub use self::namespace::NamespaceOperations;
pub use self::rename::{
    Rename,
    RenameDirectories,
    RenameSource,
    RenameTarget, //
};
