# SPDX-License-Identifier: GPL-2.0
"""Whose KUnit suites are counted, and which tests are run."""

import pathlib
import sys
import tempfile
import unittest

_GUEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_GUEST), str(_GUEST / "tests" / "lib"),
                str(_GUEST / "tests" / "lib" / "file_io")]
try:
    import runner
finally:
    del sys.path[:3]


class Suites(unittest.TestCase):
    """Only what our modules brought is ours."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base, self.out = pathlib.Path(folder.name, "kunit"), pathlib.Path(folder.name, "out")

    def ran(self, name):
        folder = self.base / name
        folder.mkdir(parents=True)
        (folder / "results").write_text(f"KTAP version 1\n# {name}\n", encoding="ascii")

    def saved(self):
        return sorted(file.name for file in (self.out / "kunit").glob("*"))

    def test_a_suite_of_the_kernel(self):
        self.ran("rust_netlink")
        self.ran("rust_kernel_fmt")
        built_in = runner.kunit_suites(str(self.base))
        self.ran("rust_ext2_tree")
        self.ran("rust_mpage_plan")
        runner.save_kunit(str(self.out), built_in, str(self.base))
        self.assertEqual(self.saved(), ["rust_ext2_tree.ktap", "rust_mpage_plan.ktap"])
        self.assertIn("rust_ext2_tree",
                      (self.out / "kunit/rust_ext2_tree.ktap").read_text("ascii"))

    def test_a_kernel_without_suites(self):
        built_in = runner.kunit_suites(str(self.base))
        self.ran("rust_ext2_tree")
        runner.save_kunit(str(self.out), built_in, str(self.base))
        self.assertEqual(self.saved(), ["rust_ext2_tree.ktap"])

    def test_no_suite_of_ours(self):
        self.ran("rust_netlink")
        runner.save_kunit(str(self.out), runner.kunit_suites(str(self.base)),
                          str(self.base))
        self.assertFalse((self.out / "kunit").exists())


class Selected(unittest.TestCase):
    def setUp(self):
        self.cases = [runner.Case("a.short", lambda _: None),
                      runner.Case("a.long", runner.long(lambda _: None)),
                      runner.Case("b.short", lambda _: None)]

    def selected(self, *words):
        return [case.name for case in runner.select(self.cases, *words)]

    def test_long_ones_by_name_only(self):
        self.assertEqual(self.selected([]), ["a.short", "b.short"])
        self.assertEqual(self.selected(["^a"]), ["a.short", "a.long"])

    def test_not_even_by_name(self):
        self.assertEqual(self.selected(["^a"], False), ["a.short"])


if __name__ == "__main__":
    unittest.main()
