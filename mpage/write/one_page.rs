// SPDX-License-Identifier: GPL-2.0

//! Writing one folio that the caller holds, as the `writepage` operation did that Linux has no
//! more: it goes out as one bio, or it comes back.
//!
//! Locks: as those of [`engine`](super::engine).
//!
//! C counterpart: `mpage_writepage()` of 2017.

use super::{
    engine::Writer,
    plan::{
        whole_run,
        Place,
        WritePlan, //
    },
    sink::Joined, //
};
use crate::{
    abstractions::{
        block::BlockDevice,
        mm::{
            DirtyFolio,
            Folio,
            WritebackControl, //
        },
    },
    mpage::{
        mapping::MapSource,
        window::{
            Run,
            Window, //
        },
    },
};

/// Writes a folio whose blocks are one run on the disk; without buffers, it is given those that it
/// lacks. Any other folio comes back as it was, for the caller to write in another way: with
/// buffers in any other state, behind the end of the file, scattered, or not to be mapped. What the
/// mapper has allocated until then it will find again.
///
/// Context: process context, may sleep.
pub(crate) fn writepage<'w, M: MapSource>(
    mapper: M,
    request: &WritebackControl<'w, M::Inode>,
    folio: DirtyFolio<'w, M::Inode>,
) -> Result<(), DirtyFolio<'w, M::Inode>> {
    let mut writer = Writer::new(mapper, request.inode());
    let result = writer.write_one(request, folio);
    writer.sink.flush();
    result
}

impl<'i, M: MapSource> Writer<'i, M> {
    fn write_one(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        folio: DirtyFolio<'i, M::Inode>,
    ) -> Result<(), DirtyFolio<'i, M::Inode>> {
        let bits = self.sink.block_bits;
        let file_size = self.sink.inode.size();
        let place = Place::of(folio.position(), folio.size(), file_size);
        let file_blocks = place.file_blocks((folio.size() >> bits) as u32, bits);
        match place {
            Place::Beyond => return Err(folio),
            Place::Straddles(_) => folio.zero_behind(file_size),
            Place::Inside => {}
        }
        let run = if folio.has_buffers() {
            whole_run(folio.buffers()).ok()
        } else if folio.is_uptodate() {
            self.only_run(&folio, file_blocks)
        } else {
            None
        };
        let Some(run) = run else {
            return Err(folio);
        };
        match self.sink.join(request, folio, run) {
            Joined::InBio => Ok(()),
            Joined::NoMemory(folio) | Joined::Nowhere(folio) => Err(folio),
        }
    }

    /// The run that a folio without buffers is, if it is one.
    fn only_run(&mut self, folio: &Folio, file_blocks: u32) -> Option<Run<&'i BlockDevice>> {
        let bits = self.sink.block_bits;
        let first = folio.position() >> bits;
        let mut window = Window::new((first + u64::from(file_blocks)) << bits, bits);
        let mut plan = WritePlan::new(&mut window, first, file_blocks);
        let run = plan
            .next(|at, max| self.allocate(folio, at, max))
            .ok()
            .flatten()?;
        match plan.next(|at, max| self.allocate(folio, at, max)) {
            Ok(None) => Some(run),
            _ => None,
        }
    }
}
