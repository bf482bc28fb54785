// SPDX-License-Identifier: GPL-2.0

//! What a mounted filesystem does with its blocks of metadata.
//!
//! A [`Buffer`] may be kept for longer than the filesystem is mounted, and its device is not there
//! for longer. So whatever needs the device is asked of the filesystem, which acts on its own
//! blocks only.
//!
//! Locks: inside, that of a buffer, and those of [`Unwritten`](crate::fs::Unwritten).

use super::{
    FileSystem,
    Level,
    SuperBlock, //
};
use crate::{
    abstractions::{
        block::plugged,
        fs::{
            buffers::{
                Found,
                Sweep, //
            },
            Buffer, //
        },
    },
    bindings, //
};
use core::{
    ops::Range,
    ptr, //
};
use kernel::prelude::*;

/// How often the blocks are tried that cannot be written when the filesystem is unmounted.
const TRIES: u32 = 2;

impl<T: FileSystem> SuperBlock<T> {
    /// Reads block number `block`, unless it is in memory. C: `sb_bread()`.
    ///
    /// If a write of it has failed, what is in memory is right; it is to be written again, and the
    /// filesystem hears of it: [`FileSystem::write_failed`].
    ///
    /// Fails with `EIO` if the block cannot be read or is not on the device.
    #[inline]
    pub fn bread(&self, block: u64) -> Result<Buffer> {
        self.bread_among(block, block..block)
    }

    /// As [`Self::bread`]; if the block has to be read, the blocks of `around` that are not in
    /// memory begin to be read with it, for who will want them soon. C: what
    /// `__ext4_get_inode_loc()` does around the block of an inode.
    ///
    /// Fails as [`Self::bread`]; what becomes of the others is not asked.
    #[inline]
    pub fn bread_among(&self, block: u64, around: Range<u64>) -> Result<Buffer> {
        let begin = || plugged(|| around.for_each(|block| self.readahead_block(block)));

        match Buffer::read(self, block, begin)? {
            Found::AsIs(buffer) => Ok(buffer),
            Found::Rescued(buffer) => {
                self.note_rescued(&buffer);
                Ok(buffer)
            }
        }
    }

    /// Block number `block`, if it is in memory. C: `sb_find_get_block()`.
    ///
    /// If a write of it has failed it is to be written again, as in [`Self::bread`].
    pub fn cached(&self, block: u64) -> Option<Buffer> {
        match Buffer::cached(self, block)? {
            Found::AsIs(buffer) => Some(buffer),
            Found::Rescued(buffer) => {
                self.note_rescued(&buffer);
                Some(buffer)
            }
        }
    }

    /// Marks a metadata block of the filesystem to be written. C: `mark_buffer_dirty()`.
    ///
    /// If an earlier write of it has failed the filesystem hears of it.
    #[inline]
    pub fn mark_dirty(&self, buffer: &Buffer) {
        if !self.owns(buffer) {
            return;
        }
        let failed = buffer.mark_dirty();

        self.keep_unwritten(buffer);
        if failed {
            T::write_failed(self, buffer.number());
        }
    }

    /// Forgets what is in memory of block number `block`, which is no metadata and not dirty: it is
    /// read when it is asked for next. A file's pages are written past it.
    pub fn forget_cached(&self, block: u64) {
        // SAFETY: The superblock is valid and has an open device. Whoever else has the block can
        // cope with its not being valid, as after a failed write.
        unsafe { bindings::rust_mpage_helper_forget_cached_block(self.as_raw(), block) }
    }

    /// Has a metadata block of the filesystem whose write has failed written again, and the
    /// filesystem hear of it.
    pub fn rescue(&self, buffer: &Buffer) {
        if self.owns(buffer) && buffer.rescue() {
            self.note_rescued(buffer);
        }
    }

    /// As [`Self::rescue`], but the filesystem hears of it later.
    pub(super) fn rescue_silently(&self, buffer: &Buffer) {
        if self.owns(buffer) {
            buffer.rescue();
        }
    }

    /// Writes a block of the filesystem if it is dirty, and waits until it is on the device.
    /// C: `sync_dirty_buffer()`.
    ///
    /// Fails with `EIO` if this write fails, or an earlier one has and nobody has heard of it. A
    /// block whose write has failed is to be written again. Fails with `EXDEV` if the block is
    /// another filesystem's.
    pub fn sync_buffer(&self, buffer: &Buffer) -> Result {
        match self.owns(buffer) {
            true => buffer.sync(),
            false => Err(EXDEV),
        }
    }

    /// Begins to write a block of the filesystem if it is dirty; a write that is on its way is
    /// waited for first. C: `write_dirty_buffer()`.
    ///
    /// Fails with `EXDEV` if the block is another filesystem's.
    pub fn start_write(&self, buffer: &Buffer) -> Result {
        if !self.owns(buffer) {
            return Err(EXDEV);
        }
        buffer.start_write();
        Ok(())
    }

    /// A metadata block is dirty because a write of it has failed.
    #[cold]
    pub(super) fn note_rescued(&self, buffer: &Buffer) {
        self.keep_unwritten(buffer);
        T::write_failed(self, buffer.number());
    }

    /// Keeps a metadata block that has been marked dirty just now until it is written.
    #[inline]
    pub(in crate::abstractions::fs) fn keep_unwritten(&self, buffer: &Buffer) {
        T::unwritten(self).keep(buffer);
    }

    /// Whether a block is of the filesystem's device; says so if it is not.
    #[inline]
    pub(in crate::abstractions::fs) fn owns(&self, buffer: &Buffer) -> bool {
        let owns = buffer.is_of(self);
        if !owns {
            self.message(
                Level::Error,
                fmt!(
                    "error: block {} is of another device and left alone, which is a bug of the driver",
                    buffer.number()
                ),
            );
        }
        owns
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// Has all metadata blocks whose write has failed written again, and the filesystem hear of
    /// them.
    pub(in crate::abstractions::fs) fn rescue_all(&self) {
        let unwritten = T::unwritten(self);
        let _sweeping = unwritten.sweeping.lock();

        // First, so that what fails from now on is looked at the next time.
        unwritten.errors.advance(self.device());
        Sweep(unwritten).over(usize::MAX, |buffer| self.rescue(buffer));
    }

    /// Has those who sync the filesystem hear that something could not be written.
    /// C: `errseq_set()` of `s_wb_err`.
    pub(in crate::abstractions::fs) fn note_write_error(&self, error: Error) {
        // SAFETY: The superblock is valid; the field is changed atomically.
        unsafe {
            bindings::errseq_set(
                ptr::addr_of_mut!((*self.as_raw()).s_wb_err),
                error.to_errno(),
            )
        };
    }

    /// As [`Self::rescue_all`], if the device could not write something since.
    pub(in crate::abstractions::fs) fn rescue_after_error(&self) {
        if T::unwritten(self).errors.has_new(self.device()) {
            self.rescue_all();
        }
    }

    /// Writes all metadata blocks and waits for them. The filesystem hears of those that cannot be
    /// written. For the end of a mount.
    pub fn write_metadata(&self) {
        let unwritten = T::unwritten(self);
        let _sweeping = unwritten.sweeping.lock();
        let sweep = Sweep(unwritten);

        for _ in 0..TRIES {
            plugged(|| {
                sweep.over(usize::MAX, |buffer| {
                    self.rescue_silently(buffer);
                    // It is one of this filesystem's.
                    let _ = self.start_write(buffer);
                })
            });
            // One that fails is dirty again.
            sweep.over(usize::MAX, |buffer| {
                let _ = self.sync_buffer(buffer);
            });
            sweep.over(usize::MAX, |_| {});
        }
        sweep.over(usize::MAX, |buffer| T::write_failed(self, buffer.number()));
    }
}
