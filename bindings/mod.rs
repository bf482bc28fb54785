// SPDX-License-Identifier: GPL-2.0

//! Raw bindings: what bindgen makes of `bindings_helper.h`, over the kernel's own.
//!
//! A type has one identity: everything the kernel's bindings know in full is re-exported from
//! there, and only what they lack (`struct buffer_head`, our helpers) is generated here.
//!
//! Nothing outside `abstractions`, `abi` and `compat` uses this module.

#![allow(
    clippy::all,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

// What is defined in there hides what its glob import of the kernel's bindings brings.
mod generated {
    #![allow(
        clippy::cast_lossless,
        clippy::ptr_as_ptr,
        clippy::ref_as_ptr,
        clippy::undocumented_unsafe_blocks,
        dead_code,
        improper_ctypes,
        unknown_lints,
        unnecessary_transmutes
    )]
    include!(env!("RUST_MPAGE_BINDINGS"));
}

pub(crate) use self::generated::*;
