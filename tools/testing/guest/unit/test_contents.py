# SPDX-License-Identifier: GPL-2.0
"""What is in files and on disks: contents, logs of writes, what is durable."""

import errno
import os
import pathlib
import struct
import sys
import tempfile
import unittest
from unittest import mock

_GUEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_GUEST), str(_GUEST / "tests" / "lib"),
                str(_GUEST / "tests" / "lib" / "file_io")]
try:
    import durable
    import writelog
    import writers
finally:
    del sys.path[:3]


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


class Full(unittest.TestCase):
    """A disk with room for ten bytes."""

    def fill(self, sizes):
        with tempfile.TemporaryFile() as file:
            def pwrite(fd, data, at, write=os.pwrite):
                if at + len(data) > 10:
                    raise OSError(errno.ENOSPC, "full")
                return write(fd, data, at)

            with mock.patch.object(os, "pwrite", pwrite):
                total = writers.fill(file.fileno(), sizes)
            self.assertEqual(file.read(), b"\xff" * total)
        return total

    def test_what_is_left_is_filled_by_smaller_pieces(self):
        self.assertEqual(self.fill((4,)), 8)
        self.assertEqual(self.fill((4, 1)), 10)

    def test_another_error_is_none_of_its_own(self):
        with self.assertRaises(AssertionError):
            writers.fill(-1, (4,))


class Log(unittest.TestCase):
    """dm-log-writes: a header, then entries of a sector and their data."""

    ENTRIES = ((0, b"a" * 512, 0), (8, b"b" * 1024, 0), (0, b"", 1), (0, b"m x", 8),
               (1, b"c" * 512, 0), (0, b"d" * 512, 2), (2, b"e" * 512, 0),
               (0, b"dm-log-writes-end", 8))

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
        self.assertEqual([entry.mark for entry in replay.entries if entry.mark], ["m x"])
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


if __name__ == "__main__":
    unittest.main()
