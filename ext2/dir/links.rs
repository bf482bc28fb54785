// SPDX-License-Identifier: GPL-2.0

//! Counts of links, which on a corrupt filesystem say less than there is, or more.
//!
//! A count that gets to 0 deletes the inode. So that of a directory is changed only after it has
//! been checked to be large enough, and never gets below that of a directory without subdirectories
//! while there are names in it. A file's names cannot be counted; but one that has a name and no
//! links is known to be corrupt.
//!
//! C counterpart: none. It changes the counts, and deletes directories that have names in them.
//!
//! Locks: `i_rwsem` of the directory or file whose count changes, exclusively, held by the VFS.

#![deny(unsafe_code)]

use super::write::{
    DirMut,
    Empty, //
};
use crate::{
    inode::Ext2Inode,
    mount::{
        report,
        Ext2, //
    },
};
use kernel::prelude::*;
use rust_mpage::fs::HeldInode;

/// Links of a directory without subdirectories: its name, and its own entry.
const OF_EMPTY_DIRECTORY: u32 = 2;

/// What becomes of the subdirectories of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Subdirectory {
    /// There is one more.
    Comes,
    /// There is one less.
    Goes,
}

impl Subdirectory {
    /// Whether a directory with `links` can have what it is said to have: if a subdirectory goes,
    /// it has had one.
    fn is_possible(self, links: u32) -> bool {
        match self {
            Self::Comes => links >= OF_EMPTY_DIRECTORY,
            Self::Goes => links > OF_EMPTY_DIRECTORY,
        }
    }
}

/// A change of the count of a directory that was found to be possible. The directory has been
/// locked since.
#[must_use]
pub(crate) struct Checked(Subdirectory);

/// Checks, before anything is changed, that the count of a directory allows it.
///
/// Fails with `EUCLEAN` if the count is too low.
pub(crate) fn check(dir: &Ext2Inode, change: Subdirectory) -> Result<Checked> {
    let links = dir.nlink();

    if !change.is_possible(links) {
        report::corrupt(
            dir.super_block(),
            fmt!(
                "directory {}: too low a link count for what is in it: {links}",
                dir.number()
            ),
        );
        return Err(EUCLEAN);
    }
    Ok(Checked(change))
}

/// Counts a subdirectory that comes, before it has its name, or one that has gone, after its name
/// has; the images keep the link of that.
pub(crate) fn count(dir: &DirMut<'_>, change: Checked) {
    match change.0 {
        Subdirectory::Comes => dir.held().inc_nlink(),
        Subdirectory::Goes => dir.held().drop_nlink(),
    }
    dir.mark_dirty();
}

/// Takes back that a subdirectory was counted that should have come.
pub(crate) fn uncount(dir: &DirMut<'_>) {
    dir.held().drop_nlink();
    dir.mark_dirty();
}

/// How many links go with the last name of an inode, that of its own entry with a directory's.
pub(crate) fn of_last_name(inode: &Ext2Inode) -> u32 {
    match inode.is_directory() {
        true => OF_EMPTY_DIRECTORY,
        false => 1,
    }
}

/// Checks that a file that is known by a name has a link.
///
/// Fails with `EUCLEAN` if it has none: it is deleted as soon as nobody uses it any more.
pub(crate) fn check_file(inode: &Ext2Inode) -> Result {
    if inode.nlink() == 0 {
        report_names(inode);
        return Err(EUCLEAN);
    }
    Ok(())
}

fn report_names(inode: &Ext2Inode) {
    report::corrupt(
        inode.super_block(),
        fmt!("inode {}: more names than links", inode.number()),
    );
}

/// The last or another name of a file is gone.
pub(crate) fn file_lost_name(inode: HeldInode<'_, Ext2>) {
    let had_link = inode.nlink() != 0;

    inode.drop_nlink();
    inode.mark_dirty();
    if !had_link {
        report_names(&inode);
    }
}

/// A new directory, with the link of its own entry, is given up: whoever stores its image from now
/// on says that.
pub(crate) fn directory_got_no_name(dir: HeldInode<'_, Ext2>) {
    dir.drop_last_links(OF_EMPTY_DIRECTORY);
}

/// The name of a directory is gone that has been found to be empty, and so is its own entry; nobody
/// looks that up any more.
///
/// A directory that has more links than it should have may have another name. It keeps those links,
/// and is left for e2fsck.
pub(crate) fn directory_lost_name(dir: HeldInode<'_, Ext2>, empty: Empty) {
    let links = dir.nlink();

    empty.drop_links(dir);
    dir.mark_dirty();
    if links != OF_EMPTY_DIRECTORY {
        report::corrupt(
            dir.super_block(),
            fmt!(
                "directory {}: removed as empty, with a link count of {links}",
                dir.number()
            ),
        );
    }
}

#[kunit_tests(rust_ext2_links)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_the_links_of_an_empty_one() {
        for links in 0..4 {
            assert_eq!(Subdirectory::Comes.is_possible(links), links >= 2);
            assert_eq!(Subdirectory::Goes.is_possible(links), links >= 3);
        }
        assert!(Subdirectory::Goes.is_possible(u32::MAX));
        assert!(Subdirectory::Comes.is_possible(u32::from(u16::MAX)));
    }
}
