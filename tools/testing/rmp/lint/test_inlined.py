# SPDX-License-Identifier: GPL-2.0
"""Functions that are always inlined: where they may be."""

import unittest

from rmp.lint import inlined

ALWAYS = "#[inline(always)]\nfn f() {}\n"


class Inlined(unittest.TestCase):
    def test_where_it_was_measured(self):
        self.assertEqual(inlined.check("ext2/disk/dirent.rs", ALWAYS), [])
        self.assertEqual(inlined.check("ext2/file.rs", "#[inline]\nfn f() {}\n"), [])

    def test_elsewhere(self):
        self.assertEqual(len(inlined.check("ext2/file.rs", ALWAYS)), 1)

    def test_places_that_are_none_any_more(self):
        texts = {place + ("x.rs" if place.endswith("/") else ""): ALWAYS
                 for place in inlined.MEASURED}
        self.assertEqual(inlined.complaints(texts), [])
        texts.popitem()
        self.assertEqual(len(inlined.complaints(texts)), 1)


if __name__ == "__main__":
    unittest.main()
