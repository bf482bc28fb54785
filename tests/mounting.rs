// SPDX-License-Identifier: GPL-2.0

//! A filesystem that is registered, and that nobody can mount: when somebody may begin to.

#![deny(unsafe_code)]

use crate::support::open_context;
use core::mem::MaybeUninit;
use kernel::{
    prelude::*,
    revocable::Revocable,
    seq_file::SeqFile,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        SetOnce, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    workqueue, //
};
use pin_init::Wrapper;
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

    fn reconfigure(
        _: &SuperBlock<Self>,
        _: &MountRequest<'_, Self>,
        (): &mut (),
        _: AccessChange,
    ) -> Result {
        Err(EINVAL)
    }

    fn statfs(_sb: &SuperBlock<Self>) -> Result<StatFs> {
        Err(EINVAL)
    }

    fn show_options(_sb: &SuperBlock<Self>, _out: &SeqFile) -> Result {
        Ok(())
    }
}

/// What becomes of who mounts it while the module comes up.
struct Early {
    has_begun: Atomic<u32>,
    result: SetOnce<Result>,
    /// Whether he was waiting when the module went on.
    was_waiting: Atomic<u32>,
}

impl Early {
    const fn new() -> Self {
        Self {
            has_begun: Atomic::new(0),
            result: SetOnce::new(),
            was_waiting: Atomic::new(0),
        }
    }

    /// Has somebody begin to mount the type `name`, and sees whether he waits.
    fn begin(&'static self, name: &'static CStr) -> Result {
        workqueue::system_unbound().try_spawn(GFP_KERNEL, move || {
            self.has_begun.store(1, Release);
            self.result.populate(open_context(name));
        })?;
        wait_until(|| self.has_begun.load(Acquire) == 1);
        wait_until_for(|| self.result.as_ref().is_some(), SOON);
        let waits = self.result.as_ref().is_none();
        self.was_waiting.store(waits.into(), Relaxed);
        Ok(())
    }

    /// What he got; [`None`] if he waits still after a long time.
    fn end(&self) -> Option<Result> {
        wait_until(|| self.result.as_ref().is_some());
        self.result.as_ref().copied()
    }
}

/// When somebody has got somewhere who does not wait, in milliseconds.
const SOON: u32 = 100;

fn wait_until_for(is_so: impl Fn() -> bool, milliseconds: u32) {
    for _ in 0..milliseconds {
        if is_so() {
            return;
        }
        fsleep(Delta::from_millis(1));
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    wait_until_for(is_so, 100 * SOON);
}

/// Of a type that is registered.
static MOUNTED: Early = Early::new();
/// Of a type that is not registered any more when the module is up.
static GIVEN_UP: Early = Early::new();
/// The module is part of the kernel, and so there from the beginning.
static IS_BUILT_IN: SetOnce<bool> = SetOnce::new();

/// A type that is registered only while the module comes up.
const PASSING: &CStr = c"rust_mpage_passing";

/// A type whose registration nobody drops; who unloads the module sees that it is gone.
const LEFT: &CStr = c"rust_mpage_left";

/// Its registrations.
#[pin_data]
pub(crate) struct Registered {
    #[pin]
    passing: Revocable<fs::Registration<Nowhere>>,
    #[pin]
    _left: MaybeUninit<fs::Registration<Nowhere>>,
    #[pin]
    _registration: fs::Registration<Nowhere>,
}

impl Registered {
    /// Registers it, and has it mounted at once; under another name, that is given up again first.
    pub(crate) fn new(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        IS_BUILT_IN.populate(module.as_ptr().is_null());
        try_pin_init!(Self {
            passing <- Revocable::new(fs::Registration::new(PASSING, module)).pin_chain(|passing| {
                GIVEN_UP.begin(PASSING)?;
                // As all that a module has, if it does not come up.
                passing.revoke();
                Ok(())
            }),
            _left <- MaybeUninit::pin_init(fs::Registration::new(LEFT, module)),
            _registration <- fs::Registration::new(Nowhere::NAME, module)
                .pin_chain(|_| MOUNTED.begin(Nowhere::NAME)),
        }? Error)
    }
}

#[kernel::macros::kunit_tests(rust_mpage_test_mounting)]
mod tests {
    use super::*;

    /// Whether who mounts waits, and what he gets, of a module and of a part of the kernel.
    fn expected(of_a_module: (bool, Result)) -> (bool, Option<Result>) {
        let (waits, result) = match IS_BUILT_IN.copy() {
            Some(true) => (false, Ok(())),
            _ => of_a_module,
        };
        (waits, Some(result))
    }

    fn seen(early: &Early) -> (bool, Option<Result>) {
        (early.was_waiting.load(Relaxed) == 1, early.end())
    }

    #[test]
    fn who_mounts_waits_until_the_module_is_up() {
        assert_eq!(seen(&MOUNTED), expected((true, Ok(()))));
        assert_eq!(open_context(Nowhere::NAME), Ok(()));
    }

    #[test]
    fn who_is_left_is_there_until_the_module_goes() {
        assert_eq!(open_context(LEFT), Ok(()));
    }

    #[test]
    fn nobody_waits_for_a_module_that_gives_up() {
        assert_eq!(seen(&GIVEN_UP), expected((true, Err(ENODEV))));
        assert_eq!(open_context(PASSING), Err(ENODEV));
    }
}
