# SPDX-License-Identifier: GPL-2.0
"""The check of rooms: which arrows it sees, and which it refuses."""

import tempfile
import unittest
from pathlib import Path

from rmp.lint import rooms

_HEAD = "//! A room.\n//!\n//! May use: {}.\n\n"


class Leaves(unittest.TestCase):
    def test_of_a_tree(self):
        self.assertEqual(
            rooms.leaves("crate::{\n    a::{self, B as C, d::{e, f, //\n    },},\n    g,\n}"
                         .replace("//", "")),
            [("crate", "a"), ("crate", "a", "B"), ("crate", "a", "d", "e"),
             ("crate", "a", "d", "f"), ("crate", "g")])
        self.assertEqual(rooms.leaves("super::x"), [("super", "x")])


class Check(unittest.TestCase):
    """Rooms `low` and `high` of a crate, and files beside them."""

    def found(self, low="no other room", high="`low`", **files):
        texts = {"low/mod.rs": _HEAD.format(low) + "pub(crate) mod a;\n"
                                                   "pub(crate) use self::a::A;\n",
                 "low/a.rs": "pub(crate) struct A;\n",
                 "high/mod.rs": _HEAD.format(high) + "mod b;\n",
                 "high/b.rs": "use crate::low::A;\n"}
        texts.update({name.replace("__", "/") + ".rs": text
                      for name, text in files.items()})
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                path = Path(folder, "fs", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="ascii")
            return list(rooms.check(rooms.Tree(Path(folder), "fs", "crate")))

    def test_as_the_heads_say(self):
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(top="use crate::{high, low::a::A};\n"), [])

    def test_up(self):
        for text in ("use crate::high::b;\n", "use super::super::high::b;\n",
                     "fn f() {\n    crate::high::b::g()\n}\n"):
            self.assertIn("fs/low/a.rs: uses fs/high/b.rs", self.found(low__a=text)[0])
        self.assertIn("in a circle: high, low",
                      self.found(low="`high`", low__a="use crate::high::b;\n")[0])
        self.assertIn("uses fs/top.rs (f)",
                      self.found(top="", low__a="use crate::top::f;\n")[0])

    def test_a_name_that_the_folder_hands_on(self):
        self.assertIn("fs/low/a.rs: uses fs/high/mod.rs (B)",
                      self.found(mod="pub use self::high::B;\n",
                                 low__a="use crate::B;\n")[0])

    def test_no_arrow(self):
        for text in ("// crate::high::b\n", 'const A: &str = "crate::high::b";\n',
                     "pub(in crate::high) struct A;\n", "use super::a;\n",
                     "#[kunit_tests(a)]\nmod tests {\n    use crate::high::b;\n}\n"):
            self.assertEqual(self.found(low__a=text), [], text)
        self.assertEqual(self.found(low__a_tests="use crate::high::b;\n"), [])

    def test_heads(self):
        self.assertEqual(self.found(high="`low` and `other`"),
                         ["fs/high/mod.rs: may use other, and does not"])
        self.assertEqual(self.found(low__mod="mod a;\n", high__b=""),
                         ["fs/low/mod.rs: does not say what the room may use",
                          "fs/high/mod.rs: may use low, and does not"])

    def test_circles_of_files(self):
        ring = {f"low__{name}": f"use super::{following}::X;\n"
                for name, following in zip("abcd", "bcda")}
        self.assertIn("4 files in a circle: fs/low/a.rs, fs/low/b.rs",
                      self.found(**ring)[0])
        ring["low__c"] = "use super::a::X;\n"
        self.assertEqual(self.found(**ring), [])

    def test_what_is_handed_on_is_where_it_is(self):
        """Else each file that its room hands on would be in a circle with it."""
        files = {f"low__{name}": "use super::A;\n" for name in "bcde"}
        self.assertEqual(self.found(**files), [])


if __name__ == "__main__":
    unittest.main()
