# SPDX-License-Identifier: GPL-2.0
"""Kernels without an option, and what modules may need of them."""

import re
import unittest

from rmp.build import modules
from rmp.lint import options
from rmp.settings import TOP
from rmp.without import tests

_GUARD = re.compile(r"cfg!?\((?:not\()?CONFIG_(\w+)|^#if(?:n?def| \(?!?defined\(| \(?!?IS_ENABLED\()"
                    r" ?CONFIG_(\w+)", re.M)
# off in the lean kernel anyway, and on in another that is tested on
_NOT_LEAN = {"FAILSLAB", "FAULT_INJECTION", "KUNIT", "LOCKDEP", "SECURITY"}


def guarded(text):
    """The options that code is there with, or without."""
    return {first or second for first, second in _GUARD.findall(text)}


class Options(unittest.TestCase):
    def test_each_goes_with_what_wants_it(self):
        changed = tests.changed(["QUOTA", "MIGRATION"])
        self.assertEqual(set(changed.values()), {"n"})
        self.assertIn("CONFIG_QUOTA", changed)
        self.assertIn("CONFIG_COMPACTION", changed)
        self.assertNotIn("CONFIG_EXT4_FS", changed)
        self.assertIn("CONFIG_EXT4_FS", tests.changed(["FS_MBCACHE"]))

    def test_what_lint_takes_away_from_the_bindings_is_here(self):
        self.assertLessEqual(set(options.OFF), set(tests.OPTIONS))

    def test_what_guards(self):
        self.assertEqual(guarded("#[cfg(CONFIG_A)]\n    #[cfg(not(CONFIG_B))]\n#ifdef CONFIG_C\n"
                                 "#if IS_ENABLED(CONFIG_D)\n// CONFIG_E\n"
                                 "if cfg!(CONFIG_F) {"), set("ABCDF"))

    def test_what_the_code_asks_for_is_here(self):
        asked = {option for path in modules.sources(TOP) if path.endswith((".rs", ".c", ".h"))
                 for option in guarded((TOP / path).read_text(encoding="utf-8"))}
        self.assertLessEqual(asked - _NOT_LEAN - {"MODULES"},
                             set(tests.OPTIONS) | set(tests.ADDED))
        self.assertLessEqual(_NOT_LEAN | {"COMPAT"}, asked)

    def test_what_is_off_anyway_is_not_taken_away(self):
        config = {"CONFIG_A": "y", "CONFIG_B": "m", "CONFIG_C": "n"}
        self.assertEqual(tests.not_so(["A", "B"], config, True), [])
        self.assertEqual(tests.not_so(["A", "C", "D"], config, True),
                         ["C is off anyway", "D is off anyway"])
        self.assertEqual(tests.not_so(["B", "C", "D"], config, False), ["B is on anyway"])
        self.assertEqual(set(tests.added("COMPAT")), {"CONFIG_COMPAT", "CONFIG_IA32_EMULATION"})
        self.assertEqual(set(tests.OPTIONS) & set(tests.ADDED), set())

    def test_symbols_without_a_version(self):
        symvers = ("0x00000000\t_Ra\tm\tEXPORT_SYMBOL_GPL\t\n"
                   "0x1234abcd\t_Rb\tm\tEXPORT_SYMBOL_GPL\t\n")
        self.assertEqual(tests.without_version(symvers), ["_Ra"])

    def test_objects_of_arm64(self):
        head = bytearray(b"\x7fELF\2\1\1" + bytes(11) + b"\xb7\0")
        self.assertTrue(tests.of_arm64(head))
        head[18] = 0x3e
        self.assertFalse(tests.of_arm64(head))
        self.assertFalse(tests.of_arm64(b""))

    def test_what_is_needed_and_gone_is_missing(self):
        known = {"a", "b", "c"}
        self.assertEqual(tests.missing({"a", "b"}, known, {"c"}), [])
        self.assertEqual(tests.missing({"a", "c"}, known, {"c"}), ["c"])
        self.assertEqual(tests.missing({"d"}, known, set()), ["d"])


if __name__ == "__main__":
    unittest.main()
