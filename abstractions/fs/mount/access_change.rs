// SPDX-License-Identifier: GPL-2.0

//! What a reconfiguration does to a filesystem that can be written to.
//!
//! Locks: `s_umount`, by who reconfigures.

/// How a reconfiguration changes whether the filesystem may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessChange {
    /// Not at all.
    Unchanged,
    /// It may not be any more. Nobody has a file open for writing.
    ToReadOnly,
    /// It may be from now on.
    ToReadWrite,
}

impl AccessChange {
    /// From the flags of a superblock and those that are asked for.
    pub(in crate::abstractions::fs) fn of(
        is_read_only: bool,
        wants_read_only: Option<bool>,
    ) -> Self {
        match (is_read_only, wants_read_only) {
            (false, Some(true)) => Self::ToReadOnly,
            (true, Some(false)) => Self::ToReadWrite,
            _ => Self::Unchanged,
        }
    }

    /// Whether quota is to go on after a remount: it was suspended, and the filesystem can be
    /// written to.
    pub(super) fn lets_quota_go_on(self, has_succeeded: bool) -> bool {
        match self {
            Self::Unchanged => false,
            Self::ToReadOnly => !has_succeeded,
            Self::ToReadWrite => has_succeeded,
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_write)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_only_if_it_changes_something() {
        assert_eq!(
            AccessChange::of(true, Some(false)),
            AccessChange::ToReadWrite
        );
        assert_eq!(
            AccessChange::of(false, Some(true)),
            AccessChange::ToReadOnly
        );
        assert_eq!(AccessChange::of(true, Some(true)), AccessChange::Unchanged);
        assert_eq!(
            AccessChange::of(false, Some(false)),
            AccessChange::Unchanged
        );
        assert_eq!(AccessChange::of(true, None), AccessChange::Unchanged);
        assert_eq!(AccessChange::of(false, None), AccessChange::Unchanged);
    }

    #[test]
    fn quota_goes_on_where_the_filesystem_can_be_written_to() {
        assert!(AccessChange::ToReadWrite.lets_quota_go_on(true));
        assert!(!AccessChange::ToReadWrite.lets_quota_go_on(false));
        assert!(!AccessChange::ToReadOnly.lets_quota_go_on(true));
        assert!(AccessChange::ToReadOnly.lets_quota_go_on(false));
        assert!(!AccessChange::Unchanged.lets_quota_go_on(true));
        assert!(!AccessChange::Unchanged.lets_quota_go_on(false));
    }
}
