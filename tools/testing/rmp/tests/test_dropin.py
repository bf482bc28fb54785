# SPDX-License-Identifier: GPL-2.0
"""C filesystems on rust_mpage: what they are linked with, and the disk that no
program makes."""

import pathlib
import struct
import sys
import tempfile
import unittest

from rmp import dropin, hfsplusimg

_GUEST_TESTS = pathlib.Path(__file__).resolve().parents[2] / "guest" / "tests"
sys.path.insert(0, str(_GUEST_TESTS))
try:
    import hfspluscheck
finally:
    sys.path.remove(str(_GUEST_TESTS))


class Symbols(unittest.TestCase):
    def of(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "Module.symvers"
            path.write_text(text, encoding="ascii")
            return dropin._symbols(path)

    def test_only_the_c_interface(self):
        names = [line.split("\t")[1] for line in self.of(
            "0x1\t_RNvNt5mpage\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
            "0x2\trust_mpage_readahead\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
            "0x3\trust_mpage_helper_folio_get\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
            "0x4\t__rust_mpage_writepages\t/a/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
        ).splitlines()]
        self.assertEqual(names, ["__rust_mpage_writepages", "rust_mpage_readahead"])

    def test_the_place_of_the_build_is_left_out(self):
        line = "0x2\trust_mpage_readahead\t{}/rust_mpage\tEXPORT_SYMBOL_GPL\t\n"
        self.assertEqual(self.of(line.format("/a")), self.of(line.format("/b")))

    def test_versions_are_kept(self):
        self.assertTrue(self.of(
            "0xabc\trust_mpage_readahead\tx\tEXPORT_SYMBOL_GPL\t\n"
        ).startswith("0xabc\t"))


class HfsPlus(unittest.TestCase):
    def setUp(self):
        self.volume = hfsplusimg.make(1 << 20)

    def test_both_headers(self):
        self.assertEqual(self.volume[1024:1026], b"H+")
        self.assertEqual(self.volume[1024:1536], self.volume[-1024:-512])

    def test_free_blocks_are_those_of_the_bitmap(self):
        total, free = struct.unpack_from(">II", self.volume, 1024 + 44)
        bitmap = self.volume[hfsplusimg.BLOCK:2 * hfsplusimg.BLOCK]
        used = sum(bin(byte).count("1") for byte in bitmap)
        self.assertEqual((total, free), (256, 256 - used))

    def test_a_node_is_a_node(self):
        for tree in (2, 6):
            node = self.volume[tree * hfsplusimg.BLOCK:(tree + 1) * hfsplusimg.BLOCK]
            self.assertEqual(node[8], 1)
            self.assertEqual(struct.unpack_from(">H", node, hfsplusimg.NODE - 2)[0], 14)

    def damaged(self, at, data):
        volume = bytearray(self.volume)
        volume[at:at + len(data)] = data
        with self.assertRaises(hfspluscheck.Damage):
            hfspluscheck.Volume(bytes(volume))

    def test_the_checker_finds_nothing(self):
        self.assertIn("0 files, 1 folders, 71 blocks used, 185 free",
                      hfspluscheck.Volume(bytes(self.volume)).report)

    def test_the_checker_finds_a_block_that_is_not_marked(self):
        self.damaged(hfsplusimg.BLOCK, b"\x7f")

    def test_the_checker_finds_a_lost_block(self):
        self.damaged(hfsplusimg.BLOCK + 20, b"\x01")

    def test_the_checker_finds_a_wrong_count_of_free_blocks(self):
        self.damaged(1024 + 48, struct.pack(">I", 184))

    def test_the_checker_finds_a_fork_in_another_one(self):
        extents = 1024 + 112 + 80 + 16
        self.damaged(extents, struct.pack(">II", 6, 4))

    def test_the_checker_finds_a_wrong_count_of_records(self):
        self.damaged(6 * hfsplusimg.BLOCK + 14 + 6, struct.pack(">I", 3))

    def test_the_checker_finds_a_node_that_is_not_in_the_map(self):
        self.damaged(6 * hfsplusimg.BLOCK + 248, b"\x80")

    def test_the_checker_finds_a_folder_that_counts_wrongly(self):
        leaf = 7 * hfsplusimg.BLOCK
        key = 28  # of the root
        self.damaged(leaf + 14 + key + 4, struct.pack(">I", 1))
