// SPDX-License-Identifier: GPL-2.0

//! Operations of filesystems that are written against the library's Rust interface: a good one, one
//! that gives up, and careless ones, of which nothing bad may come. No unsafe code.
//!
//! Locks: the folios come locked, and the library unlocks them. Nothing here takes a lock.

#![deny(unsafe_code)]

use crate::{
    support::TestInode,
    table::TableMapper, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};
use rust_mpage::{
    block::{
        ReadBio,
        ReadIntent,
        Sector,
        SplitReader,
        WriteBio, //
    },
    fs::{
        AddressSpaceOperations,
        AddressSpaceWriteOperations, //
    },
    mm::{
        ByteRange,
        LockedFolio,
        Readahead,
        WritebackControl, //
    },
    FolioWrites,
    Hooked,
    MapSource, //
};

/// Operations that write, too.
pub(crate) trait Operations: AddressSpaceOperations<Inode = TestInode> {
    /// Writes the dirty folios of a request.
    fn writepages(request: WritebackControl<'_, TestInode>) -> Result;
}

/// What a filesystem is to write.
pub(crate) struct Good;

impl AddressSpaceOperations for Good {
    type Inode = TestInode;

    fn read_folio(folio: LockedFolio<'_, TestInode>) -> Result {
        rust_mpage::read_folio(TableMapper, folio)
    }

    fn readahead(request: Readahead<'_, TestInode>) {
        rust_mpage::readahead(TableMapper, request)
    }

    fn bmap(_inode: &TestInode, _block: u64) -> Result<Option<u64>> {
        Err(EINVAL)
    }
}

impl Operations for Good {
    fn writepages(request: WritebackControl<'_, TestInode>) -> Result {
        rust_mpage::writepages(TableMapper, request)
    }
}

/// What a filesystem is to write for regular files that can be written to.
pub(crate) struct Unbuffered;

impl AddressSpaceOperations for Unbuffered {
    type Inode = TestInode;

    fn read_folio(folio: LockedFolio<'_, TestInode>) -> Result {
        Good::read_folio(folio)
    }

    fn readahead(request: Readahead<'_, TestInode>) {
        Good::readahead(request)
    }

    fn bmap(inode: &TestInode, block: u64) -> Result<Option<u64>> {
        Good::bmap(inode, block)
    }
}

impl AddressSpaceWriteOperations for Unbuffered {
    type Writes = FolioWrites<TableMapper>;

    fn writepages(request: WritebackControl<'_, TestInode>) -> Result {
        <Good as Operations>::writepages(request)
    }

    fn cut_beyond_end(_inode: &TestInode) {}
}

/// A bio to read a folio from the start of the disk.
fn bio_for<'f>(folio: &LockedFolio<'f, TestInode>) -> Result<ReadBio<'f>> {
    let device = folio.inode().main_device();
    ReadBio::new(device, Sector(0), 1, ReadIntent::Demand, folio).ok_or(ENOMEM)
}

/// Puts folios into a bio and drops that.
pub(crate) struct Dropping;

impl AddressSpaceOperations for Dropping {
    type Inode = TestInode;

    fn read_folio(folio: LockedFolio<'_, TestInode>) -> Result {
        let range = folio.whole();
        // Whether it took the folio or not, it is not submitted.
        let _ = bio_for(&folio)?.add(folio, range);
        Ok(())
    }

    fn readahead(_request: Readahead<'_, TestInode>) {}

    fn bmap(_inode: &TestInode, _block: u64) -> Result<Option<u64>> {
        Err(EINVAL)
    }
}

impl Operations for Dropping {
    fn writepages(mut request: WritebackControl<'_, TestInode>) -> Result {
        let device = request.inode().main_device();
        let mut bio = None;
        request.for_each(|request, folio| {
            if bio.is_none() {
                bio = WriteBio::new(device, Sector(0), 1, request);
            }
            let len = folio.size();
            // A folio that the bio cannot take is dropped.
            let _ = bio.as_mut().ok_or(ENOMEM)?.add(folio, len);
            Ok(())
        })
    }
}

/// Does another wrong thing with each folio.
pub(crate) struct Careless;

/// More than a folio has.
const TOO_LONG: usize = 1 << 18;

/// Ranges that are not sectors of a folio of one page.
const NO_SECTORS: [ByteRange; 6] = [
    range(0, TOO_LONG),
    range(0, PAGE_SIZE + 512),
    range(PAGE_SIZE, 512),
    range(512, PAGE_SIZE),
    range(0, 0),
    range(0, 100),
];

const fn range(start: usize, len: usize) -> ByteRange {
    ByteRange { start, len }
}

impl AddressSpaceOperations for Careless {
    type Inode = TestInode;

    fn read_folio(mut folio: LockedFolio<'_, TestInode>) -> Result {
        let device = folio.inode().main_device();
        match folio.position() / PAGE_SIZE as u64 {
            // Ranges that the folio does not have. After that it is read.
            0 => {
                let mut bio = bio_for(&folio)?;
                for bad in NO_SECTORS {
                    folio = match bio.add(folio, bad) {
                        Err(folio) => folio,
                        Ok(()) => return Err(EINVAL),
                    };
                }
                rust_mpage::read_folio(TableMapper, folio)
            }
            // A folio of which an eighth is read, from the start of the disk.
            1 => {
                let mut bio = bio_for(&folio)?;
                bio.add(folio, range(0, PAGE_SIZE / 8))
                    .map_err(|_| ENOMEM)?;
                bio.submit();
                Ok(())
            }
            // One of which half is filled,
            2 => {
                let mut split = SplitReader::new(folio).map_err(|_| ENOMEM)?;
                split.zero(range(0, PAGE_SIZE / 2));
                Ok(())
            }
            // or the same half twice,
            3 => {
                let mut split = SplitReader::new(folio).map_err(|_| ENOMEM)?;
                split.zero(range(0, PAGE_SIZE / 2));
                split.zero(range(0, PAGE_SIZE / 2));
                Ok(())
            }
            // or nothing,
            4 => {
                let _ = SplitReader::new(folio).map_err(|_| ENOMEM)?;
                Ok(())
            }
            // or more than there is.
            _ => {
                let mut split = SplitReader::new(folio).map_err(|_| ENOMEM)?;
                match split.read_piece(device, Sector(0), range(0, TOO_LONG), ReadIntent::Demand) {
                    true => Err(EINVAL),
                    false => Ok(()),
                }
            }
        }
    }

    fn readahead(_request: Readahead<'_, TestInode>) {}

    fn bmap(_inode: &TestInode, _block: u64) -> Result<Option<u64>> {
        Err(EINVAL)
    }
}

impl Operations for Careless {
    fn writepages(request: WritebackControl<'_, TestInode>) -> Result {
        let device = request.inode().main_device();
        // More than the folio has, which no bio takes; so the library writes it.
        rust_mpage::writepages_with(TableMapper, request, |request, folio| {
            let Some(mut bio) = WriteBio::new(device, Sector(0), 1, request) else {
                return Hooked::Handled(Err(ENOMEM));
            };
            match bio.add(folio, TOO_LONG) {
                Err(folio) => Hooked::Declined(folio),
                Ok(()) => Hooked::Handled(Err(EINVAL)),
            }
        })
    }
}

/// Wants buffers of folios that have none.
pub(crate) struct Buffered;

impl AddressSpaceOperations for Buffered {
    type Inode = TestInode;

    fn read_folio(folio: LockedFolio<'_, TestInode>) -> Result {
        folio.read_through_buffers(TableMapper.get_block())
    }

    fn readahead(_request: Readahead<'_, TestInode>) {}

    fn bmap(_inode: &TestInode, _block: u64) -> Result<Option<u64>> {
        Err(EINVAL)
    }
}

impl Operations for Buffered {
    fn writepages(mut request: WritebackControl<'_, TestInode>) -> Result {
        request.for_each(|_, folio| folio.write_through_buffers(TableMapper.get_block()))
    }
}
