# SPDX-License-Identifier: GPL-2.0
"""The checks of how wide comments are, and of words that are there twice."""

import unittest

from rmp.lint import comments

_WIDE = "/// " + "some word " * 10 + "end.\nfn f() {}\n"
_NARROW = "/// " + "some word " * 9 + "end.\nfn f() {}\n"


class Comments(unittest.TestCase):
    def test_width(self):
        found = comments.complaints({"a.rs": _WIDE, "b.rs": _NARROW})
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("a.rs: "))

    def test_repeated_words(self):
        text = ("// To write it it stays.\nlet a = b; // The the end\n/// Long long ago.\n"
                "//! of of_them, to x.to x\nlet it it = 1;\n")
        self.assertEqual([line.split(": ")[:2] for line in comments.complaints({"a.rs": text})],
                         [["a.rs:1", "the word 'it' is there twice"],
                          ["a.rs:2", "the word 'The' is there twice"]])


if __name__ == "__main__":
    unittest.main()
