# SPDX-License-Identifier: GPL-2.0
"""A user's tree of xfstests: what is one, and which of its tests are meant."""

import os
import tarfile
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from rmp import settings, ui
from rmp.xfstests import tree

_GENERIC = """# QA groups control file

001 rw auto quick
002 auto quick   # the fourth word is no group
010 auto stress
100 auto quick dangerous
"""
_BUILT = {"ltp/fsstress": "", "ltp/fsx": "", "src/lstat64": ""}


def fake(folder, built=True, **files):
    """A small tree."""
    texts = {"check": "#!/bin/bash\n", "common/rc": "",
             "tests/generic/001": "", "tests/ext4/001": ""}
    if built:
        texts |= _BUILT
        texts |= {"tests/generic/group.list": _GENERIC,
                  "tests/ext4/group.list": "001 auto quick\n", "src/x.o": "x",
                  "tests/xfs/group.list": "001 auto quick\n", ".git/objects": "much"}
    for name, text in (texts | files).items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
        path.chmod(0o755)
    return folder


class Trees(unittest.TestCase):
    """Each that cannot be used is refused with one line that says what to do."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name

    def refused(self, path):
        with self.assertRaises(ui.Fail) as failure:
            tree.Tree(path)
        text = str(failure.exception)
        self.assertNotIn("\n", text)
        return text

    def test_none(self):
        self.assertIn("make xfstests XFSTESTS=/path", self.refused(None))
        self.assertIn("no such folder", self.refused(Path(self.path, "no")))

    def test_not_a_tree(self):
        self.assertIn("no check in it", self.refused(self.path))

    def test_not_built(self):
        fake(self.path, built=False)
        self.assertIn(f"not built, ltp/fsstress is missing: make -C {self.path}",
                      self.refused(self.path))
        fake(self.path)
        os.unlink(Path(self.path, "tests/generic/group.list"))
        self.assertIn("tests/generic/group.list is missing", self.refused(self.path))

    def test_not_executable(self):
        fake(self.path)
        Path(self.path, "ltp/fsx").chmod(0o644)
        self.assertIn("ltp/fsx is missing", self.refused(self.path))

    def test_tests_that_are_meant(self):
        made = tree.Tree(fake(self.path))
        quick = ["generic/001", "generic/002", "generic/100", "ext4/001"]
        for words, names in (
                ([], quick), (["quick"], quick), (["generic/quick"], quick[:3]),
                (["generic/002", "ext4/001"], [quick[1], quick[3]]),
                (["generic/00?"], quick[:2]), (["*/001"], [quick[0], quick[3]]),
                (["stress", "generic/001"], [quick[0], "generic/010"]),
                (["-dangerous", "-ext4/*"], quick[:2]),
                (["all", "-quick"], ["generic/010"])):
            self.assertEqual(made.select(words), names, words)

    def test_tests_that_are_not_there(self):
        made = tree.Tree(fake(self.path))
        for word in ("generic/003", "xfs/001", "slow", "generic/slow", "-slow", "fourth"):
            with self.assertRaises(ui.Fail) as failure:
                made.select([word])
            self.assertIn(f"TESTS={word.lstrip('-')}: no such test and no such group",
                          str(failure.exception))
        with self.assertRaises(ui.Fail):
            made.select(["generic/001", "-quick"])

    def test_an_older_tree(self):
        fake(self.path)
        for folder in ("generic", "ext4"):
            base = Path(self.path, "tests", folder)
            (base / "group.list").rename(base / "group")
        self.assertEqual(len(tree.Tree(self.path).select([])), 4)

    def test_pack(self):
        made = tree.Tree(fake(self.path))
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, "tree.tar")
            with mock.patch.object(tree.ui, "say"):
                made.pack(archive, Path(folder, "log"))
            with tarfile.open(archive) as packed:
                names = packed.getnames()
        self.assertIn("./tests/generic/group.list", names)
        self.assertFalse({"./src/x.o", "./.git", "./.git/objects"} & set(names))
        self.assertEqual(sorted(path.name for path in Path(self.path).iterdir()),
                         [".git", "check", "common", "ltp", "src", "tests"])


class Patterns(unittest.TestCase):
    """TESTS= are xfstests' own patterns there, and regular expressions elsewhere."""

    def test_not_a_regular_expression(self):
        with mock.patch.dict(os.environ, {"TESTS": "generic/??? */001"}):
            made = settings.Settings()
        made.check()
        with self.assertRaises(ui.Fail):
            made.check_patterns()


if __name__ == "__main__":
    unittest.main()
