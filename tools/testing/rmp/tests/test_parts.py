# SPDX-License-Identifier: GPL-2.0
"""Small parts: settings, configurations, superblocks, the free space of an image, a
guest that does not come up."""

import os
import struct
import tempfile
import unittest
from unittest import mock

from rmp import doc, guest, kernel, scatter, settings, superblock, ui


class Numbers(unittest.TestCase):
    def check(self, **variables):
        with mock.patch.dict(os.environ, variables):
            made = settings.Settings()
        made.check()
        return made

    def test_of_the_tests(self):
        made = self.check(SECONDS="3600", SEED="7")
        self.assertEqual((made.seconds, made.seed), ("3600", "7"))
        self.check(SECONDS="", SEED="")

    def test_what_is_none(self):
        for text in ("0", "-1", "1h", "x", "1 2"):
            with self.assertRaises(ui.Fail):
                self.check(SEED=text)


class Config(unittest.TestCase):
    def test_unset_is_n(self):
        options = kernel.parse_config("CONFIG_A=y\n# CONFIG_B is not set\n# text\n")
        self.assertEqual(options, {"CONFIG_A": "y", "CONFIG_B": "n"})

    def test_what_did_not_hold(self):
        wanted = {"CONFIG_A": "y", "CONFIG_B": "n", "CONFIG_C": "m"}
        wrong = kernel.check_config(wanted, "CONFIG_A=y\nCONFIG_C=y\n")
        self.assertEqual(wrong, ["CONFIG_C=m, is y"])


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


class Console(unittest.TestCase):
    def setUp(self):
        self.seconds = 0
        self.lines = []

    def console(self, patient=False):
        return guest._Console(self.lines.append, patient, now=lambda: self.seconds)

    def test_silence_while_booting(self):
        console = self.console()
        self.seconds = guest.STILL
        self.assertFalse(console.stands_still())
        self.seconds += 1
        self.assertTrue(console.stands_still())
        console.line("smp: Brought up 1 node, 2 CPUs")
        self.assertFalse(console.stands_still())
        self.assertEqual(self.lines, ["smp: Brought up 1 node, 2 CPUs"])

    def test_silence_of_a_job(self):
        console = self.console()
        console.line("virtme-ng-init: starting script (console fallback)")
        self.seconds = 10 * guest.STILL
        self.assertFalse(console.stands_still())

    def test_the_last_boot(self):
        console = self.console(patient=True)
        self.seconds = 10 * guest.STILL
        self.assertFalse(console.stands_still())


class Doc(unittest.TestCase):
    def test_command_line(self):
        saved = ("savedcmd_a.o := X=1 rustc --edition=2021 --emit=metadata=a "
                 "-Zcrate-attr='feature(a,b)' --out-dir ./ a.rs ;objcopy a\n")
        env, argv = doc.rustdoc_words(saved, "rustdoc", "out")
        self.assertEqual(env, {"X": "1"})
        self.assertEqual(argv, ["rustdoc", "--edition=2021",
                                "-Zcrate-attr=feature(a,b)", "a.rs",
                                "--output", "out"])
