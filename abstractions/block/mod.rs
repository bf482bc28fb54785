// SPDX-License-Identifier: GPL-2.0

//! Block devices and bios.

mod bio;
mod device;
mod in_flight;
mod plug;
mod read_bio;
mod read_now;
mod split_read;
mod split_write;
mod write_bio;

pub use self::device::{
    BlockDevice,
    Sector,
    WriteErrors, //
};
pub(crate) use self::in_flight::wait_for_all as wait_for_all_bios;
pub use self::plug::plugged;
pub use self::read_bio::{
    ReadBio,
    ReadIntent, //
};
pub(super) use self::read_now::read_now;
pub use self::split_read::SplitReader;
pub use self::split_write::SplitWriter;
pub use self::write_bio::WriteBio;
