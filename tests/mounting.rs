// SPDX-License-Identifier: GPL-2.0

//! A filesystem that is registered, and that nobody can mount: when somebody may begin to.

#![deny(unsafe_code)]

use crate::support::open_context;
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    sync::SetOnce, //
};
use rust_mpage::fs::{
    self,
    Access,
    AccessChange,
    FileSystem,
    InodeRef,
    MountRequest,
    MountableFileSystem,
    NewSuperBlock,
    Parameter,
    ParameterTable,
    Parameters,
    Purpose,
    StatFs,
    SuperBlock,
    Unwritten,
    Value, //
};

/// A filesystem that no disk has.
struct Nowhere;

impl FileSystem for Nowhere {
    const NAME: &'static CStr = c"rust_mpage_nowhere";

    type Data = Pin<KBox<Unwritten>>;
    type InodeData = ();

    fn write_failed(_sb: &SuperBlock<Self>, _block: u64) {}

    fn unwritten(sb: &SuperBlock<Self>) -> &Unwritten {
        sb.data()
    }
}

static PARAMETERS: ParameterTable<(), 1> = ParameterTable::new([Parameter::flag(c"nothing", ())]);

impl MountableFileSystem for Nowhere {
    const ACCESS: Access<Self> = Access::ReadOnly;

    type Context = ();
    type Parameter = ();

    fn parameters() -> Parameters<()> {
        PARAMETERS.as_parameters()
    }

    fn context(_purpose: Purpose<'_, Self>) -> Result {
        Ok(())
    }

    fn parameter((): &mut (), _: &MountRequest<'_, Self>, (): (), _: Value) -> Result {
        Ok(())
    }

    fn fill_super(
        _sb: &mut NewSuperBlock<'_, Self>,
        _context: &mut (),
    ) -> Result<Pin<KBox<Self::Data>>> {
        Err(EINVAL)
    }

    fn root(_sb: &SuperBlock<Self>) -> Result<InodeRef<'_, Self>> {
        Err(EINVAL)
    }

    fn reconfigure(_: &SuperBlock<Self>, (): &mut (), _: AccessChange) -> Result {
        Err(EINVAL)
    }

    fn statfs(_sb: &SuperBlock<Self>) -> Result<StatFs> {
        Err(EINVAL)
    }

    fn show_options(_sb: &SuperBlock<Self>, _out: &SeqFile) -> Result {
        Ok(())
    }
}

/// What became of who began to mount it while the module came up.
static EARLY: SetOnce<Early> = SetOnce::new();

struct Early {
    result: Result,
    /// The module is part of the kernel, and so does not go.
    is_built_in: bool,
}

/// Its registration.
#[pin_data]
pub(crate) struct Registered {
    #[pin]
    _registration: fs::Registration<Nowhere>,
    _early: (),
}

impl Registered {
    /// Registers it, and begins to mount it at once.
    pub(crate) fn new(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _registration <- fs::Registration::new(Nowhere::NAME, module),
            _early: {
                EARLY.populate(Early {
                    result: open_context(Nowhere::NAME),
                    is_built_in: module.as_ptr().is_null(),
                });
            },
        }? Error)
    }
}

#[kernel::macros::kunit_tests(rust_mpage_test_mounting)]
mod tests {
    use super::*;

    #[test]
    fn nobody_mounts_before_the_module_is_up() {
        let early = EARLY.as_ref();
        let expected = match early.is_some_and(|early| early.is_built_in) {
            true => Ok(()),
            false => Err(EBUSY),
        };
        assert_eq!(early.map(|early| early.result), Some(expected));
        assert_eq!(open_context(Nowhere::NAME), Ok(()));
    }
}
