# SPDX-License-Identifier: GPL-2.0
"""A user's own tree of xfstests: whether it is one, and which of its tests are meant.

Nothing of it is in this project, and nothing is written to it.
"""

import fnmatch
import os
from pathlib import Path

from .. import command, ui

# what `check` itself refuses to begin without, and its build makes
_BUILT = ("ltp/fsstress", "ltp/fsx", "src/lstat64")
# where `check` looks for tests of ext2
_FOLDERS = ("generic", "shared", "ext4", "ext2")
DEFAULT = ["quick"]


class Tree:
    """A tree that was looked at and is built."""

    def __init__(self, path):
        if not path:
            raise ui.Fail("xfstests is yours to bring: make xfstests "
                          "XFSTESTS=/path/to/a/built/tree")
        self.path = Path(path)
        if not self.path.is_dir():
            raise ui.Fail(f"XFSTESTS={path}: no such folder")
        for name in ("check", "common/rc", "tests/generic"):
            if not (self.path / name).exists():
                raise ui.Fail(f"XFSTESTS={path}: not a tree of xfstests: no {name} in it")
        lists = {folder: self._list(folder) for folder in _FOLDERS}
        missing = [name for name in _BUILT if not os.access(self.path / name, os.X_OK)]
        if not lists["generic"]:
            missing.append("tests/generic/group.list")
        if missing:
            raise ui.Fail(f"XFSTESTS={path}: not built, {missing[0]} is missing: "
                          f"make -C {path}")
        self._groups = {}
        self.tests = []
        for folder, lines in lists.items():
            self._read(folder, lines)

    def _list(self, folder):
        """Lines of the list of a folder's tests and their groups."""
        for name in ("group.list", "group"):
            path = self.path / "tests" / folder / name
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace").splitlines()
        return []

    def _read(self, folder, lines):
        for line in lines:
            words = line.partition("#")[0].split()
            if words and words[0][0].isdigit():
                name = f"{folder}/{words[0]}"
                self.tests.append(name)
                for group in {"all", *words[1:]}:
                    self._groups.setdefault(group, set()).add(name)

    def _meant(self, word):
        """The tests that a word means: a test, a pattern of tests, a group, or a group of
        one folder."""
        if word in self._groups:
            return self._groups[word]
        found = set(fnmatch.filter(self.tests, word))
        folder, _, group = word.partition("/")
        found = found or {name for name in self._groups.get(group, ())
                          if name.startswith(folder + "/")}
        if not found:
            raise ui.Fail(
                f"TESTS={word}: no such test and no such group in {self.path}; its groups: "
                f"{' '.join(sorted(self._groups))}")
        return found

    def select(self, words):
        """Names of the tests that TESTS= means, in order; "-word" takes away."""
        wanted = [word for word in words if not word.startswith("-")] or DEFAULT
        names = set().union(*map(self._meant, wanted))
        for word in words:
            if word.startswith("-"):
                names -= self._meant(word[1:])
        if not names:
            raise ui.Fail(f"TESTS={' '.join(words)}: nothing is left")
        return [name for name in self.tests if name in names]

    def pack(self, target, log):
        """The tree as an archive, in which a guest reads it as a disk."""
        command.step("tree of xfstests", [
            "tar", "-C", self.path, "--exclude=./.git", "--exclude=*.o", "--exclude=*.a",
            "--owner=0", "--group=0", "-cf", target, "."], log)
