// SPDX-License-Identifier: GPL-2.0

//! The pages of a directory, what they look like, and what is said of one that is wrong.
//!
//! Who walks over a directory has pages read ahead. Where he has come to is all that it takes: as
//! many are read at once as lie behind, up to a limit. So who finds what he looks for at the
//! beginning has read no more than twice what he needed, and an open directory has no state. C ext2
//! reads each page when it gets there.
//!
//! Locks: the directory's `i_rwsem`, by [`LockedDirectory`](rust_mpage::fs::LockedDirectory).

#![deny(unsafe_code)]

use crate::{
    disk::dirent::{
        DirError,
        DirFormat, //
    },
    inode::Ext2Inode,
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::{
    DirectoryPage,
    LockedDirectory, //
};

/// A directory whose contents do not change.
pub(crate) type Dir<'a> = LockedDirectory<'a, Ext2>;

/// The most pages that are read at once.
const MOST: u64 = 32;

/// How many pages are read at once when a walk comes to page `index`; none, if it has been read
/// with those before.
fn pages_at(index: u64) -> u64 {
    match index {
        0..MOST if index.is_power_of_two() => index,
        MOST.. if index % MOST == 0 => MOST,
        _ => 0,
    }
}

/// The page that a walk has come to. Begins to read those that follow.
pub(super) fn page_of_walk<'d>(dir: Dir<'d>, index: u64) -> Result<DirectoryPage<'d>> {
    let count = pages_at(index);

    if count > 1 {
        dir.read_ahead(index..index.saturating_add(count));
    }
    dir.page(index)
}

/// What the filesystem's directories look like.
pub(crate) fn format(inode: &Ext2Inode) -> DirFormat {
    let geometry = &inode.super_block().data().geometry;
    DirFormat {
        block_size: geometry.block_size(),
        inodes_count: geometry.inodes_count(),
        filetype: geometry.has_filetype(),
    }
}

/// Reports that the page at byte `start` is corrupt.
pub(crate) fn bad_entry(dir: Dir<'_>, error: DirError, start: u64) -> Error {
    report::corrupt(
        dir.super_block(),
        fmt!("directory {}: {}", dir.number(), error.at(start)),
    );
    error.errno()
}

#[kunit_tests(rust_ext2_dir_pages)]
mod tests {
    use super::*;

    /// Each page but the first is read once, and no more of them than lie behind.
    #[test]
    fn each_page_is_read_once() {
        let mut end = 1;

        for index in 1..1000 {
            let count = pages_at(index);
            assert!(count <= MOST && count <= index);
            if count != 0 {
                assert_eq!(index, end);
                end = index + count;
            }
            assert!(index < end);
        }
        assert_eq!(pages_at(0), 0);
    }
}
