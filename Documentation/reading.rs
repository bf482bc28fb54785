// SPDX-License-Identifier: GPL-2.0

//! A filesystem that is only read, with nothing left out. The project's lint compiles this.
//!
//! It has blocks of 1 KiB and words of 32 bits, little-endian, and the blocks of each file are in
//! one row:
//!
//! - Block 0 has [`MAGIC`], and how many inodes there are.
//! - From block 1 on there are the inodes, of eight words each: the mode, the first block, the size
//!   in bytes, the time of the last change; and the target of a symbolic link of up to 16 bytes, or
//!   the number of a device. Number 1 is the root directory.
//! - A directory has entries of 64 bytes: the number of an inode, or 0; the length of the name, a
//!   byte; the name. "." and ".." are among them.

#![deny(unsafe_code)]

use core::pin::Pin;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};
use rust_mpage::{
    block::BlockDevice,
    fs::{
        Access,
        AccessChange,
        AddressSpaceOperations,
        Attributes,
        DeviceNumber,
        DirectoryOperations,
        DirectoryReader,
        EntryType,
        ExtentFlags,
        FiemapRequest,
        FileOperations,
        FileSystem,
        FsInode,
        Iget,
        InodeFlags,
        InodeOperations,
        InodeRef,
        Level,
        LinkTarget,
        LockedDirectory,
        MountRequest,
        MountableFileSystem,
        NewSuperBlock,
        Operations,
        Parameter,
        ParameterTable,
        Parameters,
        Purpose,
        Registration,
        StatAttributes,
        StatFs,
        SuperAttributes,
        SuperBlock,
        Unwritten,
        Value, //
    },
    mm::{
        LockedFolio,
        Readahead, //
    },
    BlockCount,
    BlockMapper,
    LogicalBlock,
    Mapping,
    PhysicalBlock, //
};

const MAGIC: u32 = 0x7766_6f72;
const BLOCK_SIZE: u32 = 1024;
const ROOT: u32 = 1;
const INODE_WORDS: u32 = 8;
const INODES_IN_BLOCK: u32 = BLOCK_SIZE / (4 * INODE_WORDS);
const SHORT_TARGET: u32 = 16;
const ENTRY_SIZE: usize = 64;
const NAME_LENGTH: usize = ENTRY_SIZE - 5;

struct RowFs;

/// What is kept of a mounted filesystem.
struct Mounted {
    inodes: u32,
    owner: u32,
    // stays empty
    unwritten: Pin<KBox<Unwritten>>,
}

/// What is kept of an inode: where its blocks are.
struct Row {
    first: u64,
    blocks: u64,
}

impl FileSystem for RowFs {
    const NAME: &'static CStr = c"rowfs";

    type Data = Mounted;
    type InodeData = Row;

    fn write_failed(_sb: &SuperBlock<Self>, _block: u64) {}

    fn unwritten(sb: &SuperBlock<Self>) -> &Unwritten {
        &sb.data().unwritten
    }
}

// The disk does not say who owns the files: the option uid= does.
static PARAMETERS: ParameterTable<(), 1> = ParameterTable::new([Parameter::uid(c"uid", ())]);

impl MountableFileSystem for RowFs {
    const ACCESS: Access<Self> = Access::ReadOnly;

    type Context = u32;
    type Parameter = ();

    fn parameters() -> Parameters<()> {
        PARAMETERS.as_parameters()
    }

    fn context(_purpose: Purpose<'_, Self>) -> Result<u32> {
        Ok(0)
    }

    fn parameter(
        owner: &mut u32,
        _mount: &MountRequest<'_, Self>,
        _uid: (),
        value: Value,
    ) -> Result {
        *owner = value.uid().in_initial();
        Ok(())
    }

    fn fill_super(sb: &mut NewSuperBlock<'_, Self>, owner: &mut u32) -> Result<Pin<KBox<Mounted>>> {
        sb.set_block_size(BLOCK_SIZE)?;
        sb.set_attributes(&SuperAttributes {
            magic: MAGIC,
            max_bytes: u32::MAX.into(),
            max_links: 0,
            min_time: 0,
            max_time: u32::MAX.into(),
        });
        let block = sb.bread(0)?;
        let word = |index| block.le32(index).ok_or(EINVAL);
        if word(0)? != MAGIC {
            if !sb.is_silent() {
                sb.message(Level::Error, fmt!("error: this is no rowfs"));
            }
            return Err(EINVAL);
        }
        let mounted = Mounted {
            inodes: word(1)?,
            owner: *owner,
            unwritten: Unwritten::new()?,
        };
        Ok(KBox::pin(mounted, GFP_KERNEL)?)
    }

    fn root(sb: &SuperBlock<Self>) -> Result<InodeRef<'_, Self>> {
        let root = get(sb, ROOT)?;
        match root.is_directory() {
            true => Ok(root),
            false => Err(EUCLEAN),
        }
    }

    fn reconfigure(
        _sb: &SuperBlock<Self>,
        _mount: &MountRequest<'_, Self>,
        _owner: &mut u32,
        _change: AccessChange,
    ) -> Result {
        Ok(())
    }

    fn statfs(sb: &SuperBlock<Self>) -> Result<StatFs> {
        Ok(StatFs {
            magic: MAGIC,
            block_size: BLOCK_SIZE,
            blocks: sb.device_blocks(),
            files: sb.data().inodes.into(),
            name_length: NAME_LENGTH as u32,
            ..StatFs::default()
        })
    }

    fn show_options(sb: &SuperBlock<Self>, out: &SeqFile) -> Result {
        seq_print!(out, ",uid={}", sb.data().owner);
        Ok(())
    }
}

/// The inode with a number: as it is in memory, or read.
fn get(sb: &SuperBlock<RowFs>, number: u32) -> Result<InodeRef<'_, RowFs>> {
    let index = number.checked_sub(1).ok_or(EUCLEAN)?;
    if index >= sb.data().inodes {
        return Err(EUCLEAN);
    }
    let inode = match sb.iget(number.into())? {
        Iget::Cached(inode) => return Ok(inode),
        Iget::New(inode) => inode, // given up where this returns an error
    };
    let block = sb.bread(1 + u64::from(index / INODES_IN_BLOCK))?;
    let place = index % INODES_IN_BLOCK * INODE_WORDS;
    let word = |number: u32| block.le32((place + number) as usize).ok_or(EUCLEAN);
    let (mode, first, size) = (word(0)? as u16, word(1)?, word(2)?);

    let operations = match mode & 0o170_000 {
        0o100_000 => Operations::regular::<File, Pages>(),
        0o040_000 => Operations::directory::<Directory, Pages>(),
        0o120_000 if size <= SHORT_TARGET => {
            let mut target = [0; SHORT_TARGET as usize];
            block.copy_to(4 * (place + 4) as usize, &mut target)?;
            let target = target.get(..size as usize).ok_or(EUCLEAN)?;
            Operations::fast_symlink::<File>(LinkTarget::new(target)?)
        }
        0o120_000 => Operations::symlink::<File, Pages>(),
        _ => {
            let device = DeviceNumber::new(word(4)?, word(5)?).ok_or(EUCLEAN)?;
            Operations::special::<File>(device)
        }
    };
    let attributes = Attributes {
        mode,
        uid: sb.data().owner,
        gid: 0,
        links: 1,
        size: size.into(),
        blocks: u64::from(size).div_ceil(512),
        atime: word(3)?.into(),
        mtime: word(3)?.into(),
        ctime: word(3)?.into(),
        generation: 0,
        flags: InodeFlags::default(),
    };
    let row = Row {
        first: first.into(),
        blocks: size.div_ceil(BLOCK_SIZE).into(),
    };
    // what this refuses is a mode that is none
    inode.init(&attributes, operations, Ok::<_, Error>(row))
}

/// Where the blocks of a file are.
#[derive(Clone, Copy, Default)]
struct BlockMap;

impl BlockMapper for BlockMap {
    type Inode = FsInode<RowFs>;

    fn lookup<'i>(
        &self,
        inode: &'i FsInode<RowFs>,
        at: LogicalBlock,
        max: BlockCount,
    ) -> Result<Mapping<&'i BlockDevice>> {
        let row = inode.data();
        Ok(match row.blocks.checked_sub(at.0) {
            None | Some(0) => Mapping::hole(max), // the longer, the better
            Some(left) => Mapping::mapped(
                inode.device(),
                PhysicalBlock(row.first + at.0),
                BlockCount(left.min(max.0.into()) as u32),
            ),
        })
    }
}

/// The page cache of a file.
struct Pages;

impl AddressSpaceOperations for Pages {
    type Inode = FsInode<RowFs>;

    fn read_folio(folio: LockedFolio<'_, FsInode<RowFs>>) -> Result {
        rust_mpage::read_folio(BlockMap, folio)
    }

    fn readahead(request: Readahead<'_, FsInode<RowFs>>) {
        rust_mpage::readahead(BlockMap, request)
    }

    fn bmap(inode: &FsInode<RowFs>, block: u64) -> Result<Option<u64>> {
        let row = inode.data();
        Ok((block < row.blocks).then(|| row.first + block))
    }
}

struct File;

impl InodeOperations for File {
    type FileSystem = RowFs;

    const ATTRIBUTES: StatAttributes = StatAttributes::NONE;

    fn attributes(_inode: &FsInode<RowFs>) -> StatAttributes {
        StatAttributes::NONE
    }
}

impl FileOperations for File {
    fn fiemap(inode: &FsInode<RowFs>, request: &mut FiemapRequest<'_>) -> Result {
        let (row, size) = (inode.data(), u64::from(BLOCK_SIZE));
        if row.blocks != 0 {
            let _ = request.add(0, row.first * size, row.blocks * size, ExtentFlags::LAST)?;
        }
        Ok(())
    }
}

struct Directory;

impl InodeOperations for Directory {
    type FileSystem = RowFs;

    const ATTRIBUTES: StatAttributes = StatAttributes::NONE;

    fn attributes(_inode: &FsInode<RowFs>) -> StatAttributes {
        StatAttributes::NONE
    }
}

impl DirectoryOperations for Directory {
    fn lookup<'d>(
        dir: LockedDirectory<'d, RowFs>,
        name: &[u8],
    ) -> Result<Option<InodeRef<'d, RowFs>>> {
        if name.len() > NAME_LENGTH {
            return Err(ENAMETOOLONG);
        }
        for index in 0..dir.pages() {
            let page = dir.page(index)?;
            let mut entries = page.chunks(ENTRY_SIZE).filter_map(entry);
            if let Some((number, _)) = entries.find(|&(_, found)| found == name) {
                return get(dir.inode().super_block(), number).map(Some);
            }
        }
        Ok(None)
    }

    fn iterate(dir: LockedDirectory<'_, RowFs>, reader: &mut DirectoryReader<'_>) -> Result {
        let (size, page_size) = (ENTRY_SIZE as u64, PAGE_SIZE as u64);
        while reader.position() < dir.size() {
            let at = reader.position() / size * size;
            let page = dir.page(at / page_size)?;
            let bytes = page.get((at % page_size) as usize..).unwrap_or(&[]);
            if let Some((number, name)) = entry(bytes) {
                if reader
                    .emit(name, number.into(), EntryType::UNKNOWN)
                    .is_break()
                {
                    return Ok(()); // it is full
                }
            }
            reader.set_position(at + size);
        }
        Ok(())
    }
}

/// The number and the name in an entry that has one.
fn entry(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.get(..ENTRY_SIZE)?.split_at_checked(4)?;
    let number = u32::from_le_bytes(number.try_into().ok()?);
    let (&len, name) = rest.split_first()?;
    (number != 0).then_some((number, name.get(..len.into())?))
}

#[pin_data]
struct RowFsModule {
    #[pin]
    _rowfs: Registration<RowFs>,
}

impl kernel::InPlaceModule for RowFsModule {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _rowfs <- Registration::new(RowFs::NAME, module),
        }? Error)
    }
}

// What the macro makes of this contains unsafe code.
#[allow(unsafe_code)]
mod module {
    use super::RowFsModule;
    use kernel::prelude::*;

    module! {
        type: RowFsModule,
        name: "rowfs",
        authors: ["rust_mpage developers"],
        description: "A filesystem that is only read",
        license: "GPL v2",
        alias: ["fs-rowfs"],
    }
}
