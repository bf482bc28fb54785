// SPDX-License-Identifier: GPL-2.0

//! The room for storing: the seam between a file's page cache and how a write gets into it.
//!
//! Everything that puts new data into the cache goes through this room: into regular files, by
//! `write(2)` and its relatives and by the first store to a mapped page, in [`folio_writes`],
//! without buffer_heads, [`backer`] saying how its blocks are had; into directories and symbolic
//! links in [`BufferedWrites`], with them. What is behind the end of a file is in [`file_end`].
//!
//! May use: `mapping`, and the layer below.
//!
//! Locks: the begin of a write locks the folio, and in front of it that of the file's old end; its
//! end releases both. The mapper is called with the folios locked.
//!
//! C counterpart: `block_write_begin()`, `generic_write_end()`.

mod backer;
mod file_end;
mod folio_writes;

pub use self::backer::{
    Backed,
    Backer, //
};
pub use self::file_end::{
    set_size,
    truncate_tail,
    NewSize, //
};
pub use self::folio_writes::FolioWrites;

use self::file_end::OldEnd;
use super::mapping::{
    plain,
    BlockMapper, //
};
use crate::abstractions::{
    fs::{
        CacheWrites,
        Called,
        ExclusiveInode,
        SealedWrites, //
    },
    mm::{
        without_fs_reclaim,
        BegunWrite,
        EndedWrite,
        GetBlockFn,
        GrabbedFolio,
        ReadyFolio, //
    },
};
use core::marker::PhantomData;
use kernel::error::Result;

/// Writes to the cache of files whose blocks `M` knows, by the kernel's buffer functions.
pub struct BufferedWrites<M>(PhantomData<M>);

impl<M: BlockMapper> SealedWrites for BufferedWrites<M> {}

impl<M: BlockMapper> CacheWrites for BufferedWrites<M> {
    type Inode = M::Inode;

    /// Finds or makes the folio for a write at `pos` and makes ready up to `len` bytes of it, as
    /// many as it has: blocks that the write does not cover wholly are read, missing ones
    /// allocated. If the write will leave a gap behind the end of the file, what is there is zero
    /// from now on, and the folio with the end stays locked, too: both locks are held until the
    /// size is another.
    ///
    /// C: `block_write_begin()`; folios may be of any order.
    fn begin<'i>(
        _called: Called,
        inode: &ExclusiveInode<'i, M::Inode>,
        pos: u64,
        len: u32,
    ) -> Result<BegunWrite<'i, M::Inode>> {
        let (folio, old_end) = grab::<M>(inode, pos, 0, false)?;
        Ok(BegunWrite {
            folio: ReadyFolio::new(folio, pos, len, GetBlockFn::of::<M>())?,
            old_end,
        })
    }

    /// C: `generic_write_end()`, which moves the end to `pos` even if nothing was copied.
    fn end(mut write: EndedWrite<'_, M::Inode>) -> u32 {
        let inode = write.inode();
        let (written, end) = write.commit();
        let grows = written != 0 && end > plain(inode.inode()).size();
        if grows {
            // With the folio locked, or writeback would zero what is in it, and with that of the
            // old end, or somebody could have stored behind it.
            inode.write_size(end);
        }
        write.unlock();
        if grows {
            plain(inode.inode()).mark_dirty();
        }
        written
    }
}

/// The folios of a write.
type Grabbed<'i, I> = (GrabbedFolio<'i, I>, Option<GrabbedFolio<'i, I>>);

/// The folio for a write at `pos`, of up to `size` bytes if it has to be made, and then to leave
/// memory when it has been written if the write `drops_behind`; and that with the old end of the
/// file, if the write leaves a gap behind that and it is another one.
#[inline]
fn grab<'i, M: BlockMapper>(
    inode: &ExclusiveInode<'i, M::Inode>,
    pos: u64,
    size: usize,
    drops_behind: bool,
) -> Result<Grabbed<'i, M::Inode>> {
    if pos <= plain(inode.inode()).size() {
        return Ok((GrabbedFolio::sized(inode, pos, size, drops_behind)?, None));
    }
    grab_behind_gap::<M>(inode, pos, size, drops_behind)
}

/// As [`grab`], behind the end of the file.
#[inline(never)]
fn grab_behind_gap<'i, M: BlockMapper>(
    inode: &ExclusiveInode<'i, M::Inode>,
    pos: u64,
    size: usize,
    drops_behind: bool,
) -> Result<Grabbed<'i, M::Inode>> {
    match OldEnd::clear::<M>(inode, pos)?.map(|end| end.into_folio_of(pos)) {
        None => Ok((GrabbedFolio::sized(inode, pos, size, drops_behind)?, None)),
        Some(Ok(folio)) => Ok((folio, None)),
        // Writeback may have a bio with folios in front of the end, and wait for the lock of that;
        // so nobody who holds it waits for writeback to get memory.
        Some(Err(end)) => Ok((
            without_fs_reclaim(|| GrabbedFolio::sized(inode, pos, size, drops_behind))?,
            Some(end.into_folio()),
        )),
    }
}
