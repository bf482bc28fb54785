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

/// An option that is on or off.
#[derive(Clone, Copy)]
pub(crate) enum Flag {
    MinixDf,
    GrpId,
    NoUid32,
    Debug,
    OldAllocator,
    UserXattr,
    Acl,
    UserQuota,
    GroupQuota,
    Reservation,
    DelayedAllocation,
}

/// Some of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Flags(u32);

impl Flags {
    #[inline]
    fn has(self, flag: Flag) -> bool {
        self.0 & 1 << flag as u32 != 0
    }

    /// With one of them, or without it.
    fn with(self, flag: Flag, on: bool) -> Self {
        let bit = 1 << flag as u32;
        Self(self.0 & !bit | if on { bit } else { 0 })
    }
}

/// The options of a mounted filesystem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    flags: Flags,
    resuid: KernelUid,
    resgid: KernelGid,
    pub(crate) errors: ErrorBehaviour,
}

impl Options {
    /// The options where the user asks for none.
    pub(crate) fn new(defaults: &DefaultOptions) -> Self {
        let flags = [
            (Flag::GrpId, defaults.grpid),
            (Flag::NoUid32, defaults.nouid32),
            (Flag::Debug, defaults.debug),
            (Flag::UserXattr, defaults.user_xattr),
            (Flag::Acl, defaults.acl),
            (Flag::Reservation, true),
            (Flag::DelayedAllocation, true),
        ];
        Self {
            flags: flags
                .into_iter()
                .fold(Flags::default(), |all, (flag, on)| all.with(flag, on)),
            resuid: KernelUid::from_initial(defaults.resuid),
            resgid: KernelGid::from_initial(defaults.resgid),
            errors: defaults.errors,
        }
    }

    /// As words, for [`live_options`](crate::mount::live_options).
    pub(crate) fn words(&self) -> [u64; WORDS] {
        let errors = match self.errors {
            ErrorBehaviour::Continue => ERRORS_CONTINUE,
            ErrorBehaviour::Panic => ERRORS_PANIC,
            ErrorBehaviour::RemountReadOnly => ERRORS_REMOUNT_RO,
        };

        [
            u64::from(errors) << u32::BITS | u64::from(self.flags.0),
            u64::from(self.resuid.value()) << u32::BITS | u64::from(self.resgid.value()),
        ]
    }

    /// What [`Self::words`] made words of.
    #[inline]
    pub(crate) fn of_words([flags, owners]: [u64; WORDS]) -> Self {
        Self {
            flags: Flags(flags as u32),
            errors: match (flags >> u32::BITS) as u32 {
                ERRORS_CONTINUE => ErrorBehaviour::Continue,
                ERRORS_PANIC => ErrorBehaviour::Panic,
                _ => ErrorBehaviour::RemountReadOnly,
            },
            resuid: KernelUid::from_value((owners >> u32::BITS) as u32),
            resgid: KernelGid::from_value(owners as u32),
        }
    }

    /// Whether an option is on.
    #[inline]
    pub(crate) fn has(&self, flag: Flag) -> bool {
        self.flags.has(flag)
    }

    /// Whether the current task may use reserved blocks, capabilities aside.
    pub(crate) fn is_privileged(&self) -> bool {
        self.resuid == KernelUid::current_fsuid()
            || (!self.resgid.is_root() && self.resgid.is_of_current())
    }

    /// Whether new files take the group of their directory.
    pub(crate) fn takes_group_of_directory(&self) -> bool {
        self.has(Flag::GrpId)
    }

    /// Whether files have attributes of users.
    pub(crate) fn has_user_attributes(&self) -> bool {
        self.has(Flag::UserXattr)
    }

    /// Whether access control lists are heeded.
    pub(crate) fn heeds_acls(&self) -> bool {
        self.has(Flag::Acl)
    }

    /// Whether directories are placed as before Orlov.
    pub(crate) fn uses_old_allocator(&self) -> bool {
        self.has(Flag::OldAllocator)
    }

    /// Whether files that grow get reservation windows.
    pub(crate) fn windowing(&self) -> Windowing {
        if self.has(Flag::Reservation) {
            Windowing::On
        } else {
            Windowing::Off
        }
    }

    /// Whether the blocks of files get their places when they are written to the disk.
    #[inline]
    pub(crate) fn delays_allocation(&self) -> bool {
        self.has(Flag::DelayedAllocation)
    }

    /// Shows what differs from the defaults. C: `ext2_show_options()`.
    pub(crate) fn show(&self, defaults: &DefaultOptions, super_block: u32, out: &SeqFile) {
        const DEFAULT_ID: u32 = 0;
        let has = |flag: Flag| self.has(flag);
        let flag = |shown: bool, text: &str| {
            if shown {
                seq_print!(out, ",{text}");
            }
        };

        if super_block != SuperBlockLocation::PRIMARY {
            seq_print!(out, ",sb={super_block}");
        }
        flag(has(Flag::MinixDf), "minixdf");
        flag(has(Flag::GrpId), "grpid");
        flag(!has(Flag::GrpId) && defaults.grpid, "nogrpid");
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
        flag(has(Flag::NoUid32), "nouid32");
        flag(has(Flag::Debug), "debug");
        flag(has(Flag::OldAllocator), "oldalloc");
        flag(has(Flag::UserXattr), "user_xattr");
        flag(!has(Flag::UserXattr) && defaults.user_xattr, "nouser_xattr");
        flag(has(Flag::Acl), "acl");
        flag(!has(Flag::Acl) && defaults.acl, "noacl");
        flag(has(Flag::UserQuota), "usrquota");
        flag(has(Flag::GroupQuota), "grpquota");
        flag(!has(Flag::Reservation), "noreservation");
        flag(!has(Flag::DelayedAllocation), "nodelalloc");
    }
}

/// What the user asks for; `None` is no wish.
#[derive(Default)]
pub(crate) struct Request {
    super_block: Option<u32>,
    /// The flags that there is a wish for, and those of them that are to be on.
    asked: Flags,
    wanted: Flags,
    resuid: Option<KernelUid>,
    resgid: Option<KernelGid>,
    errors: Option<ErrorBehaviour>,
}

impl Request {
    /// Where to read the superblock, in KiB from the start of the device.
    pub(crate) fn super_block(&self) -> u32 {
        self.super_block.unwrap_or(SuperBlockLocation::PRIMARY)
    }

    /// `options` with the user's wishes. `sb=` is heeded at mount only.
    pub(crate) fn apply(&self, options: Options) -> Options {
        Options {
            flags: Flags(options.flags.0 & !self.asked.0 | self.wanted.0),
            resuid: self.resuid.unwrap_or(options.resuid),
            resgid: self.resgid.unwrap_or(options.resgid),
            errors: self.errors.unwrap_or(options.errors),
        }
    }

    /// Takes note of one parameter. C: `ext2_parse_param()`.
    pub(crate) fn set<F: FileSystem>(
        &mut self,
        mount: &MountRequest<'_, F>,
        option: MountOption,
        value: Value,
    ) -> Result {
        match option {
            MountOption::On(flag @ (Flag::UserQuota | Flag::GroupQuota)) if !cfg!(CONFIG_QUOTA) => {
                let name = match flag {
                    Flag::UserQuota => "usrquota",
                    _ => "grpquota",
                };
                mount.message(
                    Level::Info,
                    fmt!("the option {name} is ignored: the kernel has no quota (CONFIG_QUOTA)"),
                )
            }
            MountOption::On(flag) => self.ask(flag, true),
            MountOption::Off(flag) => self.ask(flag, false),
            MountOption::OnOrOff(flag) => self.ask(flag, !value.is_negated()),
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
            MountOption::Ignored => {}
            MountOption::Obsolete(name) => mount.message(
                Level::Warning,
                fmt!("the option {name} is obsolete and ignored"),
            ),
        }
        Ok(())
    }

    fn ask(&mut self, flag: Flag, on: bool) {
        self.asked = self.asked.with(flag, true);
        self.wanted = self.wanted.with(flag, on);
    }
}

/// A mount option, by what it does.
#[derive(Clone, Copy)]
pub(crate) enum MountOption {
    /// Turns a flag on.
    On(Flag),
    /// Turns it off.
    Off(Flag),
    /// Turns it on, or with `no` before it off.
    OnOrOff(Flag),
    ResGid,
    ResUid,
    SuperBlock,
    Errors,
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
    Parameter::flag(c"bsddf", MountOption::Off(Flag::MinixDf)),
    Parameter::flag(c"minixdf", MountOption::On(Flag::MinixDf)),
    Parameter::flag(c"grpid", MountOption::On(Flag::GrpId)),
    Parameter::flag(c"bsdgroups", MountOption::On(Flag::GrpId)),
    Parameter::flag(c"nogrpid", MountOption::Off(Flag::GrpId)),
    Parameter::flag(c"sysvgroups", MountOption::Off(Flag::GrpId)),
    Parameter::gid(c"resgid", MountOption::ResGid),
    Parameter::uid(c"resuid", MountOption::ResUid),
    Parameter::number(c"sb", MountOption::SuperBlock),
    Parameter::one_of(c"errors", MountOption::Errors, &ERRORS),
    Parameter::flag(c"nouid32", MountOption::On(Flag::NoUid32)),
    Parameter::flag(c"debug", MountOption::On(Flag::Debug)),
    Parameter::flag(c"oldalloc", MountOption::On(Flag::OldAllocator)),
    Parameter::flag(c"orlov", MountOption::Off(Flag::OldAllocator)),
    Parameter::flag(c"nobh", MountOption::Obsolete("nobh")),
    Parameter::flag_no(c"user_xattr", MountOption::OnOrOff(Flag::UserXattr)),
    Parameter::flag_no(c"acl", MountOption::OnOrOff(Flag::Acl)),
    Parameter::flag(c"xip", MountOption::Obsolete("xip")),
    Parameter::flag(c"dax", MountOption::Obsolete("dax")),
    Parameter::flag(c"grpquota", MountOption::On(Flag::GroupQuota)),
    Parameter::flag(c"noquota", MountOption::Ignored),
    Parameter::flag(c"quota", MountOption::On(Flag::UserQuota)),
    Parameter::flag(c"usrquota", MountOption::On(Flag::UserQuota)),
    Parameter::flag_no(c"reservation", MountOption::OnOrOff(Flag::Reservation)),
    Parameter::flag_no(c"delalloc", MountOption::OnOrOff(Flag::DelayedAllocation)),
]);

#[kunit_tests(rust_ext2_options)]
mod tests {
    use super::*;

    fn only(flags: u32, errors: ErrorBehaviour) -> Options {
        Options {
            flags: Flags(flags),
            resuid: KernelUid::from_value(flags ^ 0x8765_4321),
            resgid: KernelGid::from_value(!flags),
            errors,
        }
    }

    #[test]
    fn every_option_comes_back_from_the_words() {
        for errors in [
            ErrorBehaviour::Continue,
            ErrorBehaviour::Panic,
            ErrorBehaviour::RemountReadOnly,
        ] {
            for bit in 0..u32::BITS {
                let options = only(1 << bit, errors);
                assert_eq!(Options::of_words(options.words()), options);
            }
        }
    }

    #[test]
    fn the_last_wish_counts_and_what_is_not_asked_for_stays() {
        let before = only(0, ErrorBehaviour::Continue);
        let before = Options {
            flags: before.flags.with(Flag::Acl, true).with(Flag::GrpId, true),
            ..before
        };
        let mut request = Request::default();
        request.ask(Flag::Acl, true);
        request.ask(Flag::Acl, false);
        request.ask(Flag::MinixDf, true);
        let after = request.apply(before);

        assert!(!after.has(Flag::Acl) && after.has(Flag::MinixDf) && after.has(Flag::GrpId));
        assert!(!after.has(Flag::Debug));
        assert_eq!(Request::default().apply(before), before);
    }
}
