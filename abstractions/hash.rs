// SPDX-License-Identifier: GPL-2.0

//! A keyed hash of bytes: who does not know the key cannot choose bytes that collide.
//!
//! C header: [`include/linux/siphash.h`](srctree/include/linux/siphash.h)
//!
//! Left out: the faster variants for tables of pointers.

use crate::bindings;

/// A key of SipHash. C: `siphash_key_t`.
#[derive(Clone, Copy)]
pub struct HashKey([u64; 2]);

impl HashKey {
    /// A key that nobody knows. C: `get_random_u64()`.
    pub fn random() -> Self {
        // SAFETY: May be called in any context.
        Self([0; 2].map(|_: u64| unsafe { bindings::get_random_u64() }))
    }

    /// The hash of some bytes. C: `siphash()`.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let [first, second] = self.0;
        // SAFETY: The bytes may be read.
        unsafe {
            bindings::rust_mpage_helper_siphash(bytes.as_ptr().cast(), bytes.len(), first, second)
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_hash)]
mod tests {
    use super::*;

    /// The example of the paper: bytes 0 to 14 with the key of bytes 0 to 15.
    #[test]
    fn it_is_siphash() {
        let key = HashKey([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);

        assert_eq!(
            key.hash(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
            0xa129_ca61_49be_45e5
        );
    }

    #[test]
    fn keys_differ() {
        assert!(HashKey::random().hash(b"name") != HashKey::random().hash(b"name"));
    }
}
