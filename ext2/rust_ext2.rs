// SPDX-License-Identifier: GPL-2.0

//! The second extended filesystem on `rust_mpage`.
//!
//! It registers as `rust_ext2`, and with the module parameter `register_as_ext2=1` as `ext2`, too.
//!
//! C counterpart: `fs/ext2`.

#![deny(unsafe_code)]

use kernel::prelude::*;
use rust_mpage::fs::Registration;

// The rooms, from the ground up.
mod disk;
mod index;
mod sync;

mod groups;
mod order;
mod tree;

mod mount;

mod inode;

mod alloc;

mod map;
mod xattr;

mod dir;
mod quota;

// What the VFS calls.
mod evict;
mod export;
mod file;
mod vfs;

use self::mount::Ext2;

// What the macro makes of this contains unsafe code.
#[allow(unsafe_code)]
mod module {
    use super::RustExt2;
    use kernel::prelude::*;
    use rust_mpage::parameter;

    module! {
        type: RustExt2,
        name: "rust_ext2",
        authors: ["rust_mpage developers"],
        description: "Second extended filesystem in Rust",
        license: "GPL v2",
        alias: ["fs-rust_ext2"],
        params: {
            register_as_ext2: u8 {
                default: 0,
                description: "Register as ext2, too (default: 0)",
            },
        },
    }

    /// Whether to register as `ext2`, too.
    pub(super) fn register_as_ext2() -> bool {
        parameter::<u8>(module_parameters::register_as_ext2.value()) != 0
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
            _rust_ext2 <- Registration::new(c"rust_ext2", module),
            _ext2 <- Registration::also(ext2, module),
        }? Error)
    }
}
