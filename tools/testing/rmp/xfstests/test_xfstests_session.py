# SPDX-License-Identifier: GPL-2.0
"""Guests one after the other, and what is said at the end. No guest is booted here."""

import contextlib
import io
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from rmp import ui
from rmp.xfstests import programs, report, session, whole, xfstests
from rmp.xfstests.results import FAIL, NOT_RUN, PASS, Result, Said

NAMES = [f"generic/{number:03}" for number in range(1, 6)]
SIDE = session.Side("rust_ext2", 4096)


class FakeBoots:
    """Guests that say what a list tells them to: [(text, hung, console)]."""

    limit = 7

    def __init__(self, folder, boots):
        self.stop = threading.Event()
        self.asked = []
        self._folder = Path(folder)
        self._boots = boots

    def boot(self, side, names, number, tell):
        text, hung, console = self._boots[number - 1]
        out = self._folder / f"boot{number}"
        out.mkdir()
        (out / "console.log").write_text(console, encoding="ascii")
        self.asked.append(names)
        said = Said(text, names)
        tell(said)
        return said, hung, out


class Boots(unittest.TestCase):
    def run_session(self, *boots, names=tuple(NAMES)):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.fake = FakeBoots(folder.name, boots)
        return session.Session(self.fake, SIDE, names).run()

    def test_one_that_hangs(self):
        """It costs its limit; another guest goes on behind it."""
        found = self.run_session(
            ("generic/001  3s\ngeneric/002  ", True, ""),
            ("generic/003  1s\ngeneric/004  [not run] no\ngeneric/005  1s\n"
             "Passed all 3 tests\n", False, ""))
        self.assertEqual(self.fake.asked, [NAMES, NAMES[2:]])
        self.assertEqual([found[name].status for name in NAMES],
                         [PASS, FAIL, PASS, NOT_RUN, PASS])
        self.assertEqual(found["generic/002"].why, "not done in 7 s")

    def test_a_guest_that_hangs_between_tests(self):
        """The last test that was told of has failed: its disks cannot be unmounted."""
        found = self.run_session(
            ("generic/001  3s\ngeneric/002  1s\n", True, ""),
            ("generic/003  1s\nPassed all 1 tests\n", False, ""), names=NAMES[:3])
        self.assertEqual([found[name].status for name in NAMES[:3]], [PASS, FAIL, PASS])
        self.assertEqual(found["generic/002"].why, "nothing more in 7 s after it")

    def test_a_guest_that_hangs_at_its_end(self):
        found = self.run_session(
            ("generic/001  3s\ngeneric/002  1s\nPassed all 2 tests\n", True, ""),
            names=NAMES[:2])
        self.assertEqual([found[name].status for name in NAMES[:2]], [PASS, FAIL])

    def test_one_that_kills_its_guest(self):
        found = self.run_session(
            ("generic/001  ", False, "Kernel panic - not syncing: ouch\n"),
            ("generic/002  1s\nPassed all 1 tests\n", False, ""), names=NAMES[:2])
        self.assertEqual(found["generic/001"].status, FAIL)
        self.assertIn("the guest died here", found["generic/001"].why)
        self.assertIn("ouch", found["generic/001"].why)
        self.assertEqual(found["generic/002"].status, PASS)

    def test_a_guest_that_runs_nothing(self):
        with self.assertRaises(ui.Fail) as failure:
            self.run_session(("FSTYP -- ext2\nPassed all 0 tests\n", False, "no disk\n"))
        self.assertIn("did not get to its first test", str(failure.exception))
        self.assertIn("no disk", str(failure.exception))

    def test_one_that_check_does_not_know(self):
        found = self.run_session(
            ("generic/002  - unknown test, ignored\ngeneric/001  1s\n"
             "Passed all 1 tests\n", False, ""), names=NAMES[:3])
        self.assertEqual(found["generic/003"].status, NOT_RUN)
        self.assertEqual(len(self.fake.asked), 1)

    def test_the_kernel_complains(self):
        """Of the test at the time; one that has passed has failed then."""
        console = ("[ 1.0] run fstests generic/001 at 2026-01-01 00:00:00\n"
                   "[ 2.0] run fstests generic/002 at 2026-01-01 00:00:01\n"
                   "[ 2.1] WARNING: fs/inode.c:1 at iput\n")
        found = self.run_session(
            ("generic/001  1s\ngeneric/002  1s\nPassed all 2 tests\n", False, console),
            names=NAMES[:2])
        self.assertEqual(found["generic/001"].status, PASS)
        self.assertEqual(found["generic/002"].status, FAIL)
        self.assertIn("WARNING: fs/inode.c", found["generic/002"].why)

    def test_stopped(self):
        self.fake = FakeBoots("/", [])
        self.fake.stop.set()
        self.assertEqual(session.Session(self.fake, SIDE, NAMES).run(), {})


class Limits(unittest.TestCase):
    """The limit is of one test: what is said makes it begin anew."""

    def test_left(self):
        now, told = [0], []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "check.txt")
            watch = session.Deadline(path, NAMES, 60, told.append, lambda: now[0])
            now[0] = 800
            self.assertEqual(watch.left(), session.BOOT_LIMIT - 800)
            path.write_text("generic/001  ", encoding="ascii")
            self.assertEqual(watch.left(), 60 + session.SLACK)
            self.assertEqual([said.running for said in told], ["generic/001"])
            now[0] += 60
            self.assertEqual(watch.left(), session.SLACK)
            now[0] += session.SLACK
            self.assertEqual(watch.left(), 0)
            path.write_text("generic/001  60s\n", encoding="ascii")
            self.assertEqual(watch.left(), 60 + session.SLACK)
        self.assertEqual(watch.read().results, {})


class Run(unittest.TestCase):
    """Both filesystems, side by side."""

    def sides(self, ours, theirs):
        """Run what two functions say that guests say."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        fake = FakeBoots(folder.name, [])

        def boot(side, names, number, tell):
            out = Path(folder.name, side.fstype)
            out.mkdir()
            text = (ours if side.fstype == "rust_ext2" else theirs)(fake)
            return Said(text, names), False, out

        fake.boot = boot
        with contextlib.redirect_stdout(io.StringIO()):
            return xfstests.run_size(fake, 1024, NAMES[:1], "tcg")

    def test_results_of_both(self):
        ours, theirs = self.sides(lambda _: "generic/001  1s\n",
                                  lambda _: "generic/001  [not run] no\n")
        self.assertEqual([found["generic/001"].status for found in (ours, theirs)],
                         [PASS, NOT_RUN])

    def test_one_that_cannot_begin(self):
        """The other guest does not go on for hours."""
        runs, stopped = threading.Event(), []

        def theirs(fake):
            runs.set()
            stopped.append(fake.stop.wait(60))
            return ""

        with self.assertRaises(ui.Fail), \
                mock.patch.object(xfstests.os, "sched_getaffinity", lambda _: {0, 1}):
            self.sides(lambda _: runs.wait(60) and "", theirs)
        self.assertEqual(stopped, [True])

    def test_modules(self):
        """rust_ext2 takes ext2's name: xfstests knows no other."""
        boots = session.Boots(None, mock.Mock(objects="objects"), [], None, 7)
        with mock.patch.object(session.modules, "names", lambda _: [
                "rust_ext2", "rust_mpage_test", "rust_mpage"]):
            self.assertEqual(boots._modules(SIDE), [
                ("rust_mpage", ""), ("rust_ext2", "register_as_ext2=1")])
            self.assertEqual(boots._modules(session.Side("ext2", 4096)), [("ext2", "")])


class Programs(unittest.TestCase):
    def test_libraries(self):
        said = """\tlinux-vdso.so.1 (0x00007ffe)
\tlibacl.so.1 => /lib/x86_64-linux-gnu/libacl.so.1 (0x00007f)
\tlibgone.so.1 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)
"""
        self.assertEqual(programs.libraries(said), ["/lib/x86_64-linux-gnu/libacl.so.1"])


class Told(unittest.TestCase):
    """The last line, and the exit status."""

    def told(self, *pairs):
        names = NAMES[:len(pairs)]
        made, out = report.Report(), io.StringIO()
        with contextlib.redirect_stdout(out):
            made.size(4096, names, dict(zip(names, (ours for ours, _ in pairs))),
                      dict(zip(names, (theirs for _, theirs in pairs))))
            status = made.close("/logs")
        return status, out.getvalue().splitlines()

    def test_as_good(self):
        good, bad, no = Result(PASS), Result(FAIL, "broken"), Result(NOT_RUN, "no moon")
        status, lines = self.told((good, good), (bad, bad), (no, no), (good, bad), (bad, no))
        self.assertEqual(status, 0)
        self.assertEqual(lines[-1], "2 passed, 2 failed, 1 not run")
        self.assertIn("  pass     generic/001", lines)
        self.assertIn("  FAIL     generic/002: on both: broken", lines)
        self.assertIn("  not run  generic/003: on either: no moon", lines)
        self.assertIn("  pass     generic/004: C ext2: fail: broken", lines)
        self.assertIn("  FAIL     generic/005: broken; C ext2: not run: no moon", lines)

    def test_worse(self):
        for ours, last in ((Result(FAIL, "bad\nmore"), "0 passed, 1 failed, 0 not run"),
                           (Result(NOT_RUN, "cannot"), "0 passed, 0 failed, 1 not run")):
            status, lines = self.told((ours, Result(PASS)))
            self.assertEqual(status, 1)
            self.assertEqual(lines[-1], last)
            self.assertIn("  generic/001 (4 KiB)", lines)
        self.assertIn("  not run  generic/001: C ext2 passes; cannot", lines)


class Whole(unittest.TestCase):
    """What the test with a small tree makes of a run."""

    WANT = 1, "1 passed, 1 failed, 0 not run", ("  pass     generic/001",)

    def test_as_it_should_be(self):
        text = "\n".join((self.WANT[2][0], "more", self.WANT[1]))
        self.assertEqual(whole.wrong_of(1, text, self.WANT), [])

    def test_anything_else(self):
        for status, text in ((0, f"{self.WANT[2][0]}\n{self.WANT[1]}"),
                             (1, f"{self.WANT[1]}\n{self.WANT[2][0]}"),
                             (1, self.WANT[1]), (1, "")):
            self.assertTrue(whole.wrong_of(status, text, self.WANT), text)


if __name__ == "__main__":
    unittest.main()
