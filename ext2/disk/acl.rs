// SPDX-License-Identifier: GPL-2.0

//! Access control lists as they are on disk; and what may be done with a file whose list is in the
//! inode, where lists are not supported.
//!
//! The group bits of a file with an access control list are not what its group may do, but the most
//! that any named user or group may. So where the list is not heeded, such a file gives its group
//! no more than it gives others; and a new file in a directory with a default list no more than
//! each entry of that gives.
//!
//! C counterparts: `ext2_acl_from_disk()`, `ext2_acl_to_disk()`; none for the rest.
//!
//! Locks: none, these are plain values.

use super::structures::{
    Le16,
    Le32, //
};
use kernel::prelude::*;
use zerocopy_derive::{
    Immutable,
    KnownLayout,
    Unaligned, //
};

/// The permissions of one class in a mode.
const CLASS: u16 = 0o7;
/// The bits of the group begin here.
const GROUP_SHIFT: u32 = 3;
/// The bits of the owner begin here.
const OWNER_SHIFT: u32 = 6;
/// All permissions in a mode.
const ALL_CLASSES: u16 = 0o777;

/// A mode, in two parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SplitMode {
    /// What is in effect, and is shown.
    pub(crate) effective: u16,
    /// Permissions of the group that only the disk has.
    pub(crate) hidden: u16,
}

/// Splits the mode of a file that has attributes.
pub(crate) fn split(mode: u16) -> SplitMode {
    let hidden = mode & !(mode << GROUP_SHIFT) & (CLASS << GROUP_SHIFT);

    SplitMode {
        effective: mode & !hidden,
        hidden,
    }
}

/// `EXT2_ACL_VERSION`
const VERSION: u32 = 1;

/// Whom an entry is about, `e_tag`.
mod tag {
    pub(super) const OWNER: u16 = 0x01;
    pub(super) const USER: u16 = 0x02;
    pub(super) const GROUP_OWNER: u16 = 0x04;
    pub(super) const GROUP: u16 = 0x08;
    pub(super) const MASK: u16 = 0x10;
    pub(super) const OTHER: u16 = 0x20;
}

/// `ext2_acl_entry_short`; what names a user or a group is followed by its number.
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Entry {
    tag: Le16,
    permissions: Le16,
}

/// An entry of a list, as it is; whether it makes sense is for others to say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ListEntry {
    pub(crate) tag: u16,
    pub(crate) permissions: u16,
    /// The number of a user or group that is named, else 0.
    pub(crate) id: u32,
}

/// Whether an entry with this tag names somebody.
fn has_id(tag: u16) -> bool {
    matches!(tag, tag::USER | tag::GROUP)
}

/// The entries of the list `value`; `None` if it is none. Nothing comes after the first `None`.
pub(crate) fn entries(
    value: &[u8],
) -> Option<impl Iterator<Item = Option<ListEntry>> + Clone + '_> {
    let (version, list) = Le32::ref_from_prefix(value).ok()?;
    if version.get() != VERSION {
        return None;
    }
    let mut rest = Some(list);
    Some(core::iter::from_fn(move || {
        let list = rest.take().filter(|list| !list.is_empty())?;
        let read = || {
            let (entry, mut after) = Entry::ref_from_prefix(list).ok()?;
            let mut id = 0;
            if has_id(entry.tag.get()) {
                let (number, behind) = Le32::ref_from_prefix(after).ok()?;
                (id, after) = (number.get(), behind);
            }
            let entry = ListEntry {
                tag: entry.tag.get(),
                permissions: entry.permissions.get(),
                id,
            };
            Some((entry, after))
        };
        Some(read().map(|(entry, after)| {
            rest = Some(after);
            entry
        }))
    }))
}

/// The list of these entries, as it is on disk. Fails with `ENOMEM`.
pub(crate) fn list_of(entries: impl Iterator<Item = ListEntry>) -> Result<KVec<u8>> {
    let mut bytes = KVec::new();

    bytes.extend_from_slice(&VERSION.to_le_bytes(), GFP_KERNEL)?;
    for entry in entries {
        bytes.extend_from_slice(&entry.tag.to_le_bytes(), GFP_KERNEL)?;
        bytes.extend_from_slice(&entry.permissions.to_le_bytes(), GFP_KERNEL)?;
        if has_id(entry.tag) {
            bytes.extend_from_slice(&entry.id.to_le_bytes(), GFP_KERNEL)?;
        }
    }
    Ok(bytes)
}

/// What a list gives.
#[derive(Clone, Copy)]
struct Granted {
    owner: u16,
    group: u16,
    other: u16,
    mask: u16,
    /// What each named user and group is given, but for the mask; `None` if there is none.
    named: Option<u16>,
}

/// The most that the mode of a new file may give, for no class to have more than the default list
/// `value` would give any of its members; `None` if the list makes no sense.
pub(crate) fn most_of_default(value: &[u8]) -> Option<u16> {
    let mut granted = Granted {
        owner: CLASS,
        group: CLASS,
        other: CLASS,
        mask: CLASS,
        named: None,
    };
    for entry in entries(value)? {
        let entry = entry?;
        let permissions = entry.permissions & CLASS;
        match entry.tag {
            tag::OWNER => granted.owner = permissions,
            tag::GROUP_OWNER => granted.group = permissions,
            tag::OTHER => granted.other = permissions,
            tag::MASK => granted.mask = permissions,
            tag::USER | tag::GROUP => {
                granted.named = Some(granted.named.unwrap_or(CLASS) & permissions);
            }
            _ => return None,
        }
    }
    Some(granted.most())
}

impl Granted {
    /// Who is named may be of the group, or one of the others.
    fn most(&self) -> u16 {
        let named = self.named.map_or(CLASS, |named| named & self.mask);
        let group = self.group & self.mask & named;
        let other = self.other & named;

        self.owner << OWNER_SHIFT | group << GROUP_SHIFT | other
    }
}

/// The mode of a new file that may have at most these permissions.
pub(crate) fn limited(mode: u16, most: u16) -> u16 {
    mode & (most | !ALL_CLASSES)
}

#[kunit_tests(rust_ext2_acl)]
mod tests {
    use super::*;

    #[test]
    fn the_group_has_no_more_than_others() {
        let of = |mode| {
            let SplitMode { effective, hidden } = split(mode);
            (effective, hidden)
        };

        assert_eq!(of(0o100664), (0o100644, 0o020));
        assert_eq!(of(0o100660), (0o100600, 0o060));
        assert_eq!(of(0o040775), (0o040755, 0o020));
        assert_eq!(of(0o100646), (0o100646, 0));
        assert_eq!(of(0o106777), (0o106777, 0));
        assert_eq!(of(0o107070), (0o107000, 0o070));
        for mode in 0..=u16::MAX {
            let SplitMode { effective, hidden } = split(mode);
            assert_eq!(effective | hidden, mode);
            assert_eq!(effective & hidden, 0);
            assert_eq!(effective & !0o070, mode & !0o070);
            assert_eq!(effective >> 3 & !effective & 0o7, 0);
        }
    }

    /// A list of these tags and permissions.
    fn list(entries: &[(u16, u16)]) -> Result<KVec<u8>> {
        list_of(entries.iter().map(|&(tag, permissions)| ListEntry {
            tag,
            permissions,
            id: if has_id(tag) { 1000 } else { 0 },
        }))
    }

    #[test]
    fn lists_come_back_from_the_disk() -> Result {
        use tag::*;
        let bytes = list(&[
            (OWNER, 7),
            (USER, 5),
            (GROUP_OWNER, 4),
            (MASK, 5),
            (OTHER, 0),
        ])?;

        assert_eq!(bytes.len(), 4 + 4 * 4 + 8);
        assert_eq!(
            bytes.get(..16),
            Some(&b"\x01\0\0\0\x01\0\x07\0\x02\0\x05\0\xe8\x03\0\0"[..])
        );
        let found = entries(&bytes).ok_or(EINVAL)?;
        assert!(found.clone().all(|entry| entry.is_some()));
        assert!(list_of(found.flatten())?.eq(&bytes));
        // Cut anywhere, it is another list or none.
        for len in 0..bytes.len() {
            let cut = bytes.get(..len).and_then(entries);
            let is_whole = cut.is_some_and(|mut found| found.all(|entry| entry.is_some()));
            assert_eq!(is_whole, matches!(len, 4 | 8 | 16 | 20 | 24));
        }
        Ok(())
    }

    fn most(entries: &[(u16, u16)]) -> Result<Option<u16>> {
        Ok(most_of_default(&list(entries)?))
    }

    #[test]
    fn default_lists() -> Result {
        use tag::*;

        assert_eq!(
            most(&[(OWNER, 7), (GROUP_OWNER, 5), (OTHER, 0)])?,
            Some(0o750)
        );
        assert_eq!(
            most(&[
                (OWNER, 6),
                (USER, 7),
                (GROUP_OWNER, 6),
                (MASK, 7),
                (OTHER, 4)
            ])?,
            Some(0o664)
        );
        // What is named gets less than others, and may be anybody.
        assert_eq!(
            most(&[
                (OWNER, 7),
                (USER, 4),
                (GROUP_OWNER, 7),
                (MASK, 7),
                (OTHER, 7)
            ])?,
            Some(0o744)
        );
        assert_eq!(
            most(&[
                (OWNER, 7),
                (GROUP_OWNER, 7),
                (GROUP, 0),
                (MASK, 7),
                (OTHER, 5)
            ])?,
            Some(0o700)
        );
        assert_eq!(
            most(&[(OWNER, 7), (GROUP_OWNER, 7), (MASK, 4), (OTHER, 5)])?,
            Some(0o745)
        );
        assert_eq!(
            most(&[
                (OWNER, 7),
                (USER, 7),
                (GROUP_OWNER, 7),
                (MASK, 4),
                (OTHER, 7)
            ])?,
            Some(0o744)
        );
        assert_eq!(limited(0o102666, 0o750), 0o102640);
        assert_eq!(limited(0o041777, 0o777), 0o041777);
        Ok(())
    }

    #[test]
    fn lists_that_make_no_sense() -> Result {
        assert_eq!(most(&[(0x40, 7)])?, None);
        assert_eq!(most_of_default(&[]), None);
        assert_eq!(most_of_default(&[2, 0, 0, 0]), None);
        assert_eq!(most_of_default(&[1, 0, 0]), None);
        let named = list(&[(tag::USER, 7)])?;
        for len in 5..named.len() {
            assert_eq!(named.get(..len).and_then(most_of_default), None);
        }
        Ok(())
    }
}
