// SPDX-License-Identifier: GPL-2.0

//! Writing: acts on what the folios of a writeback request need.
//!
//! Locks: the lock of one folio at a time, owned by a [`DirtyFolio`]; the mapper may take the
//! filesystem's own locks inside it.
//!
//! A folio of one run joins the current bio if it continues it on the disk. A folio without buffers
//! whose blocks are scattered takes a bio for each run. Of a folio of which some blocks are dirty
//! these are written ([`dirty_blocks`](super::dirty_blocks)). A folio with buffers that are not all
//! of one run and dirty is written through them. A folio that cannot get all its blocks is written
//! as far as it has some, and stays dirty if a later writeback may save the rest.
//!
//! C counterpart: `mpage_write_folio()`, `__mpage_writepages()`.

use super::{
    counters::Fallback,
    plan::{
        after_error,
        may_pass,
        next_unmapped,
        next_writable,
        whole_run,
        Afterwards,
        Answer,
        Place,
        WritePlan, //
    },
    sink::{
        Joined,
        Sink, //
    },
    target::Target,
};
use crate::{
    abstractions::{
        block::{
            plugged,
            BlockDevice,
            SplitWriter, //
        },
        fs::Later,
        mm::{
            without_fs_reclaim,
            BlockState,
            DirtyFolio,
            Folio,
            GetBlockFn,
            WritebackControl, //
        },
    },
    mpage::{
        mapping::{
            plain,
            BlockCount,
            Extent,
            LogicalBlock,
            MapSource,
            Mapping, //
        },
        window::{
            Run,
            Window, //
        },
    },
};
use kernel::error::{
    code::{
        EIO,
        ENOMEM,
        EROFS, //
    },
    Error,
    Result, //
};

/// What a filesystem's own handler made of a folio.
#[must_use = "the folio is to be written"]
pub enum Hooked<'w, I> {
    /// It has dealt with it.
    Handled(Result),
    /// The library is to write it.
    Declined(DirtyFolio<'w, I>),
}

/// Writes the dirty folios of a request. A filesystem's `writepages` operation is this line.
///
/// # Errors
///
/// The first error of the mapper. It is recorded for the file, too, as are errors of the I/O when
/// it ends.
///
/// Context: process context, may sleep. C: `mpage_writepages()`.
pub fn writepages<M: MapSource>(mapper: M, request: WritebackControl<'_, M::Inode>) -> Result {
    writepages_with(mapper, request, |_, folio| Hooked::Declined(folio))
}

/// As [`writepages`], with a handler that sees each folio first.
///
/// C: `__mpage_writepages()`.
pub fn writepages_with<'w, M, H>(
    mapper: M,
    mut request: WritebackControl<'w, M::Inode>,
    mut hook: H,
) -> Result
where
    M: MapSource,
    H: FnMut(&WritebackControl<'w, M::Inode>, DirtyFolio<'w, M::Inode>) -> Hooked<'w, M::Inode>,
{
    plugged(|| {
        let mut writer = Writer::new(mapper, request.inode());
        let result = request.for_each(|request, folio| match hook(request, folio) {
            Hooked::Handled(result) => result,
            Hooked::Declined(folio) => writer.write(request, folio),
        });
        writer.sink.flush();
        result
    })
}

/// The state of one call.
pub(super) struct Writer<'i, M: MapSource> {
    pub(super) mapper: M,
    pub(super) inode: &'i M::Inode,
    pub(super) sink: Sink<'i>,
}

impl<'i, M: MapSource> Writer<'i, M> {
    pub(super) fn new(mapper: M, inode: &'i M::Inode) -> Self {
        Self {
            mapper,
            inode,
            sink: Sink::new(plain(inode)),
        }
    }

    fn write(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        folio: DirtyFolio<'i, M::Inode>,
    ) -> Result {
        let bits = self.sink.block_bits;
        let file_size = self.sink.inode.size();
        let place = Place::of(folio.position(), folio.size(), file_size);
        let blocks = (folio.size() >> bits) as u32;
        let file_blocks = place.file_blocks(blocks, bits);
        match place {
            Place::Beyond => {
                folio.forget();
                return Ok(());
            }
            // At each write, for a mapped page may have been written to there.
            Place::Straddles(_) => {
                folio.zero_page_behind(file_size);
                folio.give_up_unmapped(file_blocks);
            }
            Place::Inside => {}
        }
        if folio.has_buffers() {
            self.write_buffers(request, folio, file_blocks)
        } else if folio.may_have_buffers() {
            self.map_and_write(request, folio, file_blocks)
        } else {
            self.write_dirty_blocks(request, folio, file_blocks)
        }
    }

    /// Asks the mapper for blocks, and keeps what the device's cache has of fresh ones from being
    /// written over them. On a filesystem that may not change, or where there are none to be had,
    /// see [`Self::finds_others`], only where blocks are.
    pub(super) fn allocate(
        &mut self,
        folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Answer<&'i BlockDevice>> {
        self.sink.tally.mapper_calls += 1;
        without_fs_reclaim(|| {
            let error = match self.sink.inode.start_change() {
                Some(_unfrozen) => match self.mapper.map_for_write(self.inode, folio, at, max) {
                    Ok(mapping) => {
                        forget_cached(&mapping, max, self.sink.block_bits);
                        return Ok(mapping.into());
                    }
                    Err(error) if may_pass(error) && self.finds_others(folio) => error,
                    Err(error) => return Err(error),
                },
                None => EROFS,
            };
            self.find(folio, at, max, error)
        })
    }

    /// Whether blocks of a folio that have a place are written when others cannot get one: where
    /// what cannot be had now will not be had later, and always where the folio's blocks are known
    /// without buffers. C gives up what is behind an error, unless its buffer knows its place.
    fn finds_others(&self, folio: &Folio) -> bool {
        !folio.may_have_buffers() || self.sink.inode.later() == Later::Never
    }

    /// Finds the blocks that a file has. Where it has none is left out, which is `error`.
    #[cold]
    fn find(
        &self,
        folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
        error: Error,
    ) -> Result<Answer<&'i BlockDevice>> {
        let mapping = self.mapper.map(self.inode, folio, at, max)?;
        let len = mapping.len();
        match mapping.extent() {
            Extent::Mapped { .. } => Ok(mapping.into()),
            Extent::Hole => Ok(Answer::LeftOut { len, error }),
        }
    }

    /// Writes a folio that has buffers.
    fn write_buffers(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        folio: DirtyFolio<'i, M::Inode>,
        file_blocks: u32,
    ) -> Result {
        let mut fit = whole_run(folio.buffers());
        if fit.is_err() && next_unmapped(folio.buffers(), 0, file_blocks).is_some() {
            if let Err(error) = self.map_buffers(&folio, file_blocks) {
                return self.rescue_buffers(request, folio, file_blocks, error);
            }
            fit = whole_run(folio.buffers());
        }
        match fit {
            Ok(run) => self.join(request, folio, run),
            Err(unfit) => self.write_through_buffers(folio, Fallback::Unfit(unfit)),
        }
    }

    /// Maps the dirty buffers that have no block, those of the file's blocks. C maps them in
    /// `__block_write_full_folio()`, one by one, and gives up what comes behind an error.
    fn map_buffers(&mut self, folio: &DirtyFolio<'i, M::Inode>, file_blocks: u32) -> Result {
        let first = folio.position() >> self.sink.block_bits;
        let mut at = 0;
        let mut result = Ok(());
        while let Some(span) = next_unmapped(folio.buffers(), at, file_blocks) {
            let block = LogicalBlock(first + u64::from(span.start));
            let mapping = match self.allocate(folio, block, BlockCount(span.len))? {
                Answer::Blocks(mapping) => mapping,
                Answer::LeftOut { len, error } if len.0 > 0 => {
                    result = result.and(Err(error));
                    at = span.start + len.0.min(span.len);
                    continue;
                }
                Answer::LeftOut { .. } => return Err(EIO),
            };
            let Extent::Mapped { device, start } = *mapping.extent() else {
                return Err(EIO);
            };
            let len = mapping.len().0.min(span.len);
            if len == 0 || start.0.checked_add(u64::from(len)).is_none() {
                return Err(EIO);
            }
            let state = BlockState {
                device,
                block: start.0,
                boundary: mapping.is_boundary() && mapping.len().0 <= span.len,
            };
            folio.map_buffers(span.start, len, &state);
            at = span.start + len;
        }
        result
    }

    /// Some buffers could not get their blocks: writes the others. C: the `recover` part of
    /// `__block_write_full_folio()`, which does the same but never keeps anything dirty. The mapper
    /// is not asked again, as C does: its answer may have made no sense.
    #[cold]
    fn rescue_buffers(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        folio: DirtyFolio<'i, M::Inode>,
        file_blocks: u32,
        error: Error,
    ) -> Result {
        let mut target = Target::Whole(folio);
        let mut at = 0;
        while let Some(run) = next_writable(target.buffers(), at, file_blocks) {
            target = self.save(request, target, run, error)?;
            at = run.span.end();
        }
        self.end_rescue(request, target, error)
    }

    /// Maps a folio that has no buffers, but may get them, and does what the plan says.
    fn map_and_write(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        folio: DirtyFolio<'i, M::Inode>,
        file_blocks: u32,
    ) -> Result {
        let bits = self.sink.block_bits;
        let first = folio.position() >> bits;
        let file_end = (first + u64::from(file_blocks)) << bits;
        let mut window = Window::new(file_end, bits);
        let mut plan = WritePlan::new(&mut window, first, file_blocks);
        let mut target = Target::Whole(folio);
        let mut held: Option<Run<_>> = None;
        if !target.folio().is_uptodate() {
            // Nobody may have made such a folio dirty; what is in it is not the file.
            return self.rescue(request, target, None, EIO);
        }
        loop {
            match plan.next(|at, max| self.allocate(target.folio(), at, max)) {
                Err(error) => return self.rescue(request, target, held, error),
                Ok(None) => break,
                Ok(Some(run)) => {
                    let Some(earlier) = held.replace(run) else {
                        continue;
                    };
                    target = match self.split(target) {
                        Ok(split) => split,
                        Err(folio) => return self.write_through_buffers(folio, Fallback::NoMemory),
                    };
                    target.write(&mut self.sink, request, earlier);
                }
            }
        }
        match (target, held) {
            (Target::Whole(folio), Some(run)) => self.join(request, folio, run),
            (Target::Split(split), Some(run)) => {
                self.sink.tally.split_folios += 1;
                self.sink.write_piece(request, &split, run);
                Ok(())
            }
            // A folio of the file has a block at least.
            (target, None) => self.rescue(request, target, None, EIO),
        }
    }

    /// The mapper has failed: writes what is mapped.
    #[cold]
    pub(super) fn rescue(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        mut target: Target<'i, M::Inode>,
        held: Option<Run<&'i BlockDevice>>,
        error: Error,
    ) -> Result {
        if let Some(run) = held {
            target = self.save(request, target, run, error)?;
        }
        self.end_rescue(request, target, error)
    }

    /// Writes a run of a folio that will fail with `error`. Without memory to do so the folio stays
    /// dirty as a whole, blocks of its own included, and that is the error.
    #[cold]
    pub(super) fn save(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        target: Target<'i, M::Inode>,
        run: Run<&BlockDevice>,
        error: Error,
    ) -> Result<Target<'i, M::Inode>> {
        match self.split(target) {
            Ok(target) => {
                target.write(&mut self.sink, request, run);
                Ok(target)
            }
            Err(folio) => {
                drop(folio);
                self.sink.fail(request, error);
                Err(error)
            }
        }
    }

    /// What could be written of a folio is being written; says what becomes of the rest.
    fn end_rescue(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        target: Target<'i, M::Inode>,
        error: Error,
    ) -> Result {
        self.sink.fail(request, error);
        // What has a block still could not be written now: somebody has its buffer.
        let mut buffers = target.buffers();
        let keeps_some = target.keeps_some() || buffers.any(|it| it.dirty && it.block.is_some());
        let afterwards = if keeps_some {
            Afterwards::Dirty
        } else {
            after_error(error, request.reason(), self.sink.inode.later())
        };
        match afterwards {
            Afterwards::Dirty => self.sink.tally.redirtied_folios += 1,
            Afterwards::Clean => {
                let first = target.folio().position() >> self.sink.block_bits;
                let blocks = (target.folio().size() >> self.sink.block_bits) as u64;
                self.mapper.give_up(self.inode, first..first + blocks);
            }
        }
        match (target, afterwards) {
            (Target::Whole(folio), Afterwards::Dirty) => drop(folio),
            // Otherwise it is so already.
            (Target::Split(split), Afterwards::Dirty) if !split.keeps_some() => split.redirty(),
            (Target::Split(_), Afterwards::Dirty) => {}
            (Target::Whole(folio), Afterwards::Clean) => {
                folio.give_up_unmapped(0);
                folio.end_clean();
            }
            (Target::Split(split), Afterwards::Clean) => split.give_up_unmapped(),
        }
        Err(error)
    }

    /// Prepares for several bios. With no memory the folio comes back.
    pub(super) fn split(
        &mut self,
        target: Target<'i, M::Inode>,
    ) -> Result<Target<'i, M::Inode>, DirtyFolio<'i, M::Inode>> {
        match target {
            Target::Whole(folio) => {
                self.sink.flush();
                SplitWriter::of_valid_pieces(folio).map(Target::Split)
            }
            split => Ok(split),
        }
    }

    /// Writes a folio of one run.
    pub(super) fn join(
        &mut self,
        request: &WritebackControl<'_, M::Inode>,
        folio: DirtyFolio<'i, M::Inode>,
        run: Run<&'i BlockDevice>,
    ) -> Result {
        match self.sink.join(request, folio, run) {
            Joined::InBio => Ok(()),
            Joined::NoMemory(folio) => self.write_through_buffers(folio, Fallback::NoMemory),
            Joined::Nowhere(folio) => self.rescue(request, Target::Whole(folio), None, EIO),
        }
    }

    #[cold]
    fn write_through_buffers(
        &mut self,
        folio: DirtyFolio<'i, M::Inode>,
        reason: Fallback,
    ) -> Result {
        self.sink.flush();
        if !folio.may_have_buffers() {
            // There is no memory to write it: it stays dirty.
            return Err(ENOMEM);
        }
        self.sink.tally.fallback(reason);
        let inode = self.sink.inode;
        let get_block = self.mapper.get_block();
        if let Some(_unfrozen) = inode.start_change() {
            return without_fs_reclaim(|| folio.write_through_buffers(get_block));
        }
        // Where blocks are is asked before, and then for none.
        let bits = self.sink.block_bits;
        let place = Place::of(folio.position(), folio.size(), inode.size());
        without_fs_reclaim(|| folio.make_dirty_buffers(bits));
        let file_blocks = place.file_blocks((folio.size() >> bits) as u32, bits);
        let mapped = self.map_buffers(&folio, file_blocks);
        // What has none by now is refused, and given up.
        let written = folio.write_through_buffers(GetBlockFn::NO_BLOCKS);
        mapped.and(written)
    }
}

/// Keeps what the device's cache has of fresh blocks from being written over them; `max` were asked
/// for.
fn forget_cached(mapping: &Mapping<&BlockDevice>, max: BlockCount, block_bits: u32) {
    if let (true, Extent::Mapped { device, start }) = (mapping.is_new(), mapping.extent()) {
        // What is behind the question is not used, and somebody else's.
        device.forget_cached(start.0, mapping.len().0.min(max.0), block_bits);
    }
}
