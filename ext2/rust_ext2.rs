// SPDX-License-Identifier: GPL-2.0

//! The second extended filesystem on `rust_mpage`.
//!
//! It registers as `rust_ext2`, and with the module parameter `register_as_ext2=1` as `ext2`, too.
//!
//! C counterpart: `fs/ext2`.

#![deny(unsafe_code)]

use kernel::prelude::*;
use rust_mpage::fs::Registration;

mod allocate;
mod array;
mod attribute_block;
mod attributes;
mod balloc;
mod cuts;
mod dir;
mod dir_write;
mod evict;
mod export;
mod file;
mod group_table;
mod ialloc;
mod inode;
mod inode_data;
mod inode_write;
mod links;
mod live_options;
mod map;
mod namei;
mod options;
mod order;
mod rename;
mod report;
mod room;
mod run_cache;
mod sequenced;
mod super_block;
mod super_state;
mod tree;
mod truncate;
mod write;

// The format, as pure functions. Not all of it is used yet.
mod acl;
mod attribute_list;
mod backups;
mod bitmap;
mod block_search;
#[allow(dead_code)]
mod block_size;
#[allow(dead_code)]
mod branch;
#[allow(dead_code)]
mod cut;
mod dir_edit;
#[allow(dead_code)]
mod dirent;
mod dirent_plain;
mod disk;
mod disk_only;
#[allow(dead_code)]
mod geometry;
mod geometry_error;
#[allow(dead_code)]
mod group;
mod group_bitmap;
mod group_choice;
mod group_count;
#[allow(dead_code)]
mod inode_disk;
#[allow(dead_code)]
mod inode_encode;
mod known;
mod limits;
mod mount_state;
#[allow(dead_code)]
mod path;
mod reservation;
mod super_check;

#[cfg(CONFIG_KUNIT)]
mod block_search_tests;
#[cfg(CONFIG_KUNIT)]
mod dir_edit_tests;
#[cfg(CONFIG_KUNIT)]
mod dirent_tests;
#[cfg(CONFIG_KUNIT)]
mod geometry_random_tests;
#[cfg(CONFIG_KUNIT)]
mod geometry_tests;
#[cfg(CONFIG_KUNIT)]
mod group_tests;
#[cfg(CONFIG_KUNIT)]
mod inode_tests;
#[cfg(CONFIG_KUNIT)]
mod test_images;

use self::super_block::Ext2;

// What the macro makes of this contains unsafe code.
#[allow(unsafe_code)]
mod module {
    use super::RustExt2;
    use kernel::prelude::*;

    module! {
        type: RustExt2,
        name: "rust_ext2",
        authors: ["rust_mpage developers"],
        description: "Second extended filesystem in Rust",
        license: "GPL v2",
        alias: ["fs-rust_ext2"],
        params: {
            register_as_ext2: bool {
                default: false,
                description: "Register as ext2, too (default: 0)",
            },
        },
    }

    /// Whether to register as `ext2`, too.
    pub(super) fn register_as_ext2() -> bool {
        module_parameters::register_as_ext2.value()
    }
}

#[pin_data]
struct RustExt2 {
    #[pin]
    _rust_ext2: Registration<Ext2>,
    #[pin]
    _ext2: Registration<Ext2>,
}

impl kernel::InPlaceModule for RustExt2 {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let ext2 = module::register_as_ext2().then_some(c"ext2");

        try_pin_init!(Self {
            _rust_ext2 <- Registration::new(Some(c"rust_ext2"), module),
            _ext2 <- Registration::new(ext2, module),
        }? Error)
    }
}
