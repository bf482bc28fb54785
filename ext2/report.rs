// SPDX-License-Identifier: GPL-2.0

//! What happens when a filesystem turns out to be corrupt.
//!
//! A corrupt disk can be asked about over and over, so the messages are limited in rate; what the
//! mount option `errors=` asks for happens each time.
//!
//! Left out: marking the filesystem in its superblock, and making it read-only, which it is.

#![deny(unsafe_code)]

use crate::{
    mount_state::ErrorBehaviour,
    super_block::Ext2, //
};
use kernel::{
    fmt,
    prelude::*, //
};
use rust_mpage_core::abstractions::fs::{
    self,
    FileSystem,
    Level,
    SuperBlock, //
};

/// Reports that the filesystem is corrupt. C: `ext2_error()`.
pub(crate) fn corrupt(sb: &SuperBlock<Ext2>, what: fmt::Arguments<'_>) {
    let data = sb.data();

    if data.reports.allows(c"rust_ext2") {
        sb.message(Level::Critical, fmt!("error: {what}"));
    }
    if data.options().errors == ErrorBehaviour::Panic {
        fs::panic(Ext2::NAME);
    }
}
