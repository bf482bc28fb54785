# SPDX-License-Identifier: GPL-2.0
"""The check of how wide comments are."""

import unittest

from rmp.lint import comments

_WIDE = "/// " + "word " * 20 + "end.\nfn f() {}\n"
_NARROW = "/// " + "word " * 18 + "end.\nfn f() {}\n"


class Comments(unittest.TestCase):
    def test_width(self):
        found = comments.complaints({"a.rs": _WIDE, "b.rs": _NARROW})
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("a.rs: "))


if __name__ == "__main__":
    unittest.main()
