# SPDX-License-Identifier: GPL-2.0
"""Rules for the Rust code that meets C, which no compiler knows.

A reference to a C structure says that nobody else changes it, which is so for hardly
any of them: a buffer_head is marked dirty by a store to a mapped page while its folio
is locked by somebody else. So there are raw pointers, and types that wrap an
`Opaque`; and bits that others change, too, are changed by the kernel's atomic helpers
and not by a load, an or and a store.

Leaves out: references that a macro makes, and slices.
"""

import re

PLACES = ("abi/", "abstractions/", "bindings/", "compat/", "tests/support")
_CAST = re.compile(r"^[^;,{}]*\.cast(?:\(\)|::<)")
_REBORROW = re.compile(r"&\s*(?:mut\s+)?(?:\*|\(\s*\*)(?=\s*[\w(])")
_POINTER = re.compile(r"unsafe\s*\{\s*(?:self\s*\.\s*)?\w+\s*\.\s*as_(?:ref|mut)\(\)")
_SHARED_BITS = re.compile(
    r"\.(?:b_state|i_state|i_flags|s_flags|__state|f)\s*(?:[|&^]=|=(?!=))")


def _code(text):
    """The text without comments and strings, line by line the same."""
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', text)
    return re.sub(r"//[^\n]*", "", text)


def check(text):
    """[(line, what is wrong)] of a file."""
    code = _code(text)
    found = []
    for match in _REBORROW.finditer(code):
        before = code[:match.start()].rstrip()
        # "a & *b" is no reference; "&&" is an operator, too
        if re.search(r"[\w)\]&]$", before) and not re.search(
                r"\b(?:return|in|match|if)$", before):
            continue
        if not _CAST.match(code[match.start():]):
            found.append((match.start(), "a reference to what a raw pointer leads to, "
                                         "and no cast to a type that wraps it"))
    found += [(match.start(), "a reference to what a raw pointer leads to")
              for match in _POINTER.finditer(code)]
    found += [(match.start(), "bits that others change, too, changed in several steps")
              for match in _SHARED_BITS.finditer(code)]
    return [(code.count("\n", 0, at) + 1, what) for at, what in sorted(found)]


def complaints(top, paths):
    """The same of all files where C is met."""
    found = []
    for path in paths:
        if path.endswith(".rs") and path.startswith(PLACES):
            text = (top / path).read_text(encoding="utf-8")
            found += [f"{path}:{line}: {what}" for line, what in check(text)]
    return found
