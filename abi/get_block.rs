// SPDX-License-Identifier: GPL-2.0

//! C's `get_block_t`, both ways: a C filesystem's function as a mapper, and a Rust mapper as a
//! function for the kernel's buffer code.

use crate::{
    abstractions::{
        block::BlockDevice,
        fs::{
            Inode,
            InodeType, //
        },
        mm::{
            without_fs_reclaim,
            Folio,
            GetBlockFn, //
        }, //
    },
    bindings,
    mpage::{
        BlockCount,
        BlockMapper,
        Extent,
        LogicalBlock,
        MapSource,
        Mapping,
        PhysicalBlock, //
    }, //
};
use core::num::NonZeroI32;
use kernel::{
    error::{
        code::{
            EAGAIN,
            EIO, //
        },
        Error,
        Result, //
    },
    ffi::{
        c_int,
        c_ulong, //
    },
};

/// The state bit of `enum bh_state_bits` as a mask.
const fn state(bit: bindings::bh_state_bits) -> c_ulong {
    1 << bit
}

const MAPPED: c_ulong = state(bindings::bh_state_bits_BH_Mapped);
const BOUNDARY: c_ulong = state(bindings::bh_state_bits_BH_Boundary);
const UPTODATE: c_ulong = state(bindings::bh_state_bits_BH_Uptodate);
const NEW: c_ulong = state(bindings::bh_state_bits_BH_New);

/// What the last argument of a `get_block_t` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Create {
    No,
    Yes,
}

/// A C filesystem's `get_block_t` as a mapper.
#[derive(Clone, Copy)]
pub(super) struct GetBlock(GetBlockFn);

/// What stands in for a function that is not there: finds nothing, and says that somebody else may
/// be able to allocate.
///
/// # Safety
///
/// None; `unsafe` is part of the type.
unsafe extern "C" fn nobody(
    _inode: *mut bindings::inode,
    _block: bindings::sector_t,
    _bh: *mut bindings::buffer_head,
    create: c_int,
) -> c_int {
    match create {
        0 => EIO.to_errno(),
        _ => EAGAIN.to_errno(),
    }
}

impl GetBlock {
    /// Wraps a filesystem's function, or none.
    ///
    /// # Safety
    ///
    /// As for [`GetBlockFn::new`].
    pub(super) unsafe fn new(function: bindings::get_block_t) -> Self {
        // SAFETY: By the safety requirements; `nobody` does nothing with its arguments. The
        // kernel's buffer functions call what they get without looking.
        Self(unsafe { GetBlockFn::new(Some(function.unwrap_or(nobody))) })
    }

    /// Asks the C function. The buffer_head is question and answer; the answer is checked before
    /// anything of it is used: a mapping of no length, without a device or with an error number
    /// that is none, is `EIO`.
    #[inline]
    fn ask<'i>(
        &self,
        inode: &'i Inode,
        folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
        create: Create,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let function = self.0.as_raw().unwrap_or(nobody);
        let bits = inode.block_bits();
        let mut bh = bindings::buffer_head {
            b_size: (max.0 as usize) << bits,
            ..Default::default()
        };
        bh.__bindgen_anon_1.b_folio = folio.as_raw();
        let create = c_int::from(create == Create::Yes);
        // SAFETY: By the invariants of `GetBlockFn`; the buffer_head lives on our stack for the
        // call, as in mpage_readahead().
        let error = unsafe { function(inode.as_raw(), at.0, &mut bh, create) };
        if let Some(error) = NonZeroI32::new(error) {
            return Err(errno(error));
        }
        if bh.b_state & MAPPED == 0 {
            return Ok(Mapping::hole(BlockCount(1)));
        }
        let len = u32::try_from(bh.b_size >> bits).unwrap_or(u32::MAX);
        if len == 0 || bh.b_bdev.is_null() {
            return Err(EIO);
        }
        // SAFETY: A device that get_block maps to is open while the inode's filesystem is mounted.
        let device = unsafe { BlockDevice::from_raw(bh.b_bdev) };
        let mut mapping = Mapping::mapped(device, PhysicalBlock(bh.b_blocknr), BlockCount(len));
        if bh.b_state & BOUNDARY != 0 {
            mapping = mapping.with_boundary();
        }
        if bh.b_state & UPTODATE != 0 {
            mapping = mapping.with_uptodate();
        }
        if bh.b_state & NEW != 0 {
            mapping = mapping.with_new();
        }
        Ok(mapping)
    }
}

impl MapSource for GetBlock {
    type Inode = Inode;

    fn map<'i>(
        &self,
        inode: &'i Inode,
        folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        self.ask(inode, folio, at, max, Create::No)
    }

    /// A hole is `EIO`: what cannot be mapped cannot be written.
    fn map_for_write<'i>(
        &self,
        inode: &'i Inode,
        folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let mapping = self.ask(inode, folio, at, max, Create::Yes)?;
        match mapping.extent() {
            Extent::Mapped { .. } => Ok(mapping),
            Extent::Hole => Err(EIO),
        }
    }

    fn get_block(&self) -> GetBlockFn {
        self.0
    }
}

/// A C return value as an error.
fn errno(value: NonZeroI32) -> Error {
    if (-(bindings::MAX_ERRNO as i32)..0).contains(&value.get()) {
        Error::from_errno(value.get())
    } else {
        EIO
    }
}

/// The `get_block_t` of a Rust mapper, for the kernel's buffer functions.
pub(crate) fn get_block_of<M: BlockMapper>() -> GetBlockFn {
    // SAFETY: `map_buffer` keeps the contract for inodes of `M::Inode`; the engine only uses it
    // with folios of such an inode.
    unsafe { GetBlockFn::new(Some(map_buffer::<M>)) }
}

/// Maps a block for a buffer_head: looks it up, or, to write, allocates it.
///
/// Others change other bits of the buffer at the same time: a store to a mapped page makes it dirty
/// without the folio's lock (`block_dirty_folio()`). So there is no reference to it, and bits are
/// set one by one, atomically.
///
/// # Safety
///
/// `inode` must be one that `M::Inode` stands for, and `bh` a valid buffer_head that nobody else
/// maps: on the caller's stack, or of a folio that the caller has locked.
unsafe extern "C" fn map_buffer<M: BlockMapper>(
    inode: *mut bindings::inode,
    block: bindings::sector_t,
    bh: *mut bindings::buffer_head,
    create: c_int,
) -> c_int {
    // SAFETY: By the safety requirements; the caller's folio lock keeps the inode in use.
    let inode = unsafe { M::Inode::from_raw(inode) };
    let bits = inode.as_ref().block_bits();
    // SAFETY: By the safety requirements; who maps a buffer may read and set its size.
    let size = unsafe { (*bh).b_size };
    let max = u32::try_from(size >> bits).unwrap_or(u32::MAX).max(1);
    let (at, max_blocks) = (LogicalBlock(block), BlockCount(max));
    let result = match create {
        0 => M::default().lookup(inode, at, max_blocks),
        _ => without_fs_reclaim(|| M::default().allocate(inode, at, max_blocks)),
    };
    let mapping = match result {
        Ok(mapping) => mapping,
        Err(error) => return error.to_errno(),
    };
    if mapping.len().0 == 0 || (create != 0 && matches!(mapping.extent(), Extent::Hole)) {
        return EIO.to_errno();
    }
    if let Extent::Mapped { device, start } = mapping.extent() {
        // SAFETY: By the safety requirements; place and size are set before the bit that says that
        // they are valid.
        unsafe {
            (*bh).b_bdev = device.as_raw();
            (*bh).b_blocknr = start.0;
            (*bh).b_size = (mapping.len().0.min(max) as usize) << bits;
            if mapping.is_boundary() && mapping.len().0 <= max {
                bindings::rust_mpage_helper_set_buffer_boundary(bh);
            }
            if mapping.is_new() {
                bindings::rust_mpage_helper_set_buffer_new(bh);
            }
            bindings::rust_mpage_helper_set_buffer_mapped(bh);
        }
    }
    0
}
