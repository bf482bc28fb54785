# SPDX-License-Identifier: GPL-2.0
"""The checks of what nobody calls, and of what the README shows."""

import unittest
from unittest import mock

from rmp.lint import readme, unused

_LIBRARY = """
impl Folio {
    /// Not the same as `clear()`.
    pub fn fill(&self) {}
    pub const fn size(&self) -> u32 { 1 }
    pub unsafe fn take(&self) {}
    pub(crate) fn clear(&self) {}
}

#[kernel::macros::kunit_tests(rust_mpage_folio)]
mod tests {
    fn f() { folio.fill() }
}
"""


def _found(**callers):
    names = {"example": "Documentation/reading.rs", "ext2": "ext2/file.rs",
             "tests": "tests/seen.rs", "beside": "abstractions/mm/folio_tests.rs"}
    sources = {names[name]: text for name, text in callers.items()}
    return unused.complaints({"abstractions/mm/folio.rs": _LIBRARY, **sources})


class Unused(unittest.TestCase):
    def test_nobody(self):
        found = _found()
        self.assertEqual([line.split()[-1] for line in found],
                         ["fill()", "size()", "take()"])
        self.assertTrue(all(line.startswith("abstractions/mm/folio.rs: ") for line in found))

    def test_tests_and_comments_are_nobody(self):
        self.assertEqual(_found(tests="fill(); size(); take()", beside="folio.fill()",
                                ext2="// fill() size() take()\n"), _found())

    def test_somebody(self):
        self.assertEqual(_found(ext2="folio.fill(); Folio::size", example="folio.take()"), [])

    def test_another_of_that_name(self):
        self.assertEqual(len(_found(ext2="fn fill() {}")), 3)

    def test_wanted(self):
        with mock.patch.object(unused, "WANTED", frozenset(["fill", "size", "gone"])):
            found = _found(ext2="size(); take()")
        self.assertEqual(len(found), 2)
        self.assertTrue(all("wanted by nobody" in line for line in found))


class Readme(unittest.TestCase):
    def test_parts_of_examples(self):
        text = "Say:\n\n```rust\nfn f() {\n}\n```\n\n```sh\nmake\n```\n"
        self.assertEqual(readme.complaints(text, {"a.rs": "use b;\n\nfn f() {\n}\n"}), [])
        found = readme.complaints(text, {"a.rs": "fn f() {\n    1\n}\n"})
        self.assertEqual(found, ["README.md: in no example that is compiled: fn f() {"])


if __name__ == "__main__":
    unittest.main()
