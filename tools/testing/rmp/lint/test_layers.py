# SPDX-License-Identifier: GPL-2.0
"""The check of which way the code points: what it must find, and what it must not."""

import unittest

from rmp.lint import layers

_HOUSE = {
    "rust_mpage.rs": "mod abi;\nmod abstractions;\nmod bindings;\nmod mpage;\n"
                     "pub use self::abstractions::mm;\n",
    "bindings/mod.rs": "pub fn raw() {}",
    "abstractions/mod.rs": "pub mod fs;\npub mod mm;",
    "abstractions/mm/mod.rs": "mod folio;\npub use self::folio::{\n    Folio, //\n};",
    "abstractions/mm/folio.rs": "use crate::bindings;\npub struct Folio;",
    "abstractions/fs/mod.rs": "mod inode;\npub use self::inode::Inode;",
    "abstractions/fs/inode.rs": "use crate::abstractions::mm::Folio;\npub struct Inode;",
    "mpage/mod.rs": "mod plan;\nmod read;\npub use self::read::read;",
    "mpage/plan.rs": "use kernel::prelude::*;\npub(super) struct Plan;",
    "mpage/read.rs": "mod list;\nuse super::plan::Plan;\nuse crate::abstractions::{\n"
                     "    fs::Inode,\n    mm::{\n        self,\n        Folio, //\n"
                     "    }, //\n};\npub fn read() {}",
    "mpage/read/list.rs": "use super::{Folio, Plan};",
    "abi/mod.rs": "use crate::mpage;\nfn entry() { mpage::read() }",
}


class Layers(unittest.TestCase):
    def check(self, **changes):
        """What is wrong with the house if files end with more lines."""
        house = dict(_HOUSE)
        for name, text in changes.items():
            path = name.replace("__", "/") + ".rs"
            house[path] = house.get(path, "") + "\n" + text
        return layers.check(house)

    def test_clean(self):
        self.assertEqual(self.check(), [])

    def test_up(self):
        self.assertEqual(
            self.check(abstractions__mm__folio="use crate::mpage::read;"),
            ["abstractions/mm/folio.rs: points up, to read of mpage/read.rs",
             "a circle of files in several folders: "
             "abstractions/fs/inode.rs, abstractions/mm/folio.rs, mpage/read.rs"])

    def test_up_in_a_tree_of_names(self):
        found = self.check(abstractions__mm__folio="use crate::{\n    bindings,\n"
                                                   "    mpage::{self, read}, //\n};")
        self.assertIn("points up, to read of mpage/read.rs", "".join(found))

    def test_up_without_use(self):
        found = self.check(mpage__plan="fn f() { crate::abi::entry() }")
        self.assertIn("mpage/plan.rs: points up, to entry of abi/mod.rs", found)

    def test_up_by_a_module(self):
        found = self.check(mpage__plan="use crate::abi;\nfn f() { abi::get::block() }",
                           abi__mod="mod get;\npub(crate) use self::get::block;",
                           abi__get="use crate::mpage::plan::Plan;\npub fn block() {}")
        self.assertIn("mpage/plan.rs: points up, to block of abi/get.rs", found)
        self.assertIn("circle of files in several folders: abi/get.rs", found[-1])

    def test_up_in_a_module_of_the_file(self):
        found = self.check(mpage__plan="mod tests {\n    use super::Plan;\n"
                                       "    use super::super::super::abi::entry;\n}")
        self.assertIn("mpage/plan.rs: points up, to entry of abi/mod.rs", found)

    def test_up_by_another_name(self):
        found = self.check(bindings__mod="use crate::mm::Folio as Page;")
        self.assertIn("bindings/mod.rs: points up, to Folio of abstractions/mm/folio.rs",
                      found)

    def test_circle_of_folders(self):
        self.assertEqual(
            self.check(abstractions__mm__folio="use crate::abstractions::fs::Inode;"),
            ["a circle of files in several folders: "
             "abstractions/fs/inode.rs, abstractions/mm/folio.rs"])

    def test_circle_within_a_folder(self):
        self.assertEqual(self.check(mpage__plan="use super::read::read;"), [])

    def test_what_is_no_arrow(self):
        for text in ("// use crate::mpage::read;", 'print("crate::mpage::read");',
                     "mod tests {\n    use super::*;\n}", "use core::mpage::read;"):
            self.assertEqual(self.check(abstractions__mm__folio=text), [], text)


if __name__ == "__main__":
    unittest.main()
