// SPDX-License-Identifier: GPL-2.0

//! The block of extended attributes of an inode that is deleted.
//!
//! Inodes with the same attributes share a block, which counts them. Only that count is looked at
//! here: the attributes themselves are not supported yet, but an inode that has some must not leave
//! its block behind.
//!
//! C counterpart: `ext2_xattr_delete_inode()`.
//!
//! Locks: the buffer lock, from reading the count until it is changed.

#![deny(unsafe_code)]

use super::balloc;
use crate::{
    inode::{
        self,
        Ext2Inode, //
    },
    mount::report, //
};
use kernel::prelude::*;
use rust_mpage::fs::Buffer;

/// The words of the header, `struct ext2_xattr_header`.
mod word {
    pub(super) const MAGIC: usize = 0;
    pub(super) const REFERENCES: usize = 1;
    pub(super) const BLOCKS: usize = 2;
}

/// `EXT2_XATTR_MAGIC`
const MAGIC: u32 = 0xea02_0000;

/// What becomes of a block when one of the inodes that share it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It is freed.
    Free,
    /// This many share it still.
    Keep(u32),
    /// It is no block of attributes.
    Corrupt,
}

fn outcome(magic: u32, references: u32, blocks: u32) -> Outcome {
    match references {
        _ if magic != MAGIC || blocks != 1 => Outcome::Corrupt,
        0 => Outcome::Corrupt,
        1 => Outcome::Free,
        _ => Outcome::Keep(references - 1),
    }
}

/// Gives up the attributes of an inode that is being deleted.
pub(crate) fn release(inode: &Ext2Inode) {
    let block = inode.data().file_acl();

    if block != 0 && inode::check_own(inode, block, 1).is_ok() {
        match inode.super_block().bread(block.into()) {
            Ok(buffer) => release_block(inode, block, buffer),
            Err(_) => report(inode, block, "cannot be read"),
        }
        inode.data().forget_file_acl();
    }
}

fn release_block(inode: &Ext2Inode, block: u32, buffer: Buffer) {
    let sb = inode.super_block();
    let locked = buffer.lock();
    let word = |index| locked.le32(index).unwrap_or(0);

    match outcome(
        word(word::MAGIC),
        word(word::REFERENCES),
        word(word::BLOCKS),
    ) {
        Outcome::Free => {
            drop(locked);
            let noted = inode::block_of(inode)
                .and_then(|guard| sb.data().order.cuts.add(sb, block, 1, guard));
            match noted {
                Ok(()) => balloc::free_metadata(inode, block, buffer),
                Err(_) => balloc::abandon_blocks(inode, block, 1),
            }
        }
        Outcome::Keep(references) => {
            let changed = locked.set_le32(word::REFERENCES, references);
            drop(locked);
            inode.sub_bytes(1 << sb.block_bits());
            sb.mark_dirty(&buffer);
            if changed.is_err() || (inode.is_sync() && sb.sync_buffer(&buffer).is_err()) {
                report(inode, block, "cannot be written");
            }
        }
        Outcome::Corrupt => {
            drop(locked);
            report(inode, block, "is no block of attributes");
        }
    }
}

fn report(inode: &Ext2Inode, block: u32, what: &str) {
    report::corrupt(
        inode.super_block(),
        fmt!(
            "inode {}: the block of its extended attributes, {block}, {what}",
            inode.number()
        ),
    );
}

#[kunit_tests(rust_ext2_attribute_block)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_frees_it() {
        assert_eq!(outcome(MAGIC, 1, 1), Outcome::Free);
        assert_eq!(outcome(MAGIC, 2, 1), Outcome::Keep(1));
        assert_eq!(outcome(MAGIC, 1024, 1), Outcome::Keep(1023));
        assert_eq!(outcome(MAGIC, 0, 1), Outcome::Corrupt);
        assert_eq!(outcome(MAGIC, 1, 2), Outcome::Corrupt);
        assert_eq!(outcome(MAGIC + 1, 1, 1), Outcome::Corrupt);
        assert_eq!(outcome(0, 0, 0), Outcome::Corrupt);
    }
}
