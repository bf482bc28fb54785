# SPDX-License-Identifier: GPL-2.0
"""The rules about single files: what they must find, and what they must not."""

import unittest

from rmp.lint import lint


class Versions(unittest.TestCase):
    def test_asked_for(self):
        for path, text in (("ext2/file.rs", "#[cfg(linux_7_2)]"),
                           ("bindings/helpers_fs.c", "#if LINUX_VERSION_CODE < 0x070300"),
                           ("bindings/helpers.h", "#if X >= KERNEL_VERSION(7, 3, 0)"),
                           ("Kbuild", "rustflags-y += --cfg linux_7_2")):
            self.assertTrue(lint.asks_for_a_version(path, text), path)

    def test_where_they_may_be(self):
        for path, text in (("compat/mod.rs", "#[cfg_attr(linux_7_2, path = \"x.rs\")]"),
                           ("compat/Kbuild", "$(filter 7.2,$(VERSION)) linux_7_2"),
                           ("tools/testing/rmp/series/older.py", "linux_7_2"),
                           ("abi/exports.c", "#include <linux/version.h>")):
            self.assertFalse(lint.asks_for_a_version(path, text), path)


if __name__ == "__main__":
    unittest.main()
