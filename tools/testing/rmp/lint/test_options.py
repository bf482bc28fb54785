# SPDX-License-Identifier: GPL-2.0
"""What code asks of the bindings where the kernel is configured otherwise."""

import unittest

from rmp.lint import options

CODE = """
    a: Some(bindings::always),
    #[cfg(CONFIG_MIGRATION)]
    b: Some(bindings::with_migration),
    #[cfg(CONFIG_KUNIT)]
    c: Some(bindings::with_kunit),
    d: bindings::SOME_CONSTANT + bindings::an_enum_WITH_A_VALUE,
    e: bindings::always,
"""


class Options(unittest.TestCase):
    def test_what_an_option_guards_is_not_used_without_it(self):
        self.assertEqual(options.used(CODE), {"always", "with_kunit"})

    def test_they_are_off_in_what_is_guarded(self):
        for option in options.OFF:
            self.assertEqual(options.used(f"#[cfg(CONFIG_{option})]\nbindings::x;\n"),
                             set())


if __name__ == "__main__":
    unittest.main()
