# SPDX-License-Identifier: GPL-2.0
"""The check of error codes that an older kernel lacks: what it must not let through."""

import unittest

from rmp.lint import codes

_NEW = codes.of_kernel("declare_err!(EIO, \"x\");\ndeclare_err!(EDEADLK, \"y\");\n")


class Codes(unittest.TestCase):
    def test_one_that_is_lacking(self):
        files = {"a.rs": "return Err(EDEADLK);", "b.rs": "Err(EIO) // EDEADLK"}
        said, = codes.check(_NEW, set(), files)
        self.assertIn("a.rs", said)
        self.assertIn("EDEADLK", said)

    def test_one_that_is_declared(self):
        has = codes.declared("declare!(EDQUOT EDEADLK);")
        self.assertEqual(codes.check(_NEW, has, {"a.rs": "Err(EDEADLK)"}), [])

    def test_names_that_are_no_codes(self):
        self.assertEqual(codes.check(_NEW, set(), {"a.rs": "const ENTRY: u32 = EMPTY;"}), [])


if __name__ == "__main__":
    unittest.main()
