// SPDX-License-Identifier: GPL-2.0

//! Sorting in place, with little stack and no memory.
//!
//! Heapsort, as lib/sort.c has it, for the same reasons: it is never slow, does not recurse and
//! needs no room for a run of elements, as those of `core` do.
//!
//! C counterpart: `sort()`, which takes pointers.

#![deny(unsafe_code)]

/// Sorts by what `key` says of each item; equal ones come in any order.
pub(super) fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    let len = items.len();

    for root in (0..len / 2).rev() {
        sift_down(items, root, len, &key);
    }
    for end in (1..len).rev() {
        items.swap(0, end);
        sift_down(items, 0, end, &key);
    }
}

/// Makes the items up to `end` that are below `root` a heap again, but for which they are one.
fn sift_down<T, K: Ord>(items: &mut [T], mut root: usize, end: usize, key: &impl Fn(&T) -> K) {
    loop {
        let left = 2 * root + 1;
        if left >= end {
            return;
        }
        let of = |index: usize| items.get(index).map(key);
        let child = match left + 1 < end && of(left) < of(left + 1) {
            true => left + 1,
            false => left,
        };
        if of(root) >= of(child) {
            return;
        }
        items.swap(root, child);
        root = child;
    }
}

#[kernel::macros::kunit_tests(rust_ext2_sort)]
mod tests {
    use super::sort_by_key;
    use kernel::prelude::*;

    /// Some numbers, the same ones each time, of which few are equal or many.
    fn numbers(count: usize, below: u32) -> Result<KVVec<(u32, usize)>> {
        let mut seed = 4711u32;
        let mut numbers = KVVec::new();
        for index in 0..count {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            numbers.push(((seed >> 8) % below, index), GFP_KERNEL)?;
        }
        Ok(numbers)
    }

    #[test]
    fn all_items_are_there_in_order() -> Result {
        for count in 0..65 {
            for below in [1, 4, 1 << 24] {
                let mut sorted = numbers(count, below)?;
                sort_by_key(&mut sorted, |item| item.0);

                assert!(sorted.is_sorted_by_key(|item| item.0));
                let mut seen = 0u128;
                for &(number, index) in sorted.iter() {
                    seen |= 1 << index;
                    assert_eq!(numbers(count, below)?.get(index), Some(&(number, index)));
                }
                assert_eq!(seen.count_ones() as usize, count);
            }
        }
        Ok(())
    }

    #[test]
    fn what_is_sorted_or_reversed() {
        let mut up = [1, 2, 3, 4, 5, 6, 7];
        sort_by_key(&mut up, |&item| item);
        assert_eq!(up, [1, 2, 3, 4, 5, 6, 7]);
        sort_by_key(&mut up, |&item| core::cmp::Reverse(item));
        assert_eq!(up, [7, 6, 5, 4, 3, 2, 1]);
    }
}
