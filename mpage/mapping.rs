// SPDX-License-Identifier: GPL-2.0

//! Where the blocks of a file are: the vocabulary, and the trait that a filesystem implements.

use crate::abstractions::{
    block::BlockDevice,
    fs::{
        Inode,
        InodeType, //
    },
    mm::{
        without_fs_reclaim,
        BlockSource,
        Create,
        Filled,
        Folio,
        FoundBlocks,
        GetBlockFn,
        Sealed, //
    },
};
use core::ops::Range;
use kernel::error::{
    code::{
        EIO,
        EROFS, //
    },
    Result, //
};

/// The index of a block within a file, in filesystem blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogicalBlock(pub u64);

/// The index of a block on a device, in filesystem blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PhysicalBlock(pub u64);

/// A number of filesystem blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockCount(pub u32);

/// What a run of file blocks is: nothing, or as many consecutive blocks of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent<D> {
    /// No blocks; reads give zeros.
    Hole,
    /// Consecutive blocks of `device` from `start` on.
    Mapped {
        /// The device, a `&BlockDevice`.
        device: D,
        /// The first block.
        start: PhysicalBlock,
    },
}

/// A mapper's answer: what the file has from the block that was asked for on.
///
/// `D` is `&BlockDevice`; the planner does not look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<D> {
    pub(super) len: BlockCount,
    pub(super) extent: Extent<D>,
    pub(super) boundary: bool,
    pub(super) filled: Option<Filled>,
    pub(super) new: bool,
}

impl<D> Mapping<D> {
    /// `len` blocks of nothing. At least 1; the longer, the fewer questions.
    pub fn hole(len: BlockCount) -> Self {
        Self {
            len,
            extent: Extent::Hole,
            boundary: false,
            filled: None,
            new: false,
        }
    }

    /// `len` consecutive blocks of `device` from `start` on; at least 1.
    pub fn mapped(device: D, start: PhysicalBlock, len: BlockCount) -> Self {
        Self {
            len,
            extent: Extent::Mapped { device, start },
            boundary: false,
            filled: None,
            new: false,
        }
    }

    /// The mapping ends in front of metadata that must be read to map what follows and that is
    /// probably next on the disk: I/O should go out before that read. C: `BH_Boundary`.
    pub fn with_boundary(mut self) -> Self {
        self.boundary = true;
        self
    }

    /// The mapper has filled the first block of the mapping in the folio that it was asked for: it
    /// is not to be read again. C: `BH_Uptodate` set by a `get_block_t`.
    pub(crate) fn with_filled(mut self, filled: Filled) -> Self {
        self.filled = Some(filled);
        self
    }

    /// The blocks, or some of them, were allocated to answer the question: what is in them is not
    /// the file's yet, and what the device's own cache has of them is out of date. C: `BH_New`.
    pub fn with_new(mut self) -> Self {
        self.new = true;
        self
    }

    /// Blocks from the one that was asked for on.
    pub fn len(&self) -> BlockCount {
        self.len
    }

    /// What they are.
    pub fn extent(&self) -> &Extent<D> {
        &self.extent
    }

    /// Whether [`Self::with_boundary`] was said of it.
    pub fn is_boundary(&self) -> bool {
        self.boundary
    }

    /// Whether [`Self::with_new`] was said of it.
    pub fn is_new(&self) -> bool {
        self.new
    }
}

/// The one thing a filesystem says: where is this block?
///
/// Usually implemented by a unit struct. Everything is monomorphised: a call per run of blocks,
/// direct, where C has an indirect call per block.
///
/// The locks that are named here are those that the library has when it asks. A filesystem that
/// asks itself without them, or answers what is not so, spoils what is in its own files, and
/// nothing else: an answer that makes no sense is an error.
///
/// # Examples
///
/// ```ignore
/// #[derive(Clone, Copy, Default)]
/// struct Contiguous;
///
/// impl BlockMapper for Contiguous {
///     type Inode = FsInode<MyFs>;
///
///     fn lookup<'i>(
///         &self,
///         inode: &'i FsInode<MyFs>,
///         at: LogicalBlock,
///         max: BlockCount,
///     ) -> Result<Mapping<&'i BlockDevice>> {
///         let start = PhysicalBlock(inode.data().first_block + at.0);
///         Ok(Mapping::mapped(inode.device(), start, max))
///     }
/// }
/// ```
pub trait BlockMapper: Copy + Default + 'static {
    /// The filesystem's inode type.
    type Inode: InodeType;

    /// Says what block `at` of the file and those behind it are, for `max` blocks at most (at least
    /// 1). They lie before the end of the file, or, when that moves on, behind it in its page;
    /// where the file has nothing the answer is a hole. It covers `at` and should be as long as is
    /// known without further I/O.
    ///
    /// May sleep and read metadata. Who goes through the page cache holds the lock of the folio
    /// with `at`, and perhaps those of others of the file. Who does not holds none, but `i_rwsem`,
    /// at least shared: direct reads, `SEEK_HOLE` and `SEEK_DATA`. What the filesystem itself asks
    /// from `bmap` and `fiemap` is with what these hold.
    ///
    /// # Errors
    ///
    /// Any; it reaches the reader of the folio, or who has asked.
    fn lookup<'i>(
        &self,
        inode: &'i Self::Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>>;

    /// As [`lookup`](Self::lookup), for who writes to what is there without the page cache: blocks
    /// that the filesystem itself needs are an error. The caller holds `i_rwsem` exclusively, and
    /// no folio lock.
    ///
    /// Left as it is where `lookup` makes sure of that.
    ///
    /// # Errors
    ///
    /// Any; it reaches the writer.
    fn lookup_to_overwrite<'i>(
        &self,
        inode: &'i Self::Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        self.lookup(inode, at, max)
    }

    /// As [`lookup_to_overwrite`](Self::lookup_to_overwrite), if the answer is known without
    /// waiting for the device or for somebody else. The caller holds `i_rwsem`: perhaps shared, for
    /// requests that may not wait; exclusively, and the locks of the folio with `at` and perhaps of
    /// that with the old end of the file, in [`Backer::back_at_once`](crate::Backer::back_at_once).
    /// So it locks no folio.
    ///
    /// Left as it is where nothing is known without looking: who asks comes again, and waits.
    fn recall<'i>(
        &self,
        inode: &'i Self::Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Option<Mapping<&'i BlockDevice>> {
        let _ = (inode, at, max);
        None
    }

    /// Says where block `at` of the file and those behind it are, for `max` blocks at most (at
    /// least 1), and allocates what is missing: the answer is never a hole. It should be as long as
    /// it can be, but may end before `max`; [`Mapping::with_new`] if its blocks are fresh: all of
    /// them are, or none.
    ///
    /// May sleep, read and change metadata. The caller holds the lock of the folio with `at`, and
    /// perhaps that of the folio with the old end of the file; in a write `i_rwsem` exclusively, at
    /// a fault `invalidate_lock` shared, in writeback neither. It writes all blocks of the answer
    /// that are fresh, or zeroes them: nobody sees what was in them before. Memory that is
    /// allocated in here is not reclaimed from filesystems.
    ///
    /// Left as it is, for a filesystem that is only read.
    ///
    /// # Errors
    ///
    /// Any; `ENOSPC`, `EDQUOT`, `ENOMEM`, `EAGAIN` and `EINTR` mean that it may be worth to ask
    /// again later. It reaches the writer, or, in writeback, the next `fsync(2)`.
    fn allocate<'i>(
        &self,
        inode: &'i Self::Inode,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let _ = (inode, at, max);
        Err(EROFS)
    }

    /// What was to be written to these blocks is given up, or they are no part of the file any
    /// more. For a filesystem that has promised them places, see [`Backer`](crate::Backer).
    ///
    /// The caller holds the lock of the folio that they are in. Truncation holds `i_rwsem` and
    /// `invalidate_lock` exclusively besides; memory that fails, and writeback that gives data up,
    /// neither.
    fn forget(&self, inode: &Self::Inode, blocks: Range<u64>) {
        let _ = (inode, blocks);
    }
}

impl<M: BlockMapper> Sealed for M {}

/// What the engine asks: a [`BlockMapper`], or a C `get_block_t`. There are no others.
pub trait MapSource: Sealed + Copy {
    /// The inode type.
    type Inode: InodeType;

    /// As [`BlockMapper::lookup`], for the sake of `folio`.
    fn map<'i>(
        &self,
        inode: &'i Self::Inode,
        folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>>;

    /// As [`BlockMapper::allocate`], for the sake of `folio`.
    fn map_for_write<'i>(
        &self,
        inode: &'i Self::Inode,
        folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>>;

    /// The same mapper for the kernel's buffer functions.
    fn get_block(&self) -> GetBlockFn<Self::Inode>;

    /// As [`BlockMapper::forget`].
    fn give_up(&self, inode: &Self::Inode, blocks: Range<u64>) {
        let _ = (inode, blocks);
    }
}

impl<M: BlockMapper> MapSource for M {
    type Inode = M::Inode;

    #[inline]
    fn map<'i>(
        &self,
        inode: &'i M::Inode,
        _folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        self.lookup(inode, at, max)
    }

    #[inline]
    fn map_for_write<'i>(
        &self,
        inode: &'i M::Inode,
        _folio: &Folio,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        self.allocate(inode, at, max)
    }

    fn get_block(&self) -> GetBlockFn<M::Inode> {
        GetBlockFn::of::<M>()
    }

    fn give_up(&self, inode: &M::Inode, blocks: Range<u64>) {
        self.forget(inode, blocks)
    }
}

/// A mapper for the kernel's buffer functions, which ask it for a block at a time or a few.
impl<M: BlockMapper> BlockSource for M {
    type Inode = M::Inode;

    fn find(
        inode: &M::Inode,
        at: u64,
        max: u32,
        create: Create,
    ) -> Result<Option<FoundBlocks<'_>>> {
        let (at, max) = (LogicalBlock(at), BlockCount(max));
        let mapping = match create {
            Create::No => M::default().lookup(inode, at, max),
            Create::Yes => without_fs_reclaim(|| M::default().allocate(inode, at, max)),
        }?;
        if mapping.len.0 == 0 {
            return Err(EIO);
        }
        match mapping.extent {
            Extent::Hole if create == Create::Yes => Err(EIO),
            Extent::Hole => Ok(None),
            Extent::Mapped { device, start } => Ok(Some(FoundBlocks {
                device,
                block: start.0,
                len: mapping.len.0,
                boundary: mapping.boundary,
                new: mapping.new,
            })),
        }
    }
}

/// Any inode type gives the plain inode.
#[inline]
pub(super) fn plain<I: InodeType>(inode: &I) -> &Inode {
    inode.as_ref()
}
