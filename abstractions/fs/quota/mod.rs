// SPDX-License-Identifier: GPL-2.0

//! The room of quota: what users and groups have of a filesystem, and may have.
//!
//! - [`charges`]: counting it; [`files`]: the files that it is kept in.
//!
//! What a filesystem has to do for these files is in `mount`.
//!
//! May use: `buffers`, `inode`, `mounted`.

mod charges;
mod files;

pub(super) use self::charges::InodeCharge;
pub use self::charges::SpaceCharge;
pub(super) use self::files::QuotaTable;
#[cfg(CONFIG_QUOTA)]
pub(super) use self::files::{
    active_files,
    file_of,
    is_active,
    TYPES, //
};
pub use self::files::{
    QuotaLock,
    QuotaUse, //
};
