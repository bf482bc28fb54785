// SPDX-License-Identifier: GPL-2.0

//! The counters of the library in debugfs.

use super::{
    read,
    write, //
};
use kernel::{
    debugfs,
    prelude::*, //
};

/// The totals are shown while it lives.
pub(crate) type Published = debugfs::Scope<()>;

/// Shows the totals in a debugfs directory of that name, a file each.
pub(crate) fn publish(name: &CStr) -> impl PinInit<Published> + '_ {
    debugfs::Scope::dir((), name, |(), dir| {
        read::counters::publish(dir);
        write::counters::publish(&dir.dir(c"write"));
    })
}
