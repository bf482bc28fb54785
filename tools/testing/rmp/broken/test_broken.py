# SPDX-License-Identifier: GPL-2.0
"""Each promise can be broken in the sources as they are, and its tests are there."""

import re
import unittest

from rmp import ui
from rmp.broken import broken, promise, promises
from rmp.settings import Settings
from rmp.tests.testrun import SUITES

ONE = promise.Broken("one", "it is so", (("file", "is", "is not"),), ("a.b", "a.c"))
SOUND = {"a.b": ("pass", ""), "a.c": ("pass", "")}


_SUITE = re.compile(r"kunit_tests\((\w+)\)\]")
_TEST = re.compile(r"#\[test\]\n(?: *#.*\n)* *fn (\w+)")


def kunit_tests(top):
    """suite.test of all KUnit tests of the filesystem."""
    for path in top.glob("ext2/**/*.rs"):
        text = path.read_text(encoding="utf-8")
        for suite in _SUITE.findall(text):
            for test in _TEST.findall(text):
                yield f"{suite}.{test}"


class Promises(unittest.TestCase):
    def test_each_can_be_broken(self):
        top = Settings().top
        for one in promises.ALL:
            with self.subTest(one.name):
                self.assertTrue(one.edits)
                changed = broken.apply(
                    one, lambda path: (top / path).read_text(encoding="utf-8"))
                for path, text in changed.items():
                    self.assertTrue(path.startswith(("ext2/", "abstractions/", "bindings/")))
                    self.assertNotEqual((top / path).read_text(encoding="utf-8"), text)

    def test_their_tests_are_there(self):
        settings = Settings()
        names = set(settings.guest_tests()) | set(kunit_tests(settings.top))
        for one in promises.ALL:
            with self.subTest(one.name):
                self.assertTrue(one.red)
                self.assertEqual(set(one.red) - names, set())

    def test_they_are_of_the_guest_or_of_one_suite(self):
        for one in promises.ALL:
            with self.subTest(one.name):
                suites = {name.split(".")[0] for name in one.red
                          if name.startswith(SUITES)}
                self.assertEqual(suites, {one.suite()} - {""})
                self.assertTrue(not suites or
                                all(name.startswith(one.suite() + ".") for name in one.red))

    def test_names_are_different(self):
        names = [one.name for one in promises.ALL]
        self.assertEqual(len(names), len(set(names)))


class Judged(unittest.TestCase):
    def test_what_is_not_there_once_is_refused(self):
        self.assertEqual(broken.apply(ONE, lambda path: f"{path} is so"),
                         {"file": "file is not so"})
        for text in ("it was so", "it is, it is"):
            with self.assertRaises(ui.Fail):
                broken.apply(ONE, lambda _, text=text: text)

    def test_all_tests_have_to_notice(self):
        seen = ("fail", "Traceback\n  at\nAssertionError: seen\nmore")
        lines, is_red = broken.judge(ONE, {"a.b": seen, "a.c": ("pass", "")}, SOUND)
        self.assertFalse(is_red)
        self.assertIn("AssertionError: seen", lines[1])
        self.assertTrue(broken.judge(ONE, {"a.b": seen, "a.c": seen}, SOUND)[1])
        self.assertFalse(broken.judge(ONE, {"a.c": seen}, SOUND)[1])

    def test_a_test_that_always_fails_has_noticed_nothing(self):
        seen = ("fail", "")
        for status in ("fail", "skip"):
            lines, is_red = broken.judge(ONE, {"a.b": seen, "a.c": seen},
                                         SOUND | {"a.c": (status, "")})
            self.assertFalse(is_red)
            self.assertIn(f"{status.upper()}     a.c, as the modules are", lines[2])
        self.assertFalse(broken.judge(ONE, {"a.b": seen, "a.c": seen}, {})[1])

    def test_all_tests_run_as_they_are(self):
        suite = promise.Broken("two", "", (), ("rust_a.b",))
        found = broken.whole([ONE, suite, promise.Broken("three", "", (), ("a.b", "a.d"))])
        self.assertEqual([(one.name, one.suite(), one.red) for one in found],
                         [("as_they_are", "", ("a.b", "a.c", "a.d")),
                          ("as_they_are.rust_a", "rust_a", ("rust_a.b",))])


if __name__ == "__main__":
    unittest.main()
