// SPDX-License-Identifier: GPL-2.0

//! Changing an atomic word by a function of it, which [`kernel::sync::atomic`] leaves to its users.

/// Changes a word that was `old` when it was looked at, in one step: `change` makes the new value
/// of the old one, and may be asked several times, or refuses with [`None`]. `cmpxchg` is the
/// word's.
///
/// The old value; as an error, the one that `change` has refused.
#[inline]
pub(in crate::abstractions) fn update<T: Copy>(
    mut old: T,
    cmpxchg: impl Fn(T, T) -> Result<T, T>,
    change: impl Fn(T) -> Option<T>,
) -> Result<T, T> {
    loop {
        let Some(new) = change(old) else {
            return Err(old);
        };
        match cmpxchg(old, new) {
            Ok(old) => return Ok(old),
            Err(now) => old = now,
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_update)]
mod tests {
    use super::update;
    use kernel::sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    };

    #[test]
    fn a_word_that_others_change_is_asked_for_again() {
        let word = Atomic::new(5u32);
        // As if it had been 1 when it was looked at.
        let changed = update(
            1,
            |old, new| word.cmpxchg(old, new, Full),
            |old| Some(old * 2),
        );

        assert_eq!(changed, Ok(5));
        assert_eq!(word.load(Relaxed), 10);
    }

    #[test]
    fn who_refuses_changes_nothing() {
        let word = Atomic::new(5u32);
        let small = |old: u32| (old < 5).then_some(old + 1);

        assert_eq!(
            update(5, |old, new| word.cmpxchg(old, new, Full), small),
            Err(5)
        );
        // Refused only once it is seen as it is.
        assert_eq!(
            update(4, |old, new| word.cmpxchg(old, new, Full), small),
            Err(5)
        );
        assert_eq!(word.load(Relaxed), 5);
    }
}
