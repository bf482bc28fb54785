// SPDX-License-Identifier: GPL-2.0

//! The room of where the blocks of files are: found, given, taken away.
//!
//! - [`mapper`]: answers the questions of `rust_mpage`;
//! - [`known`]: from what earlier questions have found; [`search`]: by a walk along the tree, on a
//!   [`way`] that the block's number says, with arrays of pointers [read together](read_arrays);
//! - [`allocate`]: gives blocks to a hole, in [`places`] that it can have, with [`arrays_ahead`] in
//!   front of them, [`fresh`] ones on the disk before what leads to them, [`leaves`] all of a run
//!   together; [`delay`]: promises them until then; [`truncate`]: cuts off what is behind the end.
//!
//! May use: `alloc`, `disk`, `groups`, `inode`, `mount`, `sync`, `tree`.
//!
//! Through the filesystem's data: `order`.

#![deny(unsafe_code)]

mod allocate;
mod arrays_ahead;
mod delay;
mod fresh;
mod known;
mod leaves;
mod mapper;
mod places;
mod read_arrays;
mod search;
pub(crate) mod truncate;
mod way;

pub(crate) use self::delay::{
    forget,
    Delayed, //
};
pub(crate) use self::mapper::Mapper;
