# SPDX-License-Identifier: GPL-2.0
"""rust-mpage-stat: what it makes of counters, and says where there are none."""

import contextlib
import importlib.machinery
import importlib.util
import io
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

PATH = Path(__file__).resolve().parents[3] / "rust-mpage-stat"
_LOADER = importlib.machinery.SourceFileLoader("rust_mpage_stat", str(PATH))
stat = importlib.util.module_from_spec(
    importlib.util.spec_from_loader(_LOADER.name, _LOADER))
_LOADER.exec_module(stat)

LOADED = {"bios": 10, "bytes": 40960, "folios": 20, "mapper_calls": 5,
          "failed_folios": 0, "fallback_filled": 1, "fallback_buffers": 2,
          "write/bios": 3, "write/bytes": 3072, "write/folios": 3,
          "write/fallback_busy": 7}


class Stat(unittest.TestCase):
    def folder(self, found):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.mkdir(os.path.join(folder.name, "write"))
        for name, count in found.items():
            Path(folder.name, name).write_text(f"{count}\n", encoding="ascii")
        return folder.name

    def test_a_line_is_what_was_counted_in_between(self):
        now = [0.0]
        later = dict(LOADED, **{"bios": 30, "bytes": 40960 + 163840, "folios": 60,
                                "mapper_calls": 7, "fallback_filled": 5,
                                "failed_folios": 2, "write/bios": 5,
                                "write/bytes": 9216, "write/fallback_busy": 9})
        answers, shown = [LOADED, later, later], []

        def wait():
            now[0] += 2

        stat.watch(lambda: answers.pop(0), wait, lambda: now[0], shown.append, 2)
        self.assertEqual(len(shown), 3)  # a header, two lines
        self.assertEqual([int(word) for word in shown[1].split()],
                         [10, 80, 8, 20, 1, 2, 1, 1, 3, 3, 0, 0, 1, 0])
        self.assertEqual(set(shown[2].split()), {"0"})
        self.assertEqual(len(shown[0].splitlines()[1]), len(shown[1]))

    def test_a_module_that_was_loaded_again_counts_from_nothing(self):
        self.assertEqual(stat.change({"bios": 10, "bytes": 5}, {"bios": 4, "bytes": 9}),
                         {"bios": 4, "bytes": 9})

    def test_all_counters(self):
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            self.assertEqual(stat.main(["-a", "-d", self.folder(LOADED)]), 0)
        lines = told.getvalue().splitlines()
        self.assertEqual({words[0]: int(words[1].replace(",", ""))
                          for words in map(str.split, lines)}, LOADED)

    def test_who_reads_has_seen_enough(self):
        """As with `| head`: it ends, and has nothing to say."""
        for words in (("-a",), ("0.01",)):
            with subprocess.Popen([PATH, *words, "-d", self.folder(LOADED)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
                running.stdout.close()
                told = running.stderr.read()
            self.assertEqual((running.returncode, told), (0, b""))

    def test_nothing_there(self):
        for folder in ("/nonexistent", self.folder({})):
            text = stat.main(["-d", folder])
            self.assertIn("rust_mpage is not loaded", text)
            self.assertNotIn("\n", text)


if __name__ == "__main__":
    unittest.main()
