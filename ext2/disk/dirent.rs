// SPDX-License-Identifier: GPL-2.0

//! The entries of a directory.
//!
//! A directory is a file of blocks; each block is filled by entries, each of which says how far it
//! is to the next. [`Entries`] walks over the bytes of one block or of several and gives either
//! entries that have been checked, or the first error, after which it ends: an entry that is given
//! is wholly inside its block, and each step goes forward, so that no walk can loop.
//!
//! The checks are those of `ext2_check_folio()`, done at each walk rather than once for a folio,
//! and that a name in use is not empty. That a name holds neither `/` nor NUL is left to the VFS.
//!
//! Locks: none. The bytes must not change while they are walked over: hold what keeps the directory
//! from being written.

use super::{
    block_size::BlockSize,
    dirent_plain::{
        Plain,
        Wanted, //
    },
    structures::{
        mode,
        DirEntryHeader,
        Le16,
        Le32,
        NAME_LEN, //
    },
};
use kernel::{
    fmt,
    prelude::*, //
};

/// Entries start at multiples of this many bytes, `EXT2_DIR_PAD`.
pub(crate) const ALIGN: u32 = 4;

/// `rec_len` of an entry that fills a block of 64 KiB, `EXT2_MAX_REC_LEN`.
const MAX_REC_LEN: u16 = u16::MAX;

/// The type of an inode, as directory entries and modes have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A symbolic link.
    Symlink,
}

impl FileType {
    /// From the type in a directory entry, `FT_*`; `None` if it is unknown.
    pub(crate) fn from_entry(file_type: u8) -> Option<Self> {
        match file_type {
            1 => Some(Self::Regular),
            2 => Some(Self::Directory),
            3 => Some(Self::CharacterDevice),
            4 => Some(Self::BlockDevice),
            5 => Some(Self::Fifo),
            6 => Some(Self::Socket),
            7 => Some(Self::Symlink),
            _ => None,
        }
    }

    /// The type in a directory entry, `FT_*`.
    pub(crate) fn to_entry(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::CharacterDevice => 3,
            Self::BlockDevice => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// From the mode of an inode; `None` if the mode has no type, or one that does not exist.
    pub(crate) fn from_mode(bits: u16) -> Option<Self> {
        match bits & mode::TYPE_MASK {
            mode::REGULAR => Some(Self::Regular),
            mode::DIRECTORY => Some(Self::Directory),
            mode::CHARACTER => Some(Self::CharacterDevice),
            mode::BLOCK => Some(Self::BlockDevice),
            mode::FIFO => Some(Self::Fifo),
            mode::SOCKET => Some(Self::Socket),
            mode::SYMLINK => Some(Self::Symlink),
            _ => None,
        }
    }
}

/// What directories of a filesystem look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DirFormat {
    /// The block size: no entry crosses from one block to the next.
    pub(crate) block_size: BlockSize,
    /// Inodes in the filesystem: no entry has a higher one.
    pub(crate) inodes_count: u32,
    /// Whether entries record types, the feature `filetype`.
    pub(crate) filetype: bool,
}

/// An entry of a directory that has been checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DirEntry<'a> {
    /// Where it starts, in bytes from the start of the bytes that are walked over.
    pub(crate) offset: u32,
    /// Bytes to the next entry or the end of the block; at least 12, a multiple of 4.
    pub(crate) rec_len: u32,
    /// The inode, 0 for an entry that is not in use.
    pub(crate) inode: u32,
    /// The name, at most 255 bytes; not empty if the entry is in use.
    pub(crate) name: &'a [u8],
    /// The type of the inode, where recorded and known. Only a hint: the inode decides.
    pub(crate) file_type: Option<FileType>,
}

impl DirEntry<'_> {
    /// Whether the entry is in use, rather than left by a deleted one.
    pub(crate) fn in_use(&self) -> bool {
        self.inode != 0
    }

    /// Where the entry ends, in bytes from the start of the bytes that are walked over.
    pub(crate) fn end(&self) -> u32 {
        self.offset.saturating_add(self.rec_len)
    }
}

/// The least number of bytes that an entry with a name of `name_len` bytes takes,
/// `EXT2_DIR_REC_LEN()`.
pub(crate) const fn rec_len_for(name_len: u8) -> u32 {
    (size_of::<DirEntryHeader>() as u32 + name_len as u32).next_multiple_of(ALIGN)
}

/// What is wrong with a directory entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DirErrorReason {
    /// `rec_len` is less than an entry with a name of one byte takes.
    TooShort,
    /// `rec_len` is no multiple of 4.
    Unaligned,
    /// `rec_len` is less than the name takes.
    NameTooLong,
    /// The entry does not end in the block that it starts in.
    AcrossBlocks,
    /// The filesystem has not so many inodes.
    InodeOutOfBounds,
    /// The entry is in use and has no name.
    EmptyName,
    /// What is left of the directory is not a whole block.
    PartOfBlock,
    /// It is not the entry that has to be there.
    NotExpected,
}

/// Where a directory is corrupt, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DirError {
    /// Where the entry starts, in bytes from the start of the bytes that are walked over.
    pub(crate) offset: u32,
    /// Its inode, 0 if it cannot be told.
    pub(crate) inode: u32,
    /// Its `rec_len`, 0 if it cannot be told.
    pub(crate) rec_len: u32,
    /// Its `name_len`, 0 if it cannot be told.
    pub(crate) name_len: u8,
    /// What is wrong.
    pub(crate) reason: DirErrorReason,
}

impl DirError {
    /// `EUCLEAN`; C returns `EIO`.
    pub(crate) fn errno(&self) -> Error {
        EUCLEAN
    }

    /// Puts the offset in relation to the start of the directory, the bytes that were walked over
    /// being at `position` in it. For printing.
    pub(crate) fn at(self, position: u64) -> DirErrorAt {
        DirErrorAt {
            position: position.saturating_add(self.offset.into()),
            error: self,
        }
    }
}

/// A [`DirError`] with the place in the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DirErrorAt {
    position: u64,
    error: DirError,
}

impl fmt::Display for DirErrorAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.error.reason {
            DirErrorReason::TooShort => "entry is too short",
            DirErrorReason::Unaligned => "entry is not aligned",
            DirErrorReason::NameTooLong => "entry is too short for its name",
            DirErrorReason::AcrossBlocks => "entry goes beyond its block",
            DirErrorReason::InodeOutOfBounds => "entry has an inode that does not exist",
            DirErrorReason::EmptyName => "entry has no name",
            DirErrorReason::NotExpected => "entry is not the one that has to be there",
            DirErrorReason::PartOfBlock => {
                return write!(
                    f,
                    "directory ends within a block, after byte {}",
                    self.position
                )
            }
        };

        write!(
            f,
            "{reason}: at byte {}, inode {}, rec_len {}, name_len {}",
            self.position, self.error.inode, self.error.rec_len, self.error.name_len
        )
    }
}

/// A walk over the entries in some blocks of a directory; entries that are not in use included.
///
/// Ends after the last entry, or after the first error.
pub(crate) struct Entries<'a> {
    bytes: &'a [u8],
    format: DirFormat,
    /// Where the next entry starts.
    next: u32,
    /// Entries that start before this are checked, but not given.
    from: u32,
}

impl<'a> Entries<'a> {
    /// Walks over `bytes`, which start at the start of a block. Only the part that is in the
    /// directory is to be given: it must end at the end of a block.
    pub(crate) fn new(format: DirFormat, bytes: &'a [u8]) -> Self {
        Self::starting_at(format, bytes, 0)
    }

    /// As [`new`](Self::new), from the first entry on that starts at byte `from` or after it.
    ///
    /// The offset need not be that of an entry: it may come from a reader, who remembers where an
    /// entry was that has been deleted since. The walk starts at the start of the block that `from`
    /// is in, as in `ext2_validate_entry()`.
    pub(crate) fn starting_at(format: DirFormat, bytes: &'a [u8], from: u32) -> Self {
        let next = from & !(format.block_size.bytes() - 1);

        Self {
            bytes,
            format,
            next,
            from,
        }
    }

    /// As [`new`](Self::new), from the entry on that starts at byte `at`, as the caller knows.
    pub(crate) fn from_entry(format: DirFormat, bytes: &'a [u8], at: u32) -> Self {
        Self {
            bytes,
            format,
            next: at,
            from: at,
        }
    }

    /// Checks the entry at `self.next`, with `rest` being the bytes from there to the block's end.
    ///
    /// In the loops over it, so that an entry need not be put together to be passed over.
    #[inline(always)]
    fn check(&self, rest: &'a [u8]) -> Result<DirEntry<'a>, DirError> {
        let bad = |inode, rec_len, name_len, reason| {
            Err(DirError {
                offset: self.next,
                inode,
                rec_len,
                name_len,
                reason,
            })
        };
        let Ok((header, after)) = DirEntryHeader::ref_from_prefix(rest) else {
            return bad(0, 0, 0, DirErrorReason::AcrossBlocks);
        };

        let inode = header.inode.get();
        let name_len = header.name_len;
        let rec_len = self.rec_len(header.rec_len);
        if rec_len < rec_len_for(1) {
            return bad(inode, rec_len, name_len, DirErrorReason::TooShort);
        }
        if rec_len % ALIGN != 0 {
            return bad(inode, rec_len, name_len, DirErrorReason::Unaligned);
        }
        if rec_len < rec_len_for(name_len) {
            return bad(inode, rec_len, name_len, DirErrorReason::NameTooLong);
        }
        // The name is in the entry, so that it is in the block if the entry is.
        let name = match after.get(..usize::from(name_len)) {
            Some(name) if rec_len as usize <= rest.len() => name,
            _ => return bad(inode, rec_len, name_len, DirErrorReason::AcrossBlocks),
        };
        if inode > self.format.inodes_count {
            return bad(inode, rec_len, name_len, DirErrorReason::InodeOutOfBounds);
        }
        if inode != 0 && name.is_empty() {
            return bad(inode, rec_len, name_len, DirErrorReason::EmptyName);
        }

        Ok(DirEntry {
            offset: self.next,
            rec_len,
            inode,
            name,
            file_type: if self.format.filetype {
                FileType::from_entry(header.file_type)
            } else {
                None
            },
        })
    }

    /// The length of an entry in bytes, `ext2_rec_len_from_disk()`.
    #[inline(always)]
    fn rec_len(&self, rec_len: Le16) -> u32 {
        match rec_len.get() {
            MAX_REC_LEN if self.format.block_size.bits() == BlockSize::MAX_BITS => {
                self.format.block_size.bytes()
            }
            rec_len => rec_len.into(),
        }
    }

    /// Passes over entries of the next one's block, until one is wrong, or may be what the caller
    /// wants. A walk that wants few entries puts none together but these.
    #[inline(always)]
    fn pass_over(&mut self, is_wanted: impl Fn(Plain, &[u8]) -> bool) {
        let block_size = self.format.block_size.bytes() as usize;
        let mut at = self.next as usize & (block_size - 1);
        let block_start = self.next as usize - at;
        let Some(block) = self
            .bytes
            .get(block_start..block_start.saturating_add(block_size))
        else {
            return;
        };

        while let Some(rest) = block.get(at..) {
            let Some(header) = Plain::of(rest, self.format.inodes_count) else {
                break;
            };
            if is_wanted(header, rest) {
                break;
            }
            at += header.rec_len as usize;
        }
        // Within the block, or at its end.
        self.next = (block_start + at) as u32;
    }

    /// The next entry that is wrong, or that `is_wanted` says of its header and the bytes from
    /// there on that it may be wanted; or the first of a block.
    #[inline(always)]
    pub(crate) fn next_that(
        &mut self,
        is_wanted: impl Fn(Plain, &[u8]) -> bool,
    ) -> Option<Result<DirEntry<'a>, DirError>> {
        self.pass_over(is_wanted);
        self.step()
    }

    /// The next entry, whether it is to be given or not.
    #[inline(always)]
    fn step(&mut self) -> Option<Result<DirEntry<'a>, DirError>> {
        let start = self.next as usize;
        let block_size = self.format.block_size.bytes() as usize;
        if start >= self.bytes.len() {
            return None;
        }

        let block_start = start & !(block_size - 1);
        let Some(rest) = self
            .bytes
            .get(start..block_start.saturating_add(block_size))
        else {
            let error = DirError {
                offset: self.next,
                inode: 0,
                rec_len: 0,
                name_len: 0,
                reason: DirErrorReason::PartOfBlock,
            };
            self.next = u32::MAX;
            return Some(Err(error));
        };

        let entry = self.check(rest);
        self.next = match &entry {
            Ok(entry) => entry.end(),
            Err(_) => u32::MAX,
        };
        Some(entry)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<DirEntry<'a>, DirError>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step()? {
                Ok(entry) if entry.offset < self.from => continue,
                item => return Some(item),
            }
        }
    }
}

/// Finds the entry in use that has this name; the counterpart of the inner loop of
/// `ext2_find_entry()`.
///
/// Errors before the entry are reported, those after it are not looked for.
pub(crate) fn find<'a>(
    format: DirFormat,
    bytes: &'a [u8],
    name: &[u8],
) -> Result<Option<DirEntry<'a>>, DirError> {
    let wanted = Wanted::new(name);
    let mut entries = Entries::new(format, bytes);
    while let Some(entry) = entries.next_that(|header, rest| wanted.may_be(header, rest)) {
        let entry = entry?;

        if entry.in_use() && entry.name == name {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Writes an entry at the start of `bytes`, with `rec_len` bytes to the next; `None`, and nothing
/// written, if the entry does not fit in those or the name is too long.
///
/// `file_type` is what goes to disk, 0 without the feature `filetype`.
pub(crate) fn encode(
    bytes: &mut [u8],
    inode: u32,
    rec_len: u32,
    name: &[u8],
    file_type: u8,
) -> Option<()> {
    let name_len = u8::try_from(name.len()).ok()?;
    if rec_len < rec_len_for(name_len.max(1))
        || rec_len as usize > bytes.len()
        || rec_len % ALIGN != 0
    {
        return None;
    }

    let header = DirEntryHeader {
        inode: Le32::new(inode),
        rec_len: Le16::new(u16::try_from(rec_len).unwrap_or(MAX_REC_LEN)),
        name_len,
        file_type,
    };
    let (head, tail) = bytes.split_at_mut_checked(size_of::<DirEntryHeader>())?;
    let target = tail.get_mut(..name.len())?;
    head.copy_from_slice(header.as_bytes());
    target.copy_from_slice(name);
    Some(())
}

static_assert!(NAME_LEN == u8::MAX as usize);
