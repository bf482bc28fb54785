# SPDX-License-Identifier: GPL-2.0
"""The check of the names of functions: what it must not let through."""

import unittest

from rmp.lint.objects import symbols


class Names(unittest.TestCase):
    def test_as_long_as_objtool_takes(self):
        # a prefix of 6 bytes, and one that ends the string
        self.assertEqual(symbols.check(["_R" + "n" * 503]), [])

    def test_longer(self):
        said, = symbols.check(["_Rshort", "_R" + "n" * 504])
        self.assertIn("has a name of 506 bytes, and may have 505", said)


if __name__ == "__main__":
    unittest.main()
