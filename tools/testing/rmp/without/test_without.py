# SPDX-License-Identifier: GPL-2.0
"""Kernels without an option, and what modules may need of them."""

import unittest

from rmp.lint import options
from rmp.without import tests


class Options(unittest.TestCase):
    def test_each_goes_with_what_wants_it(self):
        changed = tests.changed(["QUOTA", "MIGRATION"])
        self.assertEqual(set(changed.values()), {"n"})
        self.assertIn("CONFIG_QUOTA", changed)
        self.assertIn("CONFIG_COMPACTION", changed)
        self.assertNotIn("CONFIG_EXT4_FS", changed)
        self.assertIn("CONFIG_EXT4_FS", tests.changed(["FS_MBCACHE"]))

    def test_what_lint_takes_away_from_the_bindings_is_here(self):
        # that is not there in any of our kernels
        self.assertLessEqual(set(options.OFF) - {"EXPORTFS_BLOCK_OPS"}, set(tests.OPTIONS))

    def test_what_is_needed_and_gone_is_missing(self):
        known = {"a", "b", "c"}
        self.assertEqual(tests.missing({"a", "b"}, known, {"c"}), [])
        self.assertEqual(tests.missing({"a", "c"}, known, {"c"}), ["c"])
        self.assertEqual(tests.missing({"d"}, known, set()), ["d"])


if __name__ == "__main__":
    unittest.main()
