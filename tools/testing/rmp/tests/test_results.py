# SPDX-License-Identifier: GPL-2.0
"""Unit tests of what is counted: whose KUnit suites, and boots that stood still."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from rmp import guest, outcome, prepare, settings

_GUEST = settings.TOP / "tools" / "testing" / "guest"
sys.path.insert(0, str(_GUEST))
try:
    import runner
finally:
    sys.path.remove(str(_GUEST))


class Suites(unittest.TestCase):
    """Only what our modules brought is ours."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.base, self.out = Path(folder.name, "kunit"), Path(folder.name, "out")

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


class Again(unittest.TestCase):
    """A boot that stood still is said at the end, and is no test."""

    def prepared(self):
        made = object.__new__(prepare.Prepared)
        made.virtme, made.accel, made._guests = "virtme-run", "tcg", []
        made.kernel = mock.Mock(image="bzImage")
        return made

    def boot(self, machine, still):
        """Run a guest that stands still `still` times."""
        boots = []

        def run(_argv, _log, _limit, console):
            boots.append(console)
            if len(boots) > still:
                return True
            console._heard -= guest.STILL + 1
            return False

        with mock.patch.object(guest, "_run", run), \
                mock.patch.object(guest.ui, "warn"):
            ended = machine.run("true", Path("/dev/null"), lambda: 1)
        return ended, len(boots)

    def test_boots_of_all_guests(self):
        made = self.prepared()
        self.assertEqual(self.boot(made.guest(), 0), (True, 1))
        self.assertEqual(made.boots_again(), 0)
        self.assertEqual(self.boot(made.guest(), 2), (True, 3))
        self.assertEqual(self.boot(made.guest(), 1), (True, 2))
        self.assertEqual(made.boots_again(), 3)

    def test_the_last_lines(self):
        results = outcome.Outcome()
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            results.add("a", "pass")
            results.add("b", "skip", "no device")
            self.assertEqual(results.close("logs", 2), 0)
        self.assertEqual(told.getvalue().splitlines()[-2:], [
            "guests booted again: 2", "1 passed, 0 failed, 1 skipped"])


if __name__ == "__main__":
    unittest.main()
