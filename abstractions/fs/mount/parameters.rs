// SPDX-License-Identifier: GPL-2.0

//! Mount parameters, parsed by the kernel's parser.
//!
//! C header: [`include/linux/fs_parser.h`](srctree/include/linux/fs_parser.h)
//!
//! A filesystem describes its parameters in a static [`ParameterTable`], which pairs each with a
//! value of the filesystem's own type, and gets that value back with what the user gave.

use crate::{
    abstractions::fs::{
        KernelGid,
        KernelUid, //
    },
    bindings, //
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*,
    str::as_char_ptr_in_const_context, //
};

/// The words that an enumeration parameter may have, each with a number.
#[repr(C)]
pub struct EnumTable<const N: usize> {
    words: [bindings::constant_table; N],
    end: bindings::constant_table,
}

// SAFETY: The table is constant and points to constant strings.
unsafe impl<const N: usize> Sync for EnumTable<N> {}

impl<const N: usize> EnumTable<N> {
    /// Makes a table of words and their numbers.
    pub const fn new(words: [(&'static CStr, i32); N]) -> Self {
        let mut table = Self {
            words: [const { pin_init::zeroed() }; N],
            end: pin_init::zeroed(),
        };
        let mut i = 0;
        while i < N {
            table.words[i].name = as_char_ptr_in_const_context(words[i].0);
            table.words[i].value = words[i].1;
            i += 1;
        }
        table
    }
}

/// One parameter that a filesystem knows.
pub struct Parameter<O> {
    spec: bindings::fs_parameter_spec,
    option: O,
}

impl<O: Copy> Parameter<O> {
    const fn new(name: &'static CStr, option: O) -> Self {
        let mut spec: bindings::fs_parameter_spec = pin_init::zeroed();
        spec.name = as_char_ptr_in_const_context(name);
        Self { spec, option }
    }

    /// A word without a value. C: `fsparam_flag()`.
    pub const fn flag(name: &'static CStr, option: O) -> Self {
        Self::new(name, option)
    }

    /// A word without a value that may have `no` before it. C: `fsparam_flag_no()`.
    pub const fn flag_no(name: &'static CStr, option: O) -> Self {
        let mut this = Self::new(name, option);
        this.spec.flags = bindings::fs_param_neg_with_no as u16;
        this
    }

    /// A 32-bit number. C: `fsparam_u32()`.
    pub const fn number(name: &'static CStr, option: O) -> Self {
        let mut this = Self::new(name, option);
        this.spec.type_ = Some(bindings::fs_param_is_u32);
        this
    }

    /// A user identifier, in the mounter's user namespace. C: `fsparam_uid()`.
    pub const fn uid(name: &'static CStr, option: O) -> Self {
        let mut this = Self::new(name, option);
        this.spec.type_ = Some(bindings::fs_param_is_uid);
        this
    }

    /// A group identifier, in the mounter's user namespace. C: `fsparam_gid()`.
    pub const fn gid(name: &'static CStr, option: O) -> Self {
        let mut this = Self::new(name, option);
        this.spec.type_ = Some(bindings::fs_param_is_gid);
        this
    }

    /// One of the words of `table`. C: `fsparam_enum()`.
    pub const fn one_of<const N: usize>(
        name: &'static CStr,
        option: O,
        table: &'static EnumTable<N>,
    ) -> Self {
        let mut this = Self::new(name, option);
        this.spec.type_ = Some(bindings::fs_param_is_enum);
        this.spec.data = ptr::from_ref(table).cast();
        this
    }
}

/// All parameters that a filesystem knows.
///
/// # Invariants
///
/// `specs` and `end` together are a table as `__fs_parse()` wants it: an unnamed entry ends it.
/// Entry `i` has the option number `i`. There are at most 256.
#[repr(C)]
pub struct ParameterTable<O, const N: usize> {
    specs: [bindings::fs_parameter_spec; N],
    end: bindings::fs_parameter_spec,
    options: [O; N],
}

// SAFETY: The table is constant, and so is what it points to.
unsafe impl<O: Sync, const N: usize> Sync for ParameterTable<O, N> {}

impl<O: Copy, const N: usize> ParameterTable<O, N> {
    /// Makes a table of parameters.
    pub const fn new(parameters: [Parameter<O>; N]) -> Self {
        assert!(N > 0 && N <= 256);
        let mut specs = [const { pin_init::zeroed::<bindings::fs_parameter_spec>() }; N];
        let mut options = [parameters[0].option; N];
        let mut i = 0;
        while i < N {
            specs[i].name = parameters[i].spec.name;
            specs[i].type_ = parameters[i].spec.type_;
            specs[i].flags = parameters[i].spec.flags;
            specs[i].data = parameters[i].spec.data;
            specs[i].opt = i as u8;
            options[i] = parameters[i].option;
            i += 1;
        }
        // INVARIANT: `end` is zeroed, the numbers are set just above.
        Self {
            specs,
            end: pin_init::zeroed(),
            options,
        }
    }

    /// The table without its length in its type.
    pub const fn as_parameters(&'static self) -> Parameters<O> {
        // INVARIANT: By the invariants of `ParameterTable`; the pointer is to the whole table.
        Parameters {
            specs: ptr::from_ref(self).cast(),
            options: &self.options,
        }
    }
}

/// A reference to a [`ParameterTable`].
///
/// # Invariants
///
/// `specs` points to a static table that `__fs_parse()` takes, whose numbers index `options`.
#[derive(Clone, Copy)]
pub struct Parameters<O: 'static> {
    specs: *const bindings::fs_parameter_spec,
    options: &'static [O],
}

impl<O: Copy> Parameters<O> {
    pub(in crate::abstractions::fs) fn as_raw(&self) -> *const bindings::fs_parameter_spec {
        self.specs
    }

    /// Parses one parameter. `ENOPARAM` if there is none of its name. C: `fs_parse()`.
    ///
    /// # Safety
    ///
    /// The pointers must be the arguments of a `parse_param` operation that is running.
    pub(super) unsafe fn parse(
        &self,
        fc: *mut bindings::fs_context,
        parameter: *mut bindings::fs_parameter,
    ) -> Result<(O, Value)> {
        let mut value = Value {
            number: 0,
            negated: false,
        };
        // SAFETY: The context and the parameter are valid by the safety requirements, the table by
        // the type invariants.
        let index = unsafe {
            bindings::rust_mpage_helper_fs_parse(
                fc,
                self.specs,
                parameter,
                &mut value.negated,
                &mut value.number,
            )
        };
        to_result(index)?;
        let option = self.options.get(index as usize).ok_or(EINVAL)?;
        Ok((*option, value))
    }
}

/// What the user gave for a parameter.
#[derive(Clone, Copy)]
pub struct Value {
    number: u32,
    negated: bool,
}

impl Value {
    /// Whether the parameter had `no` before it.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// The value of a number or enumeration parameter.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The value of a user parameter.
    pub fn uid(&self) -> KernelUid {
        KernelUid::from_value(self.number)
    }

    /// The value of a group parameter.
    pub fn gid(&self) -> KernelGid {
        KernelGid::from_value(self.number)
    }
}
