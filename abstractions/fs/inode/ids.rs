// SPDX-License-Identifier: GPL-2.0

//! User and group identifiers, and device numbers.
//!
//! C headers: [`include/linux/uidgid.h`](srctree/include/linux/uidgid.h),
//! [`include/linux/kdev_t.h`](srctree/include/linux/kdev_t.h)
//!
//! [`kernel::task::Kuid`] knows effective identifiers and the current user namespace, and there is
//! nothing like it for groups; what a filesystem compares is who accesses files, and what mount
//! options mean in the initial namespace.

use crate::bindings;

/// A user identifier of the kernel, `kuid_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelUid(u32);

/// A group identifier of the kernel, `kgid_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelGid(u32);

impl KernelUid {
    /// The one that has this value, see [`Self::value`].
    pub const fn from_value(value: u32) -> Self {
        Self(value)
    }

    /// Its value, that of no namespace. C: `__kuid_val()`.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The identifier that is `uid` in the initial user namespace. C: `make_kuid()`.
    pub fn from_initial(uid: u32) -> Self {
        // SAFETY: Any value may be looked up in the initial namespace.
        Self(unsafe { bindings::rust_mpage_helper_make_kuid(uid) })
    }

    /// The one that the current task accesses files as. C: `current_fsuid()`.
    pub fn current_fsuid() -> Self {
        // SAFETY: Reads the current task's own credentials.
        Self(unsafe { bindings::rust_mpage_helper_current_fsuid() })
    }

    /// What it is in the initial user namespace; the overflow identifier if it is nothing there.
    /// C: `from_kuid_munged()`.
    pub fn in_initial(self) -> u32 {
        // SAFETY: Any value may be looked up in the initial namespace.
        unsafe { bindings::rust_mpage_helper_from_kuid_munged(self.0) }
    }
}

impl KernelGid {
    /// The one that has this value, see [`Self::value`].
    pub const fn from_value(value: u32) -> Self {
        Self(value)
    }

    /// Its value, that of no namespace. C: `__kgid_val()`.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The identifier that is `gid` in the initial user namespace. C: `make_kgid()`.
    pub fn from_initial(gid: u32) -> Self {
        // SAFETY: Any value may be looked up in the initial namespace.
        Self(unsafe { bindings::rust_mpage_helper_make_kgid(gid) })
    }

    /// Whether it is the group of the administrator. C: `GLOBAL_ROOT_GID`.
    pub fn is_root(self) -> bool {
        self.0 == 0
    }

    /// Whether the current task is in the group. C: `in_group_p()`.
    pub fn is_of_current(self) -> bool {
        // SAFETY: Reads the current task's own credentials.
        unsafe { bindings::rust_mpage_helper_in_group_p(self.0) }
    }

    /// What it is in the initial user namespace; the overflow identifier if it is nothing there.
    /// C: `from_kgid_munged()`.
    pub fn in_initial(self) -> u32 {
        // SAFETY: Any value may be looked up in the initial namespace.
        unsafe { bindings::rust_mpage_helper_from_kgid_munged(self.0) }
    }
}

/// The number of a device that a special file stands for, `dev_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber(bindings::dev_t);

impl DeviceNumber {
    const MAJOR_BITS: u32 = 12;
    const MINOR_BITS: u32 = 20;

    /// That of no device: of a FIFO, or a socket.
    pub const NONE: Self = Self(0);

    /// C: `MKDEV()`. [`None`] if a `dev_t` has no room for it: 12 bits of major number, 20 of
    /// minor. What is left of the bits would be another device.
    pub const fn new(major: u32, minor: u32) -> Option<Self> {
        if major >> Self::MAJOR_BITS != 0 || minor >> Self::MINOR_BITS != 0 {
            return None;
        }
        Some(Self((major << Self::MINOR_BITS) | minor))
    }

    pub(in crate::abstractions::fs) fn from_raw(number: bindings::dev_t) -> Self {
        Self(number)
    }

    pub(in crate::abstractions::fs) fn into_raw(self) -> bindings::dev_t {
        self.0
    }

    /// The number of the driver. C: `MAJOR()`.
    pub const fn major(self) -> u32 {
        self.0 >> Self::MINOR_BITS
    }

    /// The number of the driver's device. C: `MINOR()`.
    pub const fn minor(self) -> u32 {
        self.0 & ((1 << Self::MINOR_BITS) - 1)
    }
}

#[kernel::macros::kunit_tests(rust_mpage_ids)]
mod tests {
    use super::DeviceNumber;

    #[test]
    fn device_numbers_keep_both_parts() {
        let parts = |major, minor| {
            DeviceNumber::new(major, minor).map(|number| (number.major(), number.minor()))
        };
        let largest = ((1 << 12) - 1, (1 << 20) - 1);

        assert_eq!(parts(largest.0, largest.1), Some(largest));
        assert_eq!(parts(8, 17), Some((8, 17)));
    }

    #[test]
    fn device_numbers_are_not_cut() {
        assert_eq!(DeviceNumber::new(0, 1 << 20), None);
        assert_eq!(DeviceNumber::new(1 << 12, 0), None);
        assert_eq!(DeviceNumber::new(u32::MAX, u32::MAX), None);
    }
}
