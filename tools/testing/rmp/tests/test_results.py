# SPDX-License-Identifier: GPL-2.0
"""What is said at the end, and what a guest has said."""

import contextlib
import io
import os
import re
import unittest
from unittest import mock

from rmp import ui
from rmp.settings import Settings
from rmp.tests import labels, outcome, powercut, solo, testrun


class Told(unittest.TestCase):
    """A boot that stood still is said at the end, and is no test."""

    def test_the_last_lines(self):
        results = outcome.Outcome()
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            results.add("a", "pass")
            results.add("b", "skip", "no device")
            self.assertEqual(results.close("logs", 2), 0)
        self.assertEqual(told.getvalue().splitlines()[-2:], [
            "1 passed, 0 failed, 1 skipped", "guests booted again: 2"])


class ByName(unittest.TestCase):
    """Tests with a kernel of their own do not have the checked one built and booted."""

    def test_who_needs_the_checked_kernel(self):
        for patterns in ([], ["twin"], ["debian.built", "twin"], ["rust_ext2_tree"], ["^mount"]):
            self.assertTrue(testrun.checked_wanted(patterns), patterns)
        for patterns in (["debian.*"], ["^debian\\."], ["inkernel"], ["^without.QUOTA$"],
                         ["compat", "^inkernel.root"], ["kunit.um", "^with\\.arm64"]):
            self.assertFalse(testrun.checked_wanted(patterns), patterns)

    def test_nothing_is_left_out_silently(self):
        for patterns, others in (("kunit.um twin", "kunit.um"), ("twin|kunit.um", "kunit.um"),
                                 ("^twin powercut", "powercut.kill")):
            with mock.patch.dict(os.environ, {"ARCH": "arm64", "TESTS": patterns}), \
                    self.assertRaises(ui.Fail) as failure:
                testrun.main(Settings())
            self.assertEqual(str(failure.exception), f"these are run without ARCH=: {others}")

    def test_what_runs_on_arm64_is_there(self):
        names = Settings().guest_tests()
        for pattern in testrun.ON_ARM64:
            self.assertTrue(any(re.search(pattern, name) for name in names), pattern)


class Console(unittest.TestCase):
    def test_console(self):
        console = ("[ 1.0] rust_mpage_says: begin d0/n1\r\n[ 1.1] noise\n"
                   "[ 1.2] rust_mpage_says: done d0/n1 77 3000\n"
                   "[ 1.2] rust_mpage_says: done d0/n1 77 30 00\n"
                   "[ 1.3] rust_mpage_says: done d0/n2 77 30")
        self.assertEqual(powercut.durable_of(solo.marks_in(console)),
                         ["begin d0/n1", "done d0/n1 77 3000"])

    def test_checks_of_labels(self):
        good = ["passed created", "passed options", "complete"]
        self.assertEqual(labels.wrong_of(good), [])
        self.assertEqual(labels.wrong_of(["error created: x", *good]), ["created: x"])
        for marks in ([], good[:2], ["complete"], ["complete", "passed created"]):
            self.assertIn("did not get to its end", labels.wrong_of(marks)[0])


if __name__ == "__main__":
    unittest.main()
