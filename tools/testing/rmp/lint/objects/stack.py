# SPDX-License-Identifier: GPL-2.0
"""How much a function has on the stack, which has 16 KiB: not more than the kernel lets one in C
have (CONFIG_FRAME_WARN), of which rustc knows nothing. In the checked kernel's objects, where all
is larger than elsewhere.

A value that is moved may be there once for each move, and what is inlined has its own beside that
of its callers: who is named here has large values on the heap, or steps that are not inlined.

Leaves out: what is in no object of its own; how deep calls are.
"""

import re
import subprocess

OBJECTS = ("rust_mpage.o", "ext2/rust_ext2.o")
MOST = 2048  # bytes
MOST_OF_A_TEST = 4096  # nothing is called by one that waits for a device
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_TAKES = re.compile(r"\tsubq\t\$(0x[0-9a-f]+), %rsp$")
_IS_TEST = re.compile(r"\dtests|kunit|\dtest_|_test")


def frames(disassembly):
    """{name: bytes} of the functions that `objdump -d` shows, of x86_64."""
    found, name = {}, ""
    for line in disassembly.splitlines():
        if match := _FUNCTION.match(line):
            name = match[1]
        elif match := _TAKES.search(line):
            found[name] = max(found.get(name, 0), int(match[1], 16))
    return found


def check(found):
    """What is wrong with {name: bytes}."""
    return [f"{name} has {size} bytes on the stack, and may have {most}"
            for name, size in found.items()
            if size > (most := MOST_OF_A_TEST if _IS_TEST.search(name) else MOST)]


def complaints(objects, chain):
    """The same of the objects of a build."""
    program = chain.tool("llvm-objdump") or "objdump"
    found = []
    for path in OBJECTS:
        text = subprocess.run(
            [program, "-d", "--no-show-raw-insn", objects / path], stdin=subprocess.DEVNULL,
            check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
        sizes = frames(text)
        found += [f"{path}: {text}" for text in check(sizes)]
        if not sizes:
            found.append(f"{path}: no function has anything on the stack")
    return found
