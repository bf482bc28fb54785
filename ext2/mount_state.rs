// SPDX-License-Identifier: GPL-2.0

//! What mounting makes of the superblock, its layout aside: may it be written to, is a check due,
//! which mount options are the defaults.
//!
//! The C counterparts are `ext2_setup_super()` and `ext2_set_options()`.
//!
//! Locks: none, the caller holds a copy of the superblock, or one that does not change.

use super::{
    disk::{
        self,
        default_mount_opts,
        SuperBlock, //
    },
    geometry_error::{
        write_features,
        RO_COMPAT_NAMES, //
    }, //
};
use kernel::{
    fmt,
    prelude::*, //
};

/// Whether a filesystem may be written to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WriteSupport {
    /// It may.
    Full,
    /// It has features that this driver cannot write: mounting it read-write is refused.
    UnsupportedFeatures {
        /// Those of `s_feature_ro_compat`.
        unsupported: u32,
    },
    /// Its revision is newer than this driver: it is mounted read-only whatever was asked for.
    RevisionTooHigh {
        /// `s_rev_level`.
        revision: u32,
    },
}

impl WriteSupport {
    /// Finds out for the filesystem of `sb`.
    pub(crate) fn of(sb: &SuperBlock) -> Self {
        let unsupported = sb.feature_ro_compat.get() & !disk::ro_compat::SUPPORTED;
        let revision = sb.rev_level.get();

        if unsupported != 0 {
            Self::UnsupportedFeatures { unsupported }
        } else if revision > disk::revision::MAX_SUPPORTED {
            Self::RevisionTooHigh { revision }
        } else {
            Self::Full
        }
    }
}

impl fmt::Display for WriteSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Full => write!(f, "the filesystem can be written to"),
            Self::UnsupportedFeatures { unsupported } => {
                write!(f, "features that can only be read:")?;
                write_features(f, unsupported, &RO_COMPAT_NAMES)
            }
            Self::RevisionTooHigh { revision } => {
                write!(f, "revision {revision} can only be read")
            }
        }
    }
}

/// Why a check of the filesystem is recommended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CheckAdvice {
    /// It was not unmounted cleanly.
    NotClean,
    /// Errors were detected in it.
    HasErrors,
    /// It was mounted too often since the last check.
    MountCount {
        /// Mounts since the last check.
        count: u16,
    },
    /// The last check was too long ago.
    CheckInterval,
    /// It has features that its revision has not.
    FeaturesOnRevision0,
}

impl CheckAdvice {
    /// The advice to give when mounting the filesystem of `sb` for writing at time `now`, in
    /// seconds.
    ///
    /// As `tune2fs` documents, a maximal mount count of 0 means never; `ext2_setup_super()` takes
    /// it for always.
    pub(crate) fn for_writing(sb: &SuperBlock, now: i64) -> Option<Self> {
        let state = sb.state.get();
        let count = sb.mnt_count.get();
        // Negative means never.
        let max = sb.max_mnt_count.get() as i16;
        let interval = sb.checkinterval.get();
        let due = i64::from(sb.lastcheck.get()) + i64::from(interval);

        if state & disk::state::VALID == 0 {
            Some(Self::NotClean)
        } else if state & disk::state::ERROR != 0 {
            Some(Self::HasErrors)
        } else if max > 0 && i32::from(count) >= i32::from(max) {
            Some(Self::MountCount { count })
        } else if interval != 0 && due <= now {
            Some(Self::CheckInterval)
        } else {
            None
        }
    }

    /// The advice to give however the filesystem of `sb` is mounted.
    pub(crate) fn for_any_mount(sb: &SuperBlock) -> Option<Self> {
        let features =
            sb.feature_compat.get() | sb.feature_incompat.get() | sb.feature_ro_compat.get();

        (sb.rev_level.get() == disk::revision::GOOD_OLD && features != 0)
            .then_some(Self::FeaturesOnRevision0)
    }
}

impl fmt::Display for CheckAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotClean => write!(f, "not cleanly unmounted")?,
            Self::HasErrors => write!(f, "errors were detected earlier")?,
            Self::MountCount { count } => write!(f, "mounted {count} times since the last check")?,
            Self::CheckInterval => write!(f, "the time for a check has come")?,
            Self::FeaturesOnRevision0 => write!(f, "feature flags on a revision 0 filesystem")?,
        }
        write!(f, ", running e2fsck is recommended")
    }
}

/// What to do when the filesystem turns out to be corrupt, the mount option `errors=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ErrorBehaviour {
    /// Go on, `errors=continue`.
    Continue,
    /// Write no more, `errors=remount-ro`.
    RemountReadOnly,
    /// Panic, `errors=panic`.
    Panic,
}

/// The mount options that the superblock gives; those that the user gives go before them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DefaultOptions {
    /// `debug`.
    pub(crate) debug: bool,
    /// `grpid`: new files take the group of their directory.
    pub(crate) grpid: bool,
    /// `nouid32`: owners and groups have 16 bits.
    pub(crate) nouid32: bool,
    /// `user_xattr`.
    pub(crate) user_xattr: bool,
    /// `acl`.
    pub(crate) acl: bool,
    /// `errors=`.
    pub(crate) errors: ErrorBehaviour,
    /// `resuid=`: the user that may use reserved blocks.
    pub(crate) resuid: u32,
    /// `resgid=`: the group that may use reserved blocks.
    pub(crate) resgid: u32,
}

impl DefaultOptions {
    /// Those of `sb`.
    pub(crate) fn of(sb: &SuperBlock) -> Self {
        let options = sb.default_mount_opts.get();

        Self {
            debug: options & default_mount_opts::DEBUG != 0,
            grpid: options & default_mount_opts::BSD_GROUPS != 0,
            nouid32: options & default_mount_opts::UID16 != 0,
            user_xattr: options & default_mount_opts::XATTR_USER != 0,
            acl: options & default_mount_opts::ACL != 0,
            errors: match sb.errors.get() {
                disk::errors::CONTINUE => ErrorBehaviour::Continue,
                disk::errors::PANIC => ErrorBehaviour::Panic,
                // What is unknown, and old filesystems have 0 here, is taken for the safe one.
                _ => ErrorBehaviour::RemountReadOnly,
            },
            resuid: sb.def_resuid.get().into(),
            resgid: sb.def_resgid.get().into(),
        }
    }
}

#[kunit_tests(rust_ext2_mount_state)]
mod tests {
    use super::super::test_images::small;
    use super::*;

    #[inline(never)]
    fn support(change: fn(&mut SuperBlock)) -> WriteSupport {
        let mut sb = small();

        change(&mut sb);
        WriteSupport::of(&sb)
    }

    /// The advice for a filesystem checked at second 1000, at second 2000.
    #[inline(never)]
    fn advice(change: fn(&mut SuperBlock)) -> Option<CheckAdvice> {
        let mut sb = small();

        sb.lastcheck.set(1000);
        sb.max_mnt_count.set(u16::MAX);
        change(&mut sb);
        CheckAdvice::for_any_mount(&sb).or(CheckAdvice::for_writing(&sb, 2000))
    }

    #[test]
    fn what_may_be_written() {
        assert_eq!(support(|_| {}), WriteSupport::Full);
        assert_eq!(
            support(|sb| sb.feature_ro_compat.set(0x407)),
            WriteSupport::UnsupportedFeatures { unsupported: 0x400 }
        );
        assert_eq!(
            support(|sb| sb.rev_level.set(2)),
            WriteSupport::RevisionTooHigh { revision: 2 }
        );
        assert_eq!(support(|sb| sb.rev_level.set(0)), WriteSupport::Full);
    }

    #[test]
    fn when_a_check_is_due() {
        assert_eq!(advice(|_| {}), None);
        assert_eq!(advice(|sb| sb.state.set(0)), Some(CheckAdvice::NotClean));
        assert_eq!(advice(|sb| sb.state.set(3)), Some(CheckAdvice::HasErrors));
        assert_eq!(
            advice(|sb| {
                sb.mnt_count.set(20);
                sb.max_mnt_count.set(20);
            }),
            Some(CheckAdvice::MountCount { count: 20 })
        );
        assert_eq!(
            advice(|sb| {
                sb.mnt_count.set(19);
                sb.max_mnt_count.set(20);
            }),
            None
        );
        assert_eq!(advice(|sb| sb.max_mnt_count.set(0)), None);
        assert_eq!(advice(|sb| sb.mnt_count.set(u16::MAX)), None);
        assert_eq!(
            advice(|sb| sb.checkinterval.set(1000)),
            Some(CheckAdvice::CheckInterval)
        );
        assert_eq!(advice(|sb| sb.checkinterval.set(1001)), None);
        assert_eq!(advice(|sb| sb.checkinterval.set(u32::MAX)), None);
        assert_eq!(
            advice(|sb| sb.rev_level.set(0)),
            Some(CheckAdvice::FeaturesOnRevision0)
        );
    }

    #[test]
    fn default_options() {
        let mut sb = small();
        let options = DefaultOptions::of(&sb);
        assert_eq!(options.errors, ErrorBehaviour::RemountReadOnly);
        assert!(!(options.debug || options.grpid || options.nouid32));
        assert!(!(options.user_xattr || options.acl));

        sb.default_mount_opts.set(0x1f);
        sb.errors.set(disk::errors::CONTINUE);
        sb.def_resuid.set(u16::MAX);
        let options = DefaultOptions::of(&sb);
        assert_eq!(options.errors, ErrorBehaviour::Continue);
        assert!(options.debug && options.grpid && options.nouid32);
        assert!(options.user_xattr && options.acl);
        assert_eq!((options.resuid, options.resgid), (65535, 0));

        sb.errors.set(disk::errors::PANIC);
        assert_eq!(DefaultOptions::of(&sb).errors, ErrorBehaviour::Panic);
    }
}
