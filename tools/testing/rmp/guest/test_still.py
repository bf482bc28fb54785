# SPDX-License-Identifier: GPL-2.0
"""What is written down of a guest that stands still."""

import os
import stat
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from rmp.guest import guest, still

MAP = """\
0000000000001000 D data
000000000000fff0 T reset_vector
0000000000010000 t behind
ffffffff81000000 T _text
ffffffff81000040 T last
"""

# as virtme-run is called, for a machine without a kernel whose processors are stopped
STOPPED = """\
#!/usr/bin/env python3
import os, sys
mine = [word[len("--qemu-opt="):] for word in sys.argv if word.startswith("--qemu-opt=")]
os.execvp("qemu-system-x86_64", ["qemu", "-S", "-m", "64", "-smp", "2", "-display", "none",
                                 "-nodefaults", *mine])
"""


class Symbols(unittest.TestCase):
    def test_names(self):
        symbols = still.Symbols(MAP.splitlines())
        self.assertEqual(symbols.name(0xFFF0), "reset_vector+0x0")
        self.assertEqual(symbols.name(0xFFFFFFFF81000012), "_text+0x12")
        self.assertIsNone(symbols.name(0x1000))
        self.assertIsNone(symbols.name(0xFFFFFFFF82000000))

    def test_none(self):
        self.assertIsNone(still.Symbols.of(Path("/nowhere")).name(1))


class Recorder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "System.map").write_text(MAP, encoding="ascii")

    def test_nobody(self):
        self.assertIn("does not answer", still.record(self.folder / "none", self.folder))

    def test_stopped_guest(self):
        """A guest that is stopped before its first instruction: both processors are told
        of, by name, before it is booted again, for which there is no time."""
        program = self.folder / "virtme-run"
        program.write_text(STOPPED, encoding="ascii")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        kernel = mock.Mock(image="none", build=self.folder)
        machine = guest.Guest(program, kernel, "tcg")
        log, sockets = self.folder / "log", self.folder / "sockets"
        sockets.mkdir()
        with mock.patch.multiple(guest, STILL=3, BOOTS=2), \
                mock.patch.object(still, "PAUSE", 0), \
                mock.patch.object(tempfile, "tempdir", str(sockets)), \
                mock.patch.object(guest.ui, "warn"):
            limit = lambda: 0 if machine.boots_again else 9  # pylint: disable=C3001
            self.assertFalse(machine.run("true", log, limit))
        self.assertEqual(machine.boots_again, 1)
        said = log.read_text(encoding="utf-8")
        for number in range(2):
            self.assertEqual(said.count(f"processor {number}: reset_vector+0x0"),
                             still.SAMPLES, said)
            self.assertIn(f"processor {number}, of its stack:", said)
        self.assertIn("CR3=", said)
        self.assertEqual(said.count("the guest stands still"), 1)
        self.assertEqual(os.listdir(sockets), [])


if __name__ == "__main__":
    unittest.main()
