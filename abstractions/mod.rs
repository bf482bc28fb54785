// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of what page-cache I/O is made of. The folders mirror `rust/kernel/`.
//!
//! This layer, `abi`, and `compat` for other versions of the kernel are the only places with
//! hand-written `unsafe`. A wrapper here owns or borrows one C object, states its invariants, and
//! turns the object's locking rules into ownership: see `Documentation/locking.rst`.

pub mod block;
pub mod counts;
pub mod fs;
pub mod hash;
pub mod mm;
pub mod percpu_counter;
mod update;
