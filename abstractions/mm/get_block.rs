// SPDX-License-Identifier: GPL-2.0

//! C's `get_block_t`, which the kernel's buffer functions ask where a block is; and what stands
//! behind it if the filesystem is in Rust.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)

use crate::{
    abstractions::{
        block::BlockDevice,
        fs::{
            Inode,
            InodeType, //
        },
    },
    bindings,
};
use core::marker::PhantomData;
use kernel::{
    error::{
        code::EROFS,
        Result, //
    },
    ffi::c_int, //
};

/// Whether missing blocks are to be allocated: the last argument of a `get_block_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// No.
    No,
    /// Yes.
    Yes,
}

/// Consecutive blocks of a device.
#[derive(Clone, Copy)]
pub struct FoundBlocks<'d> {
    /// The device.
    pub device: &'d BlockDevice,
    /// The first block's number on it, in filesystem blocks.
    pub block: u64,
    /// How many.
    pub len: u32,
    /// Whether they end in front of metadata that maps what follows.
    pub boundary: bool,
    /// Whether they were allocated now.
    pub new: bool,
}

mod sealed {
    /// What the library alone implements.
    pub trait Sealed {}
}

pub(crate) use self::sealed::Sealed;

/// Where the kernel's buffer functions get their answers. The library's mappers are such sources;
/// there are no others.
pub trait BlockSource: Sealed + 'static {
    /// The inode type.
    type Inode: InodeType;

    /// Says what block `at` of the file and up to `max` in all are, at least one; [`None`] for a
    /// hole, which is not an answer if blocks are to be allocated.
    ///
    /// Context: the caller holds the lock of the folio with the block.
    fn find(
        inode: &Self::Inode,
        at: u64,
        max: u32,
        create: Create,
    ) -> Result<Option<FoundBlocks<'_>>>;
}

/// A filesystem's `get_block_t`: what the kernel's buffer functions ask where the blocks of an
/// inode of `I` are.
///
/// # Invariants
///
/// The function keeps the contract of `get_block_t` for inodes of `I`.
pub struct GetBlockFn<I>(bindings::get_block_t, PhantomData<fn(&I)>);

impl<I> Clone for GetBlockFn<I> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<I> Copy for GetBlockFn<I> {}

/// As if every block that is asked for with `create` were refused.
///
/// # Safety
///
/// None; `unsafe` is part of the type.
unsafe extern "C" fn no_blocks(
    _inode: *mut bindings::inode,
    _block: bindings::sector_t,
    _bh: *mut bindings::buffer_head,
    _create: c_int,
) -> c_int {
    EROFS.to_errno()
}

impl<I: InodeType> GetBlockFn<I> {
    /// Has no blocks for anybody: for a filesystem that may not change. What has a block already is
    /// not asked about.
    // INVARIANT: The function does nothing with its arguments.
    pub const NO_BLOCKS: Self = Self(Some(no_blocks), PhantomData);

    /// Wraps a C function.
    ///
    /// # Safety
    ///
    /// `function` must be sound to call, in process context, with any inode of `I`, any block, a
    /// zeroed buffer_head and `create` 0 or 1.
    #[inline]
    pub const unsafe fn new(function: bindings::get_block_t) -> Self {
        // INVARIANT: By the safety requirements.
        Self(function, PhantomData)
    }

    /// The function that asks `S`.
    pub(crate) const fn of<S: BlockSource<Inode = I>>() -> Self {
        // INVARIANT: `map_buffer` keeps the contract for inodes of `S::Inode`.
        Self(Some(map_buffer::<S>), PhantomData)
    }

    /// The C function.
    #[inline]
    pub fn as_raw(self) -> bindings::get_block_t {
        self.0
    }
}

/// Maps a block for a buffer_head: looks it up, or, to write, allocates it.
///
/// Others change other bits of the buffer at the same time: a store to a mapped page makes it dirty
/// without the folio's lock (`block_dirty_folio()`). So there is no reference to it, and bits are
/// set one by one, atomically.
///
/// # Safety
///
/// `inode` must be one that `S::Inode` stands for, and `bh` a valid buffer_head that nobody else
/// maps: on the caller's stack, or of a folio that the caller has locked.
unsafe extern "C" fn map_buffer<S: BlockSource>(
    inode: *mut bindings::inode,
    block: bindings::sector_t,
    bh: *mut bindings::buffer_head,
    create: c_int,
) -> c_int {
    // SAFETY: By the safety requirements; the caller's folio lock keeps the inode in use.
    let inode = unsafe { S::Inode::from_raw(inode) };
    let bits = AsRef::<Inode>::as_ref(inode).block_bits();
    // SAFETY: By the safety requirements; who maps a buffer may read and set its size.
    let size = unsafe { (*bh).b_size };
    let max = u32::try_from(size >> bits).unwrap_or(u32::MAX).max(1);
    let create = match create {
        0 => Create::No,
        _ => Create::Yes,
    };
    let found = match S::find(inode, block, max, create) {
        Ok(Some(found)) => found,
        Ok(None) => return 0,
        Err(error) => return error.to_errno(),
    };
    // SAFETY: Nobody else maps the buffer by the safety requirements.
    // - who maps it sets its place and size, before the bit that says that they are valid;
    // - the bits are set atomically, for others change other bits.
    unsafe {
        (*bh).b_bdev = found.device.as_raw();
        (*bh).b_blocknr = found.block;
        (*bh).b_size = (found.len.min(max) as usize) << bits;
        if found.boundary && found.len <= max {
            bindings::rust_mpage_helper_set_buffer_boundary(bh);
        }
        if found.new {
            bindings::rust_mpage_helper_set_buffer_new(bh);
        }
        bindings::rust_mpage_helper_set_buffer_mapped(bh);
    }
    0
}
