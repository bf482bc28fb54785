# SPDX-License-Identifier: GPL-2.0
"""What the user asked for."""

import os
import unittest
from unittest import mock

from rmp import command, settings, ui


class Numbers(unittest.TestCase):
    def check(self, **variables):
        with mock.patch.dict(os.environ, variables):
            made = settings.Settings()
        made.check()
        return made

    def test_of_the_tests(self):
        made = self.check(SECONDS="3600", SEED="7")
        self.assertEqual((made.seconds, made.seed), ("3600", "7"))
        self.check(SECONDS="", SEED="")

    def test_what_is_none(self):
        for text in ("0", "-1", "1h", "x", "1 2"):
            with self.assertRaises(ui.Fail):
                self.check(SEED=text)

    def test_mount_options(self):
        for text in ("", "nodelalloc", "nodelalloc,resuid=5"):
            self.assertEqual(self.check(MOUNT_OPTIONS=text).mount_options, text)
        for text in (",", "nodelalloc,", "a b", "a'b"):
            with self.assertRaises(ui.Fail):
                self.check(MOUNT_OPTIONS=text)


class Words(unittest.TestCase):
    def test_make_hands_on_dollars(self):
        """An end of a name in TESTS= is no variable of make."""
        for text in ("^a.b$ ^c.d$", "(a|b)$", "^a", ""):
            told = command.text("make", "-s", "-C", settings.TOP, f"TESTS={text}",
                                "--eval", "show: ; @printenv TESTS", "show")
            self.assertEqual(told, text)


class Commands(unittest.TestCase):
    def check(self, word, **variables):
        with mock.patch.dict(os.environ, variables):
            settings.Settings().check_command(word)

    def test_that_heed_it(self):
        self.check("kunit", ARCH="um")
        self.check("modules", ARCH="arm64")
        self.check("test", KERNEL="rt")
        self.check("test", ARCH="arm64")
        self.check("test", ARCH="arm64_64k", TESTS="twin")
        self.check("run", KERNEL="debian")
        self.check("lint", ARCH="", KERNEL="")

    def test_that_would_not(self):
        for word, variables in (("test", {"ARCH": "s390"}), ("run", {"ARCH": "arm64"}),
                                ("test", {"ARCH": "arm64", "KERNEL": "rt"}),
                                ("test", {"ARCH": "arm64", "KDIR_CHECKED": "/tmp"}),
                                ("test", {"ARCH": "arm64", "ACCEL": "kvm"}),
                                ("test", {"KERNEL": "debian"}),
                                ("test", {"KERNEL": "rt", "KDIR_CHECKED": "/tmp"}),
                                ("run", {"KERNEL": "rt"}), ("bench", {"KERNEL": "debian"})):
            with self.assertRaises(ui.Fail):
                self.check(word, **variables)


if __name__ == "__main__":
    unittest.main()
