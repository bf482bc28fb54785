# SPDX-License-Identifier: GPL-2.0
"""The rules for Rust that meets C: what they refuse, and what they let through."""

import unittest

from rmp.lint import rustrules


class Rules(unittest.TestCase):
    def refused(self, text):
        return [line for line, _ in rustrules.check(text)]

    def test_references(self):
        for text in ("let bh = unsafe { &mut *bh };",
                     "let name = &(*dentry).d_name;",
                     "f(&*wbc)",
                     "(A::from_raw(inode), &mut *mapping)",
                     "let wbc = unsafe { self.wbc.as_ref() };",
                     "unsafe { bh.as_mut() }.b_size"):
            self.assertEqual(self.refused("\n" + text), [2], text)

    def test_bits(self):
        for text in ("bh.b_state |= MAPPED;", "(*buffer).b_state = 1 << MAPPED",
                     "(*inode).i_flags &= !1;"):
            self.assertEqual(self.refused(text), [1], text)

    def test_what_is_fine(self):
        for text in ("unsafe { &*ptr.cast() }",
                     "unsafe { &mut *(*fc).fs_private.cast::<T>() }",
                     "// let bh = &mut *bh;", 'print("&mut *bh")',
                     "if bits & *mask != 0 {}", "a && (*bh).b_size > 1",
                     "if (*bh).b_state == 1 {}", "table.as_ref()",
                     "ops: &Self::OPERATIONS,", "unsafe { (*bh).b_size = 1 }"):
            self.assertEqual(self.refused(text), [], text)


if __name__ == "__main__":
    unittest.main()
