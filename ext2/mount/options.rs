// SPDX-License-Identifier: GPL-2.0

//! Mount options.
//!
//! All that C ext2 has are understood, kept and shown, so that a table of mounts works with either;
//! `delalloc` and `nodelalloc` are spelled as in ext4.
//! `usrquota` and `grpquota` are for who turns quota on.
//!
//! Locks: none; those of a mounted filesystem are [`live_options`](crate::mount::live_options).

#![deny(unsafe_code)]

use super::mount_state::{
    DefaultOptions,
    ErrorBehaviour, //
};
use crate::{
    disk::super_check::SuperBlockLocation,
    groups::windows::Windowing, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};
use rust_mpage::fs::{
    EnumTable,
    FileSystem,
    KernelGid,
    KernelUid,
    Level,
    MountRequest,
    Parameter,
    ParameterTable,
    Value, //
};

/// How many words hold the options.
pub(crate) const WORDS: usize = 2;

/// The options of a mounted filesystem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) minix_df: bool,
    grpid: bool,
    resuid: KernelUid,
    resgid: KernelGid,
    pub(crate) errors: ErrorBehaviour,
    pub(crate) no_uid32: bool,
    pub(crate) debug: bool,
    old_allocator: bool,
    user_xattr: bool,
    acl: bool,
    user_quota: bool,
    group_quota: bool,
    reservation: bool,
    delayed_allocation: bool,
}

impl Options {
    /// The options where the user asks for none.
    pub(crate) fn new(defaults: &DefaultOptions) -> Self {
        Self {
            minix_df: false,
            grpid: defaults.grpid,
            resuid: KernelUid::from_initial(defaults.resuid),
            resgid: KernelGid::from_initial(defaults.resgid),
            errors: defaults.errors,
            no_uid32: defaults.nouid32,
            debug: defaults.debug,
            old_allocator: false,
            user_xattr: defaults.user_xattr,
            acl: defaults.acl,
            user_quota: false,
            group_quota: false,
            reservation: true,
            delayed_allocation: true,
        }
    }

    /// As words, for [`live_options`](crate::mount::live_options). The last of the options are the
    /// lowest bits.
    pub(crate) fn words(&self) -> [u64; WORDS] {
        let flags = [
            self.delayed_allocation,
            self.minix_df,
            self.grpid,
            self.no_uid32,
            self.debug,
            self.old_allocator,
            self.user_xattr,
            self.acl,
            self.user_quota,
            self.group_quota,
            self.reservation,
        ];
        let flags = flags
            .iter()
            .fold(0, |word, flag| word << 1 | u64::from(*flag));
        let errors = match self.errors {
            ErrorBehaviour::Continue => ERRORS_CONTINUE,
            ErrorBehaviour::Panic => ERRORS_PANIC,
            ErrorBehaviour::RemountReadOnly => ERRORS_REMOUNT_RO,
        };

        [
            u64::from(errors) << u32::BITS | flags,
            u64::from(self.resuid.value()) << u32::BITS | u64::from(self.resgid.value()),
        ]
    }

    /// What [`Self::words`] made words of.
    #[inline]
    pub(crate) fn of_words([flags, owners]: [u64; WORDS]) -> Self {
        let flag = |bit: u32| flags >> bit & 1 != 0;

        Self {
            delayed_allocation: flag(10),
            minix_df: flag(9),
            grpid: flag(8),
            no_uid32: flag(7),
            debug: flag(6),
            old_allocator: flag(5),
            user_xattr: flag(4),
            acl: flag(3),
            user_quota: flag(2),
            group_quota: flag(1),
            reservation: flag(0),
            errors: match (flags >> u32::BITS) as u32 {
                ERRORS_CONTINUE => ErrorBehaviour::Continue,
                ERRORS_PANIC => ErrorBehaviour::Panic,
                _ => ErrorBehaviour::RemountReadOnly,
            },
            resuid: KernelUid::from_value((owners >> u32::BITS) as u32),
            resgid: KernelGid::from_value(owners as u32),
        }
    }

    /// Whether the current task may use reserved blocks, capabilities aside.
    pub(crate) fn is_privileged(&self) -> bool {
        self.resuid == KernelUid::current_fsuid()
            || (!self.resgid.is_root() && self.resgid.is_of_current())
    }

    /// Whether new files take the group of their directory.
    pub(crate) fn takes_group_of_directory(&self) -> bool {
        self.grpid
    }

    /// Whether files have attributes of users.
    pub(crate) fn has_user_attributes(&self) -> bool {
        self.user_xattr
    }

    /// Whether access control lists are heeded.
    pub(crate) fn heeds_acls(&self) -> bool {
        self.acl
    }

    /// Whether directories are placed as before Orlov.
    pub(crate) fn uses_old_allocator(&self) -> bool {
        self.old_allocator
    }

    /// Whether files that grow get reservation windows.
    pub(crate) fn windowing(&self) -> Windowing {
        if self.reservation {
            Windowing::On
        } else {
            Windowing::Off
        }
    }

    /// Whether the blocks of files get their places when they are written to the disk.
    #[inline]
    pub(crate) fn delays_allocation(&self) -> bool {
        self.delayed_allocation && !(self.user_quota || self.group_quota)
    }

    /// Shows what differs from the defaults. C: `ext2_show_options()`.
    pub(crate) fn show(&self, defaults: &DefaultOptions, super_block: u32, out: &SeqFile) {
        const DEFAULT_ID: u32 = 0;
        let flag = |shown: bool, text: &str| {
            if shown {
                seq_print!(out, ",{text}");
            }
        };

        if super_block != SuperBlockLocation::PRIMARY {
            seq_print!(out, ",sb={super_block}");
        }
        flag(self.minix_df, "minixdf");
        flag(self.grpid, "grpid");
        flag(!self.grpid && defaults.grpid, "nogrpid");
        if self.resuid != KernelUid::from_initial(DEFAULT_ID) || defaults.resuid != DEFAULT_ID {
            seq_print!(out, ",resuid={}", self.resuid.in_initial());
        }
        if self.resgid != KernelGid::from_initial(DEFAULT_ID) || defaults.resgid != DEFAULT_ID {
            seq_print!(out, ",resgid={}", self.resgid.in_initial());
        }
        match self.errors {
            ErrorBehaviour::Continue => flag(true, "errors=continue"),
            ErrorBehaviour::Panic => flag(true, "errors=panic"),
            ErrorBehaviour::RemountReadOnly => flag(
                defaults.errors != ErrorBehaviour::RemountReadOnly,
                "errors=remount-ro",
            ),
        }
        flag(self.no_uid32, "nouid32");
        flag(self.debug, "debug");
        flag(self.old_allocator, "oldalloc");
        flag(self.user_xattr, "user_xattr");
        flag(!self.user_xattr && defaults.user_xattr, "nouser_xattr");
        flag(self.acl, "acl");
        flag(!self.acl && defaults.acl, "noacl");
        flag(self.user_quota, "usrquota");
        flag(self.group_quota, "grpquota");
        flag(!self.reservation, "noreservation");
        flag(!self.delayed_allocation, "nodelalloc");
    }
}

/// What the user asks for; `None` is no wish.
#[derive(Default)]
pub(crate) struct Request {
    super_block: Option<u32>,
    minix_df: Option<bool>,
    grpid: Option<bool>,
    resuid: Option<KernelUid>,
    resgid: Option<KernelGid>,
    errors: Option<ErrorBehaviour>,
    no_uid32: Option<bool>,
    debug: Option<bool>,
    old_allocator: Option<bool>,
    user_xattr: Option<bool>,
    acl: Option<bool>,
    user_quota: Option<bool>,
    group_quota: Option<bool>,
    reservation: Option<bool>,
    delayed_allocation: Option<bool>,
}

impl Request {
    /// Where to read the superblock, in KiB from the start of the device.
    pub(crate) fn super_block(&self) -> u32 {
        self.super_block.unwrap_or(SuperBlockLocation::PRIMARY)
    }

    /// `options` with the user's wishes. `sb=` is heeded at mount only.
    pub(crate) fn apply(&self, options: Options) -> Options {
        Options {
            minix_df: self.minix_df.unwrap_or(options.minix_df),
            grpid: self.grpid.unwrap_or(options.grpid),
            resuid: self.resuid.unwrap_or(options.resuid),
            resgid: self.resgid.unwrap_or(options.resgid),
            errors: self.errors.unwrap_or(options.errors),
            no_uid32: self.no_uid32.unwrap_or(options.no_uid32),
            debug: self.debug.unwrap_or(options.debug),
            old_allocator: self.old_allocator.unwrap_or(options.old_allocator),
            user_xattr: self.user_xattr.unwrap_or(options.user_xattr),
            acl: self.acl.unwrap_or(options.acl),
            user_quota: self.user_quota.unwrap_or(options.user_quota),
            group_quota: self.group_quota.unwrap_or(options.group_quota),
            reservation: self.reservation.unwrap_or(options.reservation),
            delayed_allocation: self
                .delayed_allocation
                .unwrap_or(options.delayed_allocation),
        }
    }

    /// Takes note of one parameter. C: `ext2_parse_param()`.
    pub(crate) fn set<F: FileSystem>(
        &mut self,
        mount: &MountRequest<'_, F>,
        option: MountOption,
        value: Value,
    ) -> Result {
        let yes = Some(!value.is_negated());

        match option {
            MountOption::BsdDf => self.minix_df = Some(false),
            MountOption::MinixDf => self.minix_df = Some(true),
            MountOption::GrpId => self.grpid = Some(true),
            MountOption::NoGrpId => self.grpid = Some(false),
            MountOption::ResGid => self.resgid = Some(value.gid()),
            MountOption::ResUid => self.resuid = Some(value.uid()),
            MountOption::SuperBlock => self.super_block = Some(value.number()),
            MountOption::Errors => {
                self.errors = Some(match value.number() {
                    ERRORS_CONTINUE => ErrorBehaviour::Continue,
                    ERRORS_PANIC => ErrorBehaviour::Panic,
                    ERRORS_REMOUNT_RO => ErrorBehaviour::RemountReadOnly,
                    _ => return Err(EINVAL),
                })
            }
            MountOption::NoUid32 => self.no_uid32 = Some(true),
            MountOption::Debug => self.debug = Some(true),
            MountOption::OldAlloc => self.old_allocator = Some(true),
            MountOption::Orlov => self.old_allocator = Some(false),
            MountOption::UserXattr => self.user_xattr = yes,
            MountOption::Acl => self.acl = yes,
            MountOption::UserQuota | MountOption::GroupQuota if !cfg!(CONFIG_QUOTA) => {
                let name = match option {
                    MountOption::UserQuota => "usrquota",
                    _ => "grpquota",
                };
                mount.message(
                    Level::Info,
                    fmt!("the option {name} is ignored: the kernel has no quota (CONFIG_QUOTA)"),
                )
            }
            MountOption::UserQuota => self.user_quota = Some(true),
            MountOption::GroupQuota => self.group_quota = Some(true),
            MountOption::Reservation => self.reservation = yes,
            MountOption::DelayedAllocation => self.delayed_allocation = yes,
            MountOption::Ignored => {}
            MountOption::Obsolete(name) => mount.message(
                Level::Warning,
                fmt!("the option {name} is obsolete and ignored"),
            ),
        }
        Ok(())
    }
}

/// A mount option, by what it does.
#[derive(Clone, Copy)]
pub(crate) enum MountOption {
    BsdDf,
    MinixDf,
    GrpId,
    NoGrpId,
    ResGid,
    ResUid,
    SuperBlock,
    Errors,
    NoUid32,
    Debug,
    OldAlloc,
    Orlov,
    UserXattr,
    Acl,
    UserQuota,
    GroupQuota,
    Reservation,
    DelayedAllocation,
    Ignored,
    Obsolete(&'static str),
}

const ERRORS_CONTINUE: u32 = 0;
const ERRORS_PANIC: u32 = 1;
const ERRORS_REMOUNT_RO: u32 = 2;

static ERRORS: EnumTable<3> = EnumTable::new([
    (c"continue", ERRORS_CONTINUE as i32),
    (c"panic", ERRORS_PANIC as i32),
    (c"remount-ro", ERRORS_REMOUNT_RO as i32),
]);

/// The options by name. C: `ext2_param_spec`.
pub(crate) static PARAMETERS: ParameterTable<MountOption, 25> = ParameterTable::new([
    Parameter::flag(c"bsddf", MountOption::BsdDf),
    Parameter::flag(c"minixdf", MountOption::MinixDf),
    Parameter::flag(c"grpid", MountOption::GrpId),
    Parameter::flag(c"bsdgroups", MountOption::GrpId),
    Parameter::flag(c"nogrpid", MountOption::NoGrpId),
    Parameter::flag(c"sysvgroups", MountOption::NoGrpId),
    Parameter::gid(c"resgid", MountOption::ResGid),
    Parameter::uid(c"resuid", MountOption::ResUid),
    Parameter::number(c"sb", MountOption::SuperBlock),
    Parameter::one_of(c"errors", MountOption::Errors, &ERRORS),
    Parameter::flag(c"nouid32", MountOption::NoUid32),
    Parameter::flag(c"debug", MountOption::Debug),
    Parameter::flag(c"oldalloc", MountOption::OldAlloc),
    Parameter::flag(c"orlov", MountOption::Orlov),
    Parameter::flag(c"nobh", MountOption::Obsolete("nobh")),
    Parameter::flag_no(c"user_xattr", MountOption::UserXattr),
    Parameter::flag_no(c"acl", MountOption::Acl),
    Parameter::flag(c"xip", MountOption::Obsolete("xip")),
    Parameter::flag(c"dax", MountOption::Obsolete("dax")),
    Parameter::flag(c"grpquota", MountOption::GroupQuota),
    Parameter::flag(c"noquota", MountOption::Ignored),
    Parameter::flag(c"quota", MountOption::UserQuota),
    Parameter::flag(c"usrquota", MountOption::UserQuota),
    Parameter::flag_no(c"reservation", MountOption::Reservation),
    Parameter::flag_no(c"delalloc", MountOption::DelayedAllocation),
]);

#[kunit_tests(rust_ext2_options)]
mod tests {
    use super::*;

    fn all_of(bits: u32, errors: ErrorBehaviour) -> Options {
        let flag = |bit: u32| bits & (1 << bit) != 0;
        Options {
            minix_df: flag(0),
            grpid: flag(1),
            resuid: KernelUid::from_value(bits ^ 0x8765_4321),
            resgid: KernelGid::from_value(!bits),
            errors,
            no_uid32: flag(2),
            debug: flag(3),
            old_allocator: flag(4),
            user_xattr: flag(5),
            acl: flag(6),
            user_quota: flag(7),
            group_quota: flag(8),
            reservation: flag(9),
            delayed_allocation: flag(10),
        }
    }

    #[test]
    fn every_option_comes_back_from_the_words() {
        for errors in [
            ErrorBehaviour::Continue,
            ErrorBehaviour::Panic,
            ErrorBehaviour::RemountReadOnly,
        ] {
            for bit in 0..11 {
                let options = all_of(1 << bit, errors);
                assert_eq!(Options::of_words(options.words()), options);
            }
        }
    }
}
