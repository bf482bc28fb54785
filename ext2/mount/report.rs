// SPDX-License-Identifier: GPL-2.0

//! What happens when a filesystem turns out to be corrupt, or will be: metadata cannot be read, or
//! not be written.
//!
//! A corrupt disk can be asked about over and over, so the messages are limited in rate; what the
//! mount option `errors=` asks for happens each time. A filesystem that can be written to is marked
//! in its superblock, at the first error.
//!
//! Locks: the caller may hold folio locks and mutexes of inodes, but no spinlock: the superblock is
//! written and waited for.

#![deny(unsafe_code)]

use super::{
    data::Ext2,
    mount_state::ErrorBehaviour,
    super_state, //
};
use kernel::{
    fmt,
    prelude::*, //
};
use rust_mpage::fs::{
    Level,
    SuperBlock, //
};

/// Says that something of an inode could not be read, which is an error of who asked for it, and no
/// reason to take the filesystem for corrupt. C says nothing.
pub(crate) fn unreadable(sb: &SuperBlock<Ext2>, what: fmt::Arguments<'_>) {
    if sb.data().reports.allows(c"rust_ext2") {
        sb.message(Level::Error, what);
    }
}

/// Reports an error of the filesystem: it is corrupt, or its metadata cannot be read or written.
/// C: `ext2_error()`.
pub(crate) fn corrupt(sb: &SuperBlock<Ext2>, what: fmt::Arguments<'_>) {
    let data = sb.data();

    if !sb.is_read_only() {
        super_state::note_error(sb);
    }
    if data.reports.allows(c"rust_ext2") {
        sb.message(Level::Critical, fmt!("error: {what}"));
    }
    match data.options().errors {
        ErrorBehaviour::Continue => {}
        ErrorBehaviour::Panic => sb.panic(),
        ErrorBehaviour::RemountReadOnly if sb.is_read_only() => {}
        ErrorBehaviour::RemountReadOnly => super_state::make_read_only(sb),
    }
}
