// SPDX-License-Identifier: GPL-2.0

//! The room of the bytes of open files.
//!
//! - [`request`]: what the VFS asks for; [`write_iter`]: writing, through the page cache;
//!   [`direct`]: reading and writing past it, with what iomap is told in [`direct_map`] and what is
//!   traced in [`trace`]; [`seek`]: finding data and holes.
//!
//! May use: `inode`, `mounted`, `operations`.

mod direct;
mod direct_map;
mod request;
mod seek;
mod trace;
mod write_iter;

pub(super) use self::direct::DirectVTable;
pub(super) use self::seek::SeekVTable;
