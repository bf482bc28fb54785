// SPDX-License-Identifier: GPL-2.0

//! Files with dirty folios: the safe side of `dirty_pages.c`.
//!
//! Locks: none here.

use super::{
    bindings,
    Bench,
    DirtyState,
    File,
    Request,
    Written, //
};
use crate::table::OTHER;
use core::ptr;
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

/// A buffer of a dirty folio.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BufferArgs {
    /// The disk and the block that it is mapped to.
    pub(crate) block: Option<(u32, u64)>,
    pub(crate) dirty: bool,
    pub(crate) uptodate: bool,
    pub(crate) boundary: bool,
}

impl Bench {
    /// Makes a block of the main disk dirty in the device's own cache. A byte of 0 stands for the
    /// block's pattern.
    pub(crate) fn dirty_block(&self, block: u64, block_bits: u32, byte: u8) -> Result {
        let disk = self.main.0.as_ptr();
        // SAFETY: The disk is valid by its invariants.
        to_result(unsafe { bindings::pattern_disk_dirty_block(disk, block, 1 << block_bits, byte) })
    }

    /// How many plugs there were that bios to the main disk came under.
    pub(crate) fn unplugs(&self) -> u32 {
        // SAFETY: The disk is valid by its invariants.
        unsafe { bindings::pattern_disk_unplugs(self.main.0.as_ptr()) }
    }

    /// Writes what is dirty in the main disk's own cache.
    pub(crate) fn sync(&self) -> Result {
        // SAFETY: The disk is valid by its invariants.
        to_result(unsafe { bindings::pattern_disk_sync(self.main.0.as_ptr()) })
    }
}

impl File<'_> {
    /// Brings a folio into the cache, not uptodate.
    pub(crate) fn add_folio(&self, page: u64, order: u32) -> Result {
        // SAFETY: The inode is valid by the type invariants.
        to_result(unsafe { bindings::test_add_folio(self.inode.as_ptr(), page, order) })
    }

    /// Puts bytes into a page of the cache.
    pub(crate) fn fill_page(&self, page: u64, bytes: &[u8]) -> Result {
        if bytes.len() != PAGE_SIZE {
            return Err(EINVAL);
        }
        // SAFETY: The inode is valid by the type invariants, and `bytes` is a page's.
        to_result(unsafe {
            bindings::test_fill_page(self.inode.as_ptr(), page, bytes.as_ptr().cast())
        })
    }

    /// Gives the folio of a page buffers in these states.
    pub(crate) fn set_buffers(&self, page: u64, buffers: &[BufferArgs]) -> Result {
        let mut c_buffers = KVec::new();
        for buffer in buffers {
            let (bdev, block) = match buffer.block {
                None => (ptr::null_mut(), 0),
                // SAFETY: The inode is valid, and its devices open while it is.
                Some((OTHER, block)) => (
                    unsafe { bindings::test_inode_other_bdev(self.inode.as_ptr()) },
                    block,
                ),
                // SAFETY: As above.
                Some((_, block)) => (unsafe { (*(*self.inode.as_ptr()).i_sb).s_bdev }, block),
            };
            let c_buffer = bindings::test_buffer {
                bdev,
                block,
                dirty: buffer.dirty,
                uptodate: buffer.uptodate,
                boundary: buffer.boundary,
            };
            c_buffers.push(c_buffer, GFP_KERNEL)?;
        }
        // SAFETY: The inode is valid by the type invariants, and there are so many buffers.
        to_result(unsafe {
            bindings::test_set_buffers(
                self.inode.as_ptr(),
                page,
                c_buffers.as_ptr(),
                c_buffers.len() as u32,
            )
        })
    }

    /// Makes the folio of a page dirty and uptodate, but not its buffers.
    pub(crate) fn set_dirty(&self, page: u64) -> Result {
        // SAFETY: The inode is valid by the type invariants.
        to_result(unsafe { bindings::test_set_dirty(self.inode.as_ptr(), page, true) })
    }

    /// Makes the folio of a page dirty although nothing valid is in it.
    pub(crate) fn set_dirty_stale(&self, page: u64) -> Result {
        // SAFETY: The inode is valid by the type invariants.
        to_result(unsafe { bindings::test_set_dirty(self.inode.as_ptr(), page, false) })
    }

    /// Says how long the data will live.
    pub(crate) fn set_write_hint(&self, hint: u32) {
        // SAFETY: The inode is valid by the type invariants.
        unsafe { bindings::test_set_write_hint(self.inode.as_ptr(), hint) };
    }

    /// Has the engine write, and waits.
    pub(crate) fn writepages(&self, request: &Request) -> Written {
        let mut written = Written::default();
        // SAFETY: The inode is valid by the type invariants, and `written` may be written.
        unsafe { bindings::test_writepages(self.inode.as_ptr(), request, &mut written) };
        written
    }

    /// The state of the folio of a page once it is written, if it is in the cache.
    pub(crate) fn dirty_state(&self, page: u64) -> Option<DirtyState> {
        let mut state = DirtyState::default();
        // SAFETY: The inode is valid by the type invariants, and `state` may be written.
        let result = unsafe { bindings::test_dirty_state(self.inode.as_ptr(), page, &mut state) };
        (result == 0).then_some(state)
    }
}
