# SPDX-License-Identifier: GPL-2.0
"""The cache: an entry counts when it was finished, and only then."""

import tempfile
import unittest
from pathlib import Path

from rmp.cache import Cache, digest


class CacheEntries(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.cache = Cache(Path(self._folder.name))
        self.builds = 0

    def build(self, entry):
        self.builds += 1
        self.assertEqual(list(entry.iterdir()), [])
        (entry / "file").write_text("done", encoding="ascii")

    def test_made_once(self):
        first = self.cache.make("kind", "k", self.build)
        self.assertEqual(self.cache.make("kind", "k", self.build), first)
        self.assertEqual(self.builds, 1)
        self.assertEqual(self.cache.newest("kind"), first)

    def test_another_key_is_another_entry(self):
        first = self.cache.make("kind", "k", self.build)
        self.assertNotEqual(self.cache.make("kind", "l", self.build), first)
        self.assertEqual(self.builds, 2)

    def test_interrupted_step_is_redone(self):
        def broken(entry):
            (entry / "half").write_text("", encoding="ascii")
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            self.cache.make("kind", "k", broken)
        self.assertIsNone(self.cache.find("kind", "k"))
        self.assertIsNone(self.cache.newest("kind"))
        entry = self.cache.make("kind", "k", self.build)
        self.assertEqual((entry / "file").read_text(encoding="ascii"), "done")
        self.assertFalse((entry / "half").exists())

    def test_answers(self):
        self.assertIsNone(self.cache.recall("accel"))
        self.cache.remember("accel", "tcg")
        self.assertEqual(self.cache.recall("accel"), "tcg")

    def test_digest_keeps_parts_apart(self):
        self.assertNotEqual(digest("ab", "c"), digest("a", "bc"))
