// SPDX-License-Identifier: GPL-2.0

//! The crate `kernel` of Linux 7.2, with what that of 7.3 has and all of the project's crates use:
//! Kbuild gives it to them under that name.

#![allow(missing_docs)]

extern crate kernel as kernel_7_2;

pub use kernel_7_2::*;

pub mod error {
    //! Errors, and more of their codes.

    pub use kernel_7_2::error::*;

    pub mod code {
        //! All codes.

        use core::mem::transmute;
        use kernel_7_2::{
            bindings,
            error::Error, //
        };

        pub use kernel_7_2::error::code::*;

        macro_rules! declare {
            ($($name:ident)*) => {$(
                // SAFETY: An error is a number that is not 0, as the next constant proves, and that
                // of C is one of errno.h.
                pub const $name: Error =
                    unsafe { transmute::<i32, Error>(-(bindings::$name as i32)) };
            )*};
        }

        declare!(EDEADLK EDQUOT ENAMETOOLONG ENODATA ENOTEMPTY EOPNOTSUPP ESTALE EUCLEAN);

        const _: () = {
            // SAFETY: Any error is a number: they have the same size, or this does not compile.
            let number = unsafe { transmute::<Error, i32>(EIO) };
            assert!(number == -(bindings::EIO as i32));
        };
    }
}

pub mod prelude {
    //! What is imported everywhere.

    pub use crate::error::code::*;
    pub use kernel_7_2::prelude::*;
}

pub mod sync {
    //! Synchronisation, and barriers as a function of their kind.

    pub use kernel_7_2::sync::*;

    pub mod barrier {
        //! Barriers of the memory.

        use kernel_7_2::sync::barrier;

        pub use kernel_7_2::sync::atomic::ordering::Full;

        /// Of reads.
        pub struct Read;

        /// Of writes.
        pub struct Write;

        /// The kinds.
        pub trait MemoryBarrier {
            /// Executes one.
            fn execute();
        }

        impl MemoryBarrier for Full {
            #[inline]
            fn execute() {
                barrier::smp_mb();
            }
        }

        impl MemoryBarrier for Read {
            #[inline]
            fn execute() {
                barrier::smp_rmb();
            }
        }

        impl MemoryBarrier for Write {
            #[inline]
            fn execute() {
                barrier::smp_wmb();
            }
        }

        /// A barrier between processors, of the kind of the argument.
        #[inline]
        pub fn smp_mb<T: MemoryBarrier>(_: T) {
            T::execute()
        }
    }
}
