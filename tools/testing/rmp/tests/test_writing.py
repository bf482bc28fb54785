# SPDX-License-Identifier: GPL-2.0
"""What the tests of writing are made of: contents, logs of writes, what is durable,
workloads, and which tools they need.
"""

import os
import re
import struct
import sys
import tempfile
import types
import unittest

from rmp import powercut, settings, solo, testtools

_GUEST = settings.TOP / "tools" / "testing" / "guest"
sys.path[:0] = [str(_GUEST), str(_GUEST / "tests")]
try:
    import compare
    import durable
    import ops
    import workload
    import writelog
    import writers
finally:
    del sys.path[:2]


def file_of(case, data):
    file = tempfile.NamedTemporaryFile()
    case.addCleanup(file.close)
    file.write(data)
    file.flush()
    return file.name


class Content(unittest.TestCase):
    def test_any_part_is_of_the_whole(self):
        whole = writers.content(7, 0, 1000)
        self.assertEqual(len(whole), 1000)
        for at, length in ((0, 1), (63, 2), (64, 64), (100, 900), (999, 1), (5, 0)):
            self.assertEqual(writers.content(7, at, length), whole[at:at + length])
        self.assertNotEqual(whole, writers.content(8, 0, 1000))

    def test_another_byte_is_found(self):
        data = bytearray(writers.content(1, 0, 5000))
        writers.check(file_of(self, data), 1, 5000)
        data[4097] ^= 1
        with self.assertRaisesRegex(AssertionError, "at 4097"):
            writers.check(file_of(self, data), 1, 5000)

    def test_a_short_file_is_found(self):
        with self.assertRaisesRegex(AssertionError, "ends at 10"):
            writers.check(file_of(self, writers.content(1, 0, 10)), 1, 11)


class Log(unittest.TestCase):
    """dm-log-writes: a header, then entries of a sector and their data."""

    ENTRIES = ((0, b"a" * 512, 0), (8, b"b" * 1024, 0), (0, b"", 1), (0, b"m x", 8),
               (1, b"c" * 512, 0), (0, b"d" * 512, 2), (2, b"e" * 512, 0))

    def log(self):
        out = struct.pack("<QQQI", 0x6A736677736872, 1, len(self.ENTRIES), 512)
        out = out.ljust(512, b"\0")
        for sector, data, flags in self.ENTRIES:
            mark = flags & 8
            head = struct.pack("<4Q", sector, 0 if mark else len(data) // 512, flags,
                               len(data) if mark else 0)
            out += (head + (data if mark else b"")).ljust(512, b"\0")
            out += b"" if mark else data
        return file_of(self, out)

    def replay(self):
        path = self.log()
        return writelog.Replay(path, bytes(8192), writelog.read(path))

    def test_writes_in_order(self):
        replay = self.replay()
        self.assertEqual(replay.writes(), [0, 1, 4, 5, 6])
        image, marks = replay.at(2)
        self.assertEqual((image[0:1], image[4096:4097], marks), (b"a", b"b", []))
        image, marks = replay.at(7)
        self.assertEqual((image[0:1], image[512:513], image[1024:1025], marks),
                         (b"d", b"c", b"e", ["m x"]))
        self.assertEqual(len(image), 8192)

    def test_only_what_was_not_flushed_is_lost(self):
        replay = self.replay()
        self.assertEqual(replay.at(2, lambda _: True)[0], bytes(8192))
        image, _ = replay.at(5, lambda _: True)
        self.assertEqual((image[0:1], image[512:513]), (b"a", b"\0"))
        image, _ = replay.at(7, lambda _: True)
        self.assertEqual((image[0:1], image[512:513], image[1024:1025]),
                         (b"d", b"c", b"\0"))

    def test_something_else(self):
        with self.assertRaises(AssertionError):
            writelog.read(file_of(self, bytes(1024)))


class DurableNames(unittest.TestCase):
    def test_marks(self):
        kept = durable.Durable(["begin a", "done a 1 2", "begin b", "done b 3 4",
                                "begin a", "begin c", "gone c", "done b 5 6"])
        self.assertEqual(kept.files, {"b": (5, 6)})
        self.assertEqual(kept.gone, {"c"})

    def test_console(self):
        console = ("[ 1.0] rust_mpage_says: begin d0/n1\r\n[ 1.1] noise\n"
                   "[ 1.2] rust_mpage_says: done d0/n1 77 3000\n"
                   "[ 1.2] rust_mpage_says: done d0/n1 77 30 00\n"
                   "[ 1.3] rust_mpage_says: done d0/n2 77 30")
        self.assertEqual(powercut.durable_of(solo.marks_in(console)),
                         ["begin d0/n1", "done d0/n1 77 3000"])


class Workload(unittest.TestCase):
    def run_some(self, seed):
        """Operations of a workload of which all work."""
        work, found = workload.Workload(seed, 1024), []
        for _ in range(400):
            op = work.next()
            found.append(op)
            work.done(op, 100)
        return found

    def test_a_seed_is_a_workload(self):
        self.assertEqual(self.run_some(5), self.run_some(5))
        self.assertNotEqual(self.run_some(5), self.run_some(6))

    def test_every_operation_can_be_done(self):
        wide = ("sync", "drop_caches", "remount", "mount_again", "compare")
        for seed in range(20):
            for op in self.run_some(seed):
                self.assertTrue(op[0] in wide or hasattr(ops.Actor, "op_" + op[0]), op)
                if op[0] not in wide:
                    ops.paths_of(op)

    def test_answers_and_errors(self):
        with tempfile.TemporaryDirectory() as root:
            actor = ops.Actor(root)
            self.assertEqual(actor.do(("create", "f", 0o644)), (None, 0))
            self.assertEqual(actor.do(("create", "f", 0o644)), (None, "EEXIST"))
            self.assertEqual(actor.do(("write", "f", 10, 100, 1)), (100, 0))
            self.assertEqual(actor.do(("read", "f", 0, 200))[0][0], 110)
            self.assertEqual(actor.do(("rename", "f", "g")), (None, 0))
            self.assertEqual(os.listdir(root), ["g"])


class Compare(unittest.TestCase):
    def stats(self, **changes):
        fields = {"st_mode": 0o100644, "st_nlink": 1, "st_uid": 0, "st_gid": 0,
                  "st_size": 5, "st_blocks": 2, "st_blksize": 4096,
                  "st_mtime_ns": 10**9, "st_ctime_ns": 10**9, "st_atime_ns": 10**9}
        return types.SimpleNamespace(**(fields | changes))

    def test_fields_and_times(self):
        one = self.stats()
        self.assertEqual(compare.stats_differ(one, self.stats(), 1), {})
        self.assertEqual(compare.stats_differ(one, self.stats(st_size=6), 1),
                         {"size": (5, 6)})
        late = self.stats(st_mtime_ns=5 * 10**9)
        self.assertEqual(compare.stats_differ(one, late, 4), {})
        self.assertEqual(list(compare.stats_differ(one, late, 3)), ["mtime"])


class Tools(unittest.TestCase):
    def wanted(self, *tests):
        return testtools.wanted(types.SimpleNamespace(
            tests=list(tests), testing=settings.TOP / "tools" / "testing"))

    def test_only_for_tests_that_run_them(self):
        self.assertTrue(self.wanted())
        self.assertTrue(self.wanted("fsx"))
        self.assertFalse(self.wanted("twin", "^mount"))

    def test_versions_are_exact(self):
        for version in testtools.PROGRAMS.values():
            self.assertTrue(re.fullmatch(r"\d+\.\d+\.\d+", version))
