# SPDX-License-Identifier: GPL-2.0
"""How long the names of functions are: the kernel's objtool puts a prefix before each, and has
512 bytes for that. A longer one is a warning in every build with padding in front of functions.

Rust's names have the types in them that a function is made for, and a chain of iterators is one
type with all of them in it: who is named here has an iterator with a name of its own.

Leaves out: other objects than those that `stack` looks at.
"""

import subprocess

from rmp.lint.objects import stack

MOST = 512 - len("__pfx_") - 1  # C's strings end with a byte
_SHOWN = 60


def check(names):
    """What is wrong with names of functions."""
    return [f"{name[:_SHOWN]}... has a name of {len(name)} bytes, and may have {MOST}"
            for name in names if len(name) > MOST]


def complaints(objects, chain):
    """The same of the objects of a build."""
    program = chain.tool("llvm-nm") or "nm"
    found = []
    for path in stack.OBJECTS:
        text = subprocess.run(
            [program, "--format=just-symbols", objects / path], stdin=subprocess.DEVNULL,
            check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
        names = text.split()
        found += [f"{path}: {text}" for text in check(names)]
        if not any(name.startswith("_R") for name in names):
            found.append(f"{path}: no function of Rust has a name")
    return found
