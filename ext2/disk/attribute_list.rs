// SPDX-License-Identifier: GPL-2.0

//! Extended attributes as they are on disk: a list of names, each of which says where its value is.
//!
//! Such a list is in the block of attributes of an inode, or, written by ext3 and ext4, behind the
//! fields of an inode that is larger than 128 bytes.
//!
//! C counterparts: `ext2_xattr_entry_valid()`, and for lists in inodes `ext4_xattr_ibody_get()`.
//!
//! Locks: none, the caller holds a copy.
//!
//! Left out: what a block of attributes is besides, which is
//! [`attribute_block`](crate::disk::attribute_block).

use super::structures::{
    Le16,
    Le32, //
};
use core::mem::size_of;
use kernel::prelude::*;
use zerocopy_derive::{
    Immutable,
    KnownLayout,
    Unaligned, //
};

/// `EXT2_XATTR_MAGIC`, `EXT4_XATTR_MAGIC`
pub(crate) const MAGIC: u32 = 0xea02_0000;

/// Where in a block of attributes the list begins: after `struct ext2_xattr_header`.
pub(crate) const LIST_IN_BLOCK: usize = 32;

/// The kinds of attributes, `e_name_index`.
pub(crate) mod kind {
    /// `user.`; `EXT2_XATTR_INDEX_USER`.
    pub(crate) const USER: u8 = 1;
    /// The access control list of the file, which has no more of a name.
    pub(crate) const ACCESS_ACL: u8 = 2;
    /// The access control list for new files in a directory.
    pub(crate) const DEFAULT_ACL: u8 = 3;
    /// `trusted.`; `EXT2_XATTR_INDEX_TRUSTED`.
    pub(crate) const TRUSTED: u8 = 4;
    /// `security.`; `EXT2_XATTR_INDEX_SECURITY`.
    pub(crate) const SECURITY: u8 = 6;
}

/// What comes before the name, `struct ext2_xattr_entry`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(super) struct Header {
    pub(super) name_len: u8,
    pub(super) kind: u8,
    pub(super) value_offset: Le16,
    pub(super) value_block: Le32,
    pub(super) value_size: Le32,
    pub(super) hash: Le32,
}

/// An attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Attribute<'a> {
    /// What it is.
    pub(crate) kind: u8,
    /// The rest of its name.
    pub(crate) name: &'a [u8],
    /// Its value.
    pub(crate) value: &'a [u8],
    /// Where in the area the value is; of no meaning if it is empty.
    pub(crate) value_at: usize,
}

/// What an attribute with so long a name takes of the list; `EXT2_XATTR_LEN()`.
pub(crate) const fn entry_len(name_len: usize) -> usize {
    padded(size_of::<Header>() + name_len)
}

/// What so long a value takes; `EXT2_XATTR_SIZE()`.
pub(crate) const fn padded(len: usize) -> usize {
    len.next_multiple_of(size_of::<u32>())
}

/// A list that makes no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

/// The attributes of a list. Nothing comes after the first error; by default there are none.
#[derive(Clone, Default)]
pub(crate) struct Attributes<'a> {
    area: &'a [u8],
    /// Where in the area the next one is.
    next: Option<usize>,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match read(self.area, self.next.take()?) {
            Ok(Some((attribute, after))) => {
                self.next = Some(after);
                Some(Ok(attribute))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The attributes of the list that begins at byte `start` of `area`, where values are counted from
/// the beginning of `area`.
pub(crate) fn attributes(area: &[u8], start: usize) -> Attributes<'_> {
    Attributes {
        area,
        next: Some(start),
    }
}

/// The attribute at byte `at`, and where the next one is; `None` at the end of the list.
fn read(area: &[u8], at: usize) -> Result<Option<(Attribute<'_>, usize)>, Malformed> {
    let rest = area.get(at..).ok_or(Malformed)?;
    // The list ends where there is no room for another word, or a word of zeros.
    if rest.iter().take(size_of::<u32>()).all(|&byte| byte == 0) {
        return Ok(None);
    }
    let (header, name) = Header::ref_from_prefix(rest).map_err(|_| Malformed)?;
    let name_len = usize::from(header.name_len);
    let name = name.get(..name_len).ok_or(Malformed)?;
    if header.value_block.get() != 0 {
        return Err(Malformed);
    }
    let from = usize::from(header.value_offset.get());
    let size = usize::try_from(header.value_size.get()).map_err(|_| Malformed)?;
    let value = match size {
        0 => &[],
        _ => from
            .checked_add(size)
            .and_then(|end| area.get(from..end))
            .ok_or(Malformed)?,
    };
    let attribute = Attribute {
        kind: header.kind,
        name,
        value,
        value_at: from,
    };
    Ok(Some((attribute, at + entry_len(name_len))))
}

/// Whether a list has an access control list in it, or may have, for it makes no sense.
pub(crate) fn may_have_acl(area: &[u8], start: usize) -> bool {
    attributes(area, start)
        .any(|attribute| attribute.map_or(true, |attribute| attribute.kind == kind::ACCESS_ACL))
}

/// The value of the attribute of this kind without a name, if there is one.
pub(crate) fn find(area: &[u8], start: usize, kind: u8) -> Result<Option<&[u8]>, Malformed> {
    for attribute in attributes(area, start) {
        let attribute = attribute?;
        if attribute.kind == kind && attribute.name.is_empty() {
            return Ok(Some(attribute.value));
        }
    }
    Ok(None)
}

#[kunit_tests(rust_ext2_attribute_list)]
mod tests {
    use super::*;
    use crate::disk::test_images::Random;

    /// A block: `user.ab` is `xyz`, and a default ACL of 4 bytes.
    fn block() -> [u8; 128] {
        let mut block = [0; 128];
        let mut put = |at: usize, bytes: &[u8]| {
            for (to, from) in block.iter_mut().skip(at).zip(bytes) {
                *to = *from;
            }
        };

        put(32, &[2, 1, 124, 0, 0, 0, 0, 0, 3]);
        put(48, b"ab");
        put(52, &[0, kind::DEFAULT_ACL, 120, 0, 0, 0, 0, 0, 4]);
        put(120, b"\x01\0\0\0xyz");
        block
    }

    #[test]
    fn attributes_of_a_block() {
        let block = block();
        let mut list = attributes(&block, LIST_IN_BLOCK);

        let user = list.next().and_then(|attribute| attribute.ok());
        assert!(user.is_some_and(|found| (found.kind, found.name) == (1, &b"ab"[..])));
        assert!(user.is_some_and(|found| found.value == b"xyz"));
        assert!(list.next().is_some_and(|found| found.is_ok()));
        assert!(list.next().is_none());
        assert_eq!(
            find(&block, LIST_IN_BLOCK, kind::DEFAULT_ACL),
            Ok(Some(&b"\x01\0\0\0"[..]))
        );
        assert_eq!(find(&block, LIST_IN_BLOCK, kind::ACCESS_ACL), Ok(None));
        // It has a name.
        assert_eq!(find(&block, LIST_IN_BLOCK, 1), Ok(None));
        assert!(!may_have_acl(&block, LIST_IN_BLOCK));
    }

    #[test]
    fn what_makes_no_sense_may_be_an_acl() {
        let changed = |at: usize, byte: u8| {
            let mut block = block();
            if let Some(to) = block.get_mut(at) {
                *to = byte;
            }
            may_have_acl(&block, LIST_IN_BLOCK)
        };

        assert!(!changed(0, 1));
        assert!(changed(53, kind::ACCESS_ACL));
        // A value that ends behind the block, or is in another; a name that does.
        assert!(changed(34, 126));
        assert!(changed(40, 5));
        assert!(changed(43, 1));
        assert!(changed(36, 1));
        assert!(changed(32, 255));
    }

    #[test]
    fn where_lists_end() {
        let block = block();
        let count = |len| attributes(block.get(..len).unwrap_or(&[]), LIST_IN_BLOCK).count();

        assert_eq!(count(128), 2);
        // The first value is outside.
        assert_eq!(count(64), 1);
        assert_eq!((count(33), count(32), count(31)), (1, 0, 1));
        assert!(may_have_acl(&[], 1));
        assert!(!may_have_acl(&[], 0));
    }

    #[test]
    fn random_lists() {
        let mut random = Random::new(21);

        for _ in 0..20000 {
            let mut block = block();
            for _ in 0..=random.below(4) {
                let (at, byte) = (random.below(128) as usize, random.edge() as u8);
                if let Some(to) = block.get_mut(at) {
                    *to = byte;
                }
            }
            assert!(attributes(&block, LIST_IN_BLOCK).count() <= 7);
            assert!(attributes(&block, 0).count() <= 9);
        }
    }
}
