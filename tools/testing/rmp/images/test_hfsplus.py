# SPDX-License-Identifier: GPL-2.0
"""The disk that no program makes, and what checks it."""

import pathlib
import struct
import sys
import unittest

from rmp.images import hfsplus

_CHECKER = pathlib.Path(__file__).resolve().parents[2] / "guest" / "tests" / "dropin"
sys.path.insert(0, str(_CHECKER))
try:
    import hfspluscheck
finally:
    sys.path.remove(str(_CHECKER))


class HfsPlus(unittest.TestCase):
    def setUp(self):
        self.volume = hfsplus.make(1 << 20)

    def test_both_headers(self):
        self.assertEqual(self.volume[1024:1026], b"H+")
        self.assertEqual(self.volume[1024:1536], self.volume[-1024:-512])

    def test_free_blocks_are_those_of_the_bitmap(self):
        total, free = struct.unpack_from(">II", self.volume, 1024 + 44)
        bitmap = self.volume[hfsplus.BLOCK:2 * hfsplus.BLOCK]
        used = sum(bin(byte).count("1") for byte in bitmap)
        self.assertEqual((total, free), (256, 256 - used))

    def test_a_node_is_a_node(self):
        for tree in (2, 6):
            node = self.volume[tree * hfsplus.BLOCK:(tree + 1) * hfsplus.BLOCK]
            self.assertEqual(node[8], 1)
            self.assertEqual(struct.unpack_from(">H", node, hfsplus.NODE - 2)[0], 14)

    def damaged(self, at, data):
        volume = bytearray(self.volume)
        volume[at:at + len(data)] = data
        with self.assertRaises(hfspluscheck.Damage):
            hfspluscheck.Volume(bytes(volume))

    def test_the_checker_finds_nothing(self):
        self.assertIn("0 files, 1 folders, 71 blocks used, 185 free",
                      hfspluscheck.Volume(bytes(self.volume)).report)

    def test_the_checker_finds_a_block_that_is_not_marked(self):
        self.damaged(hfsplus.BLOCK, b"\x7f")

    def test_the_checker_finds_a_lost_block(self):
        self.damaged(hfsplus.BLOCK + 20, b"\x01")

    def test_the_checker_finds_a_wrong_count_of_free_blocks(self):
        self.damaged(1024 + 48, struct.pack(">I", 184))

    def test_the_checker_finds_a_fork_in_another_one(self):
        extents = 1024 + 112 + 80 + 16
        self.damaged(extents, struct.pack(">II", 6, 4))

    def test_the_checker_finds_a_wrong_count_of_records(self):
        self.damaged(6 * hfsplus.BLOCK + 14 + 6, struct.pack(">I", 3))

    def test_the_checker_finds_a_node_that_is_not_in_the_map(self):
        self.damaged(6 * hfsplus.BLOCK + 248, b"\x80")

    def test_the_checker_finds_a_folder_that_counts_wrongly(self):
        leaf = 7 * hfsplus.BLOCK
        key = 28  # of the root
        self.damaged(leaf + 14 + key + 4, struct.pack(">I", 1))


if __name__ == "__main__":
    unittest.main()
