# SPDX-License-Identifier: GPL-2.0
"""The disk: superblocks, the free space of an image; what the user is told."""

import struct
import tempfile
import unittest

from rmp import ui
from rmp.run import run, scatter, shell, superblock
from rmp.settings import TOP


class Superblock(unittest.TestCase):
    def image(self, magic=0xEF53, incompat=2, head=b""):
        data = bytearray(65536 + 128)
        struct.pack_into("<H", data, 1024 + 56, magic)
        struct.pack_into("<I", data, 1024 + 76, 1)
        struct.pack_into("<I", data, 1024 + 96, incompat)
        data[:len(head)] = head
        file = tempfile.NamedTemporaryFile()
        self.addCleanup(file.close)
        file.write(data)
        file.flush()
        return file.name

    def refused(self, **fields):
        with self.assertRaises(ui.Fail) as caught:
            superblock.check(self.image(**fields))
        text = str(caught.exception)
        self.assertNotIn("\n", text)
        return text

    def test_ext2(self):
        superblock.check(self.image())

    def test_ext4_is_named(self):
        self.assertIn("extents", self.refused(incompat=0x42))

    def test_something_else(self):
        self.assertIn("gzip", self.refused(magic=0, head=b"\x1f\x8b"))


class Scatter(unittest.TestCase):
    DUMP = ("Free blocks:              100\n"
            "Group 0: (Blocks 0-99)\n  Free blocks: 10-13, 20\n"
            "Group 1: (Blocks 100-199)\n  Free blocks: \n"
            "Group 2: (Blocks 200-299)\n  Free blocks: 200-299\n")

    def test_free_ranges(self):
        self.assertEqual(scatter.free_ranges(self.DUMP),
                         [(10, 13), (20, 20), (200, 299)])

    def test_every_other_block_is_held(self):
        lines = scatter.commands([(10, 13), (20, 20)], "/x", "d/f", 3)
        self.assertEqual(lines, ["setb 11 1", "setb 13 1", "cd /d", "write /x f",
                                 "freeb 11 1", "freeb 13 1"])

    def test_no_room(self):
        with self.assertRaises(ValueError):
            scatter.commands([(10, 13)], "/x", "f", 3)


class Told(unittest.TestCase):
    """What there is to do next can be done."""

    class Settings:
        image = None

    def test_the_next_steps_are_targets_of_the_makefile(self):
        targets = (TOP / "Makefile").read_text(encoding="utf-8")
        text = run.next_steps(self.Settings)
        steps = [line.split()[1] for line in text.splitlines()[1:]]
        self.assertEqual(len(steps), 4)
        for step in steps:
            self.assertRegex(targets, rf"(?m)^[a-z ]*\b{step}\b[a-z ]*:")

    def test_three_commands_to_try(self):
        for fstype in ("rust_ext2", "ext2"):
            for writes in (False, True):
                commands = [text for text, _ in shell.to_try(fstype, writes)]
                self.assertEqual(len(commands), 3)
                self.assertEqual(fstype == "rust_ext2", "rust-mpage-stat -a" in commands)
                self.assertEqual(writes, any("sync" in text for text in commands))


if __name__ == "__main__":
    unittest.main()
