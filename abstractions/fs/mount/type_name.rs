// SPDX-License-Identifier: GPL-2.0

//! Names of types of filesystems.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use kernel::prelude::*;

/// Whether a type may have the name. C stops the machine at a dot.
pub(super) fn is_type_name(name: &CStr) -> bool {
    !name.to_bytes().contains(&b'.')
}

#[kernel::macros::kunit_tests(rust_mpage_type_name)]
mod tests {
    use super::is_type_name;

    #[test]
    fn a_name_has_no_dot() {
        assert!(is_type_name(c"ext2"));
        assert!(!is_type_name(c"ext2.subtype"));
        assert!(!is_type_name(c"."));
    }
}
