# SPDX-License-Identifier: GPL-2.0
"""The guest's half of `make xfstests`: those whom tests act as, and silence."""

import pathlib
import sys
import tempfile
import unittest

_GUEST = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_GUEST))
try:
    import xfstests
finally:
    del sys.path[0]


class Guest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_people(self):
        """They are added to copies; who is there already stays as he is."""
        etc = self.folder / "etc"
        etc.mkdir()
        passwd, group = etc / "passwd", etc / "group"
        passwd.write_text("root:x:0:0:root:/root:/bin/bash\nfsgqa:x:7:7::/:/bin/sh\n", "ascii")
        group.write_text("root:x:0:\n", "ascii")
        made = xfstests.people(str(self.folder), str(passwd), str(group))
        self.assertEqual([target for _, target in made], [str(passwd), str(group)])
        users, groups = (pathlib.Path(copy).read_text("ascii") for copy, _ in made)
        self.assertEqual(
            [line.split(":")[:3] for line in users.splitlines()],
            [["root", "x", "0"], ["fsgqa", "x", "7"], ["123456-fsgqa", "*", "61002"],
             ["fsgqa2", "*", "61003"]])
        self.assertIn("fsgqa:*:61001:\n", groups)
        self.assertEqual(group.read_text("ascii"), "root:x:0:\n")

    def test_silence(self):
        """Time counts from when something was last said."""
        said, now = self.folder / "said", [0]
        said.write_text("", "ascii")
        watch = xfstests.Watch(str(said), lambda: now[0])
        now[0] = 5
        self.assertEqual(watch.silent(), 0)  # the first look
        now[0] = 15
        self.assertEqual(watch.silent(), 10)
        said.write_text("generic/001", "ascii")
        self.assertEqual(watch.silent(), 0)
        now[0] = 20
        self.assertEqual(watch.silent(), 5)


if __name__ == "__main__":
    unittest.main()
