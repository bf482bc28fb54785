# SPDX-License-Identifier: GPL-2.0
"""Kbuild puts the contents of the library into the names of its symbols."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from rmp.settings import TOP

_ASK = """
comma := ,
CONFIG_RUST := y
CONFIG_64BIT := y
src := $(TREE)
obj := $(TREE)
include $(TREE)/Kbuild
show: ; @echo $(RUSTFLAGS_crate/rust_mpage.o)
"""
# of which the library is made
_PARTS = ("rust_mpage.rs", "abi/entry.rs", "abstractions/mm/folio.rs", "bindings/helpers.c",
          "bindings/bindings_helper.h", "bindings/bindgen_parameters", "compat/mod.rs",
          "include/linux/rust_mpage.h", "mpage/read.rs")
_OTHERS = ("ext2/file.rs", "bindings/bindings_generated.rs", "bindings/helpers.o", "README.md")


class Contents(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.tree = Path(held.name)
        for path in _PARTS + _OTHERS:
            self.write(path, "a")
        for path in ("Kbuild", "compat/Kbuild"):
            shutil.copy(TOP / path, self.tree / path)

    def write(self, path, text):
        (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / path).write_text(text, encoding="ascii")

    def found(self, extmod="KBUILD_EXTMOD=x"):
        """What the compiler is given for the crate."""
        return subprocess.run(["make", "-s", "-f", "-", f"TREE={self.tree}", extmod, "show"],
                              input=_ASK, check=True, capture_output=True, encoding="ascii").stdout

    def test_each_part_counts(self):
        seen = [self.found()]
        self.assertRegex(seen[0], r"-Cmetadata=[0-9a-f]{64}\b")
        for path in _PARTS:
            self.write(path, "b")
            seen.append(self.found())
        self.assertEqual(len(set(seen)), len(seen))

    def test_what_is_not_of_the_library_does_not(self):
        before = self.found()
        for path in _OTHERS:
            self.write(path, "b")
        self.assertEqual(self.found(), before)

    def test_the_kernels_tree_makes_both_in_one_build(self):
        self.assertNotIn("-Cmetadata", self.found("KBUILD_EXTMOD="))

    def test_no_folder_is_forgotten(self):
        text = (TOP / "rust_mpage.rs").read_text(encoding="utf-8")
        rooms = set(re.findall(r"^(?:pub )?mod (\w+);$", text, re.M))
        self.assertLessEqual({"abi", "mpage"}, rooms)
        self.assertLessEqual(rooms, {path.split("/")[0] for path in _PARTS})


if __name__ == "__main__":
    unittest.main()
