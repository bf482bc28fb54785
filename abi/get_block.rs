// SPDX-License-Identifier: GPL-2.0

//! A C filesystem's `get_block_t` as a mapper.

use crate::{
    abstractions::{
        block::BlockDevice,
        fs::Inode,
        mm::{
            Create,
            Filled,
            Folio,
            GetBlockFn,
            Sealed, //
        }, //
    },
    bindings,
    mpage::{
        BlockCount,
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

/// A C filesystem's `get_block_t` as a mapper.
#[derive(Clone, Copy)]
pub(super) struct GetBlock(GetBlockFn<Inode>);

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
            // SAFETY: This is how a `get_block_t` says so.
            mapping = mapping.with_filled(unsafe { Filled::by_mapper() });
        }
        if bh.b_state & NEW != 0 {
            mapping = mapping.with_new();
        }
        Ok(mapping)
    }
}

impl Sealed for GetBlock {}

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

    fn get_block(&self) -> GetBlockFn<Inode> {
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
