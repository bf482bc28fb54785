# SPDX-License-Identifier: GPL-2.0
"""The check of what must not compile: what it takes from the compiler, and its verdict."""

import json
import unittest

from rmp.lint import refused

_FILE = """
// refused: E0308 mismatched types
#[cfg(refused = "other")]
fn other() {}

mod inner {
    // refused: E0277 the trait bound
    #[cfg(refused = "static_")]
    static X: u32 = 0;
}
"""


def _said(message, code, level="error", label=None, child=None):
    return json.dumps({
        "message": message, "level": level, "code": {"code": code} if code else None,
        "spans": [{"label": label}],
        "children": [{"message": child}] if child else []})


class Cases(unittest.TestCase):
    def test_cases(self):
        self.assertEqual(refused.cases(_FILE),
                         ([("other", "E0308", "mismatched types"),
                           ("static_", "E0277", "the trait bound")], []))

    def test_case_without_a_reason(self):
        found = refused.cases(_FILE.replace("// refused: E0308", "// E0308"))[1]
        self.assertEqual(found, ["other: nothing says what it is refused with"])

    def test_nothing(self):
        self.assertEqual(refused.cases("fn f() {}"), ([], ["no case"]))


class Verdict(unittest.TestCase):
    def test_errors(self):
        output = "\n".join(["noise", _said("unused", "", "warning"),
                            _said("mismatched types", "E0308", label="expected A"),
                            _said("aborting due to 1 previous error", None)])
        self.assertEqual(refused.errors(output), [("E0308", "mismatched types; expected A")])

    def test_refused(self):
        self.assertEqual(refused.judge("a", "E0308", "expected A",
                                       [("E0308", "mismatched types; expected A")]), [])

    def test_compiles(self):
        self.assertEqual(refused.judge("a", "E0308", "mismatched", []), ["a: compiles"])

    def test_another_reason(self):
        for said in (("E0433", "mismatched types"), ("E0308", "wrong number")):
            self.assertTrue(refused.judge("a", "E0308", "mismatched types", [said]), said)

    def test_more_than_the_reason(self):
        found = refused.judge("a", "E0308", "mismatched",
                              [("E0308", "mismatched types"), ("E0425", "not found")])
        self.assertEqual(len(found), 1)


if __name__ == "__main__":
    unittest.main()
