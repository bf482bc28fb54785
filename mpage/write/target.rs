// SPDX-License-Identifier: GPL-2.0

//! A folio that is being written, from when it is picked until all of it is in bios.
//!
//! Locks: the folio is locked.

use super::sink::Sink;
use crate::{
    abstractions::{
        block::{
            BlockDevice,
            SplitWriter, //
        },
        fs::InodeType,
        mm::{
            Buffers,
            DirtyFolio,
            Folio,
            WritebackControl, //
        },
    },
    mpage::window::Run,
};
use core::ops::Range;

/// A folio while its plan is carried out.
pub(super) enum Target<'w, I> {
    /// One run, or none, so far.
    Whole(DirtyFolio<'w, I>),
    /// Several.
    Split(SplitWriter<'w, I>),
}

impl<'w, I: InodeType> Target<'w, I> {
    pub(super) fn folio(&self) -> &Folio {
        match self {
            Self::Whole(folio) => folio,
            Self::Split(split) => split.folio(),
        }
    }

    /// The first dirty blocks of the folio in a range of it, which has no buffers.
    pub(super) fn next_dirty(&self, range: Range<u32>) -> Option<Range<u32>> {
        match self {
            Self::Whole(folio) => folio.blocks()?.next_dirty(range),
            Self::Split(split) => split.next_dirty(range),
        }
    }

    /// These blocks of the folio, which has no buffers, are given up: they need not be written. If
    /// nothing was kept of its blocks, those of `unwritten` are dirty but for them.
    #[cold]
    pub(super) fn give_up(&self, range: Range<u32>, unwritten: Range<u32>) {
        let blocks = match self {
            Self::Whole(folio) => folio.blocks(),
            Self::Split(split) => split.blocks(),
        };
        if let Some(blocks) = blocks {
            blocks.give_up(range, unwritten);
        }
    }

    /// The buffers of the folio.
    pub(super) fn buffers(&self) -> Buffers<'_, 'w> {
        match self {
            Self::Whole(folio) => folio.buffers(),
            Self::Split(split) => split.buffers(),
        }
    }

    /// Has what may change at any time stay dirty, of a folio that has no buffers, and of whose
    /// blocks so many are the file's.
    pub(super) fn keep_if_pinned(&self, file_blocks: u32) {
        if let Self::Whole(folio) = self {
            if let Some(blocks) = folio.blocks() {
                blocks.keep_if_pinned(file_blocks);
            }
        }
    }

    /// Whether something that has a place could not be written for want of memory.
    pub(super) fn keeps_some(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Split(split) => split.keeps_some(),
        }
    }

    /// Writes a run of a folio of several.
    pub(super) fn write(
        &self,
        sink: &mut Sink<'_>,
        request: &WritebackControl<'_, I>,
        run: Run<&BlockDevice>,
    ) {
        if let Self::Split(split) = self {
            sink.write_piece(request, split, run);
        }
    }
}
