# SPDX-License-Identifier: GPL-2.0
"""The check of what functions have on the stack: what it must not let through."""

import unittest

from rmp.lint.objects import stack

_CODE = """
0000000000000010 <_RNv4ext26rename>:
      10:      \tsubq\t$0x10, %rax
      14:      \tsubq\t$0x{:x}, %rsp
      1b:      \tcallq\t0x20 <f>
      20:      \tsubq\t$0x8, %rsp
0000000000000030 <f>:
      30:      \tretq
"""


class Frames(unittest.TestCase):
    def test_what_is_taken_from_the_stack(self):
        self.assertEqual(stack.frames(_CODE.format(3720)), {"_RNv4ext26rename": 3720})

    def test_what_is_too_much(self):
        self.assertEqual(stack.check({"f": stack.MOST}), [])
        self.assertIn("may have 2048", stack.check({"f": stack.MOST + 8})[0])

    def test_a_test_may_have_more(self):
        name = "_RNvNtNt5order11model_tests5tests9at_random"
        self.assertEqual(stack.check({name: stack.MOST_OF_A_TEST}), [])
        self.assertEqual(len(stack.check({name: stack.MOST_OF_A_TEST + 8})), 1)


if __name__ == "__main__":
    unittest.main()
