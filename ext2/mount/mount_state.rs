// SPDX-License-Identifier: GPL-2.0

//! What mounting makes of the superblock, its layout aside: may it be written to, is a check due,
//! which mount options are the defaults.
//!
//! The C counterparts are `ext2_setup_super()` and `ext2_set_options()`.
//!
//! Locks: none, the caller holds a copy of the superblock, or one that does not change.

use crate::disk::{
    self,
    default_mount_opts,
    geometry_error::{
        write_features,
        RO_COMPAT_NAMES, //
    },
    SuperBlock, //
};
use core::mem::offset_of;
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

/// A 32-bit word of the superblock that changes while the filesystem is mounted, or that is looked
/// at again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SuperWord {
    /// `s_r_blocks_count`.
    ReservedBlocks,
    /// `s_free_blocks_count`.
    FreeBlocks,
    /// `s_free_inodes_count`.
    FreeInodes,
    /// `s_mtime`.
    MountTime,
    /// `s_wtime`.
    WriteTime,
    /// `s_mnt_count`, `s_max_mnt_count`.
    Mounts,
    /// `s_magic`, `s_state`.
    State,
    /// `s_rev_level`.
    Revision,
    /// `s_first_ino`.
    FirstInode,
    /// `s_inode_size`, `s_block_group_nr`.
    InodeSize,
    /// `s_feature_compat`.
    Compat,
    /// `s_feature_ro_compat`.
    RoCompat,
}

impl SuperWord {
    /// Which word it is.
    pub(crate) const fn index(self) -> usize {
        let offset = match self {
            Self::ReservedBlocks => offset_of!(SuperBlock, r_blocks_count),
            Self::FreeBlocks => offset_of!(SuperBlock, free_blocks_count),
            Self::FreeInodes => offset_of!(SuperBlock, free_inodes_count),
            Self::MountTime => offset_of!(SuperBlock, mtime),
            Self::WriteTime => offset_of!(SuperBlock, wtime),
            Self::Mounts => offset_of!(SuperBlock, mnt_count),
            Self::State => offset_of!(SuperBlock, magic),
            Self::Revision => offset_of!(SuperBlock, rev_level),
            Self::FirstInode => offset_of!(SuperBlock, first_ino),
            Self::InodeSize => offset_of!(SuperBlock, inode_size),
            Self::Compat => offset_of!(SuperBlock, feature_compat),
            Self::RoCompat => offset_of!(SuperBlock, feature_ro_compat),
        };
        offset / size_of::<u32>()
    }
}

/// The state in [`SuperWord::State`].
pub(crate) const fn state_in(word: u32) -> u16 {
    (word >> u16::BITS) as u16
}

/// [`SuperWord::State`] with this state.
pub(crate) const fn with_state(word: u32, state: u16) -> u32 {
    word & u16::MAX as u32 | (state as u32) << u16::BITS
}

/// [`SuperWord::Mounts`] after one more mount for writing.
pub(crate) const fn with_mount_counted(word: u32) -> u32 {
    let count = (word as u16).wrapping_add(1);
    let max = match (word >> u16::BITS) as u16 {
        0 => disk::DEFAULT_MAX_MNT_COUNT,
        max => max,
    };
    count as u32 | (max as u32) << u16::BITS
}

/// [`SuperWord::InodeSize`] with the size of inodes in revision 0.
pub(crate) const fn with_old_inode_size(word: u32) -> u32 {
    word & !(u16::MAX as u32) | disk::revision::GOOD_OLD_INODE_SIZE
}

/// Whether a filesystem that is remounted read-only gets a new state: it had been valid, and its
/// superblock says that it is in use.
pub(crate) const fn is_to_be_closed(on_disk: u16, before_mount: u16) -> bool {
    on_disk & disk::state::VALID == 0 && before_mount & disk::state::VALID != 0
}

#[kunit_tests(rust_ext2_mount_state)]
mod tests {
    use super::*;
    use crate::disk::test_images::small;

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

    #[test]
    fn words_of_the_superblock() {
        let mut sb = small();
        sb.mnt_count.set(7);
        sb.max_mnt_count.set(0);
        sb.state.set(3);
        sb.inode_size.set(256);
        sb.block_group_nr.set(9);
        let word = |word: SuperWord| {
            let bytes = sb.as_bytes().chunks_exact(4).nth(word.index())?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };

        assert_eq!(word(SuperWord::State), Some(0x0003_ef53));
        assert_eq!(word(SuperWord::Mounts), Some(7));
        assert_eq!(word(SuperWord::InodeSize), Some(0x0009_0100));
        assert_eq!(word(SuperWord::FirstInode), Some(11));
        assert_eq!(word(SuperWord::Revision), Some(1));
        assert_eq!(word(SuperWord::RoCompat), Some(3));
    }

    #[test]
    fn state_and_mount_count() {
        assert_eq!(state_in(0x0003_ef53), 3);
        assert_eq!(with_state(0x0001_ef53, 2), 0x0002_ef53);
        assert_eq!(with_mount_counted(0x0014_0007), 0x0014_0008);
        // C sets the limit where there is none, and counts on beyond it.
        assert_eq!(with_mount_counted(0x0000_0000), 0x0014_0001);
        assert_eq!(with_mount_counted(0xffff_ffff), 0xffff_0000);
        assert_eq!(with_old_inode_size(0x0009_0100), 0x0009_0080);
    }

    #[test]
    fn what_a_remount_read_only_writes() {
        const VALID: u16 = disk::state::VALID;
        const ERROR: u16 = disk::state::ERROR;

        assert!(is_to_be_closed(0, VALID));
        assert!(is_to_be_closed(ERROR, VALID | ERROR));
        // It was not valid before; e2fsck has made it valid while it was mounted.
        assert!(!is_to_be_closed(0, 0));
        assert!(!is_to_be_closed(VALID, VALID));
    }
}
