# SPDX-License-Identifier: GPL-2.0
"""The check of the livepatch's object: what it must not let through."""

import unittest

from rmp.lint.objects import siblings

_GOOD = """
x.ko:	file format elf64-x86-64

Disassembly of section .init.text:

0000000000000000 <init_module>:
       0:      	jmp	0x5 <init_module+0x5>
		0000000000000001:  R_X86_64_PLT32	klp_enable_patch-0x4

Disassembly of section .text:

0000000000000010 <livepatch_read_folio>:
      10:      	endbr64
      14:      	testq	%rdi, %rdi
      17:      	je	0x1e <livepatch_read_folio+0xe>
      19:      	callq	0x1e <livepatch_read_folio+0xe>
		000000000000001a:  R_X86_64_PLT32	rust_mpage_read_folio-0x4
      1e:      	jmp	0x23 <livepatch_read_folio+0x13>
		000000000000001f:  R_X86_64_PLT32	__x86_return_thunk-0x4
"""
_DATA = """
RELOCATION RECORDS FOR [.data]:
OFFSET           TYPE                     VALUE
0000000000000328 R_X86_64_64              .text+0x10
"""


class Object(unittest.TestCase):
    def test_good(self):
        self.assertEqual(siblings.check(_GOOD, _DATA), [])

    def test_sibling_call(self):
        bad = _GOOD.replace("__x86_return_thunk", "rust_mpage_read_folio")
        self.assertIn("sibling", siblings.check(bad, _DATA)[0])

    def test_jump_within_the_object(self):
        bad = _GOOD.replace("jmp\t0x23 <livepatch_read_folio+0x13>\n"
                            "\t\t000000000000001f:  R_X86_64_PLT32\t__x86_return_thunk-0x4",
                            "jmp\t0x80 <other>")
        self.assertEqual(siblings.check(bad, _DATA),
                         ["livepatch_read_folio: a sibling call of other"])

    def test_through_a_pointer(self):
        bad = _GOOD + "      23:      	jmpq	*%rax\n"
        self.assertIn("pointer", siblings.check(bad, _DATA)[0])

    def test_the_library_itself(self):
        data = _DATA.replace(".text+0x10", "__rust_mpage_writepages")
        self.assertIn("__rust_mpage_writepages", siblings.check(_GOOD, data)[0])

    def test_nothing_at_all(self):
        self.assertTrue(siblings.check("", ""))


if __name__ == "__main__":
    unittest.main()
