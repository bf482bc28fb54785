# SPDX-License-Identifier: GPL-2.0
"""Whether the functions of the livepatch are on the stack while they run.

The kernel lets a livepatch go when no task has one of its functions on the stack.
So what is put in place of a kernel function has to be a function of the livepatch
itself, which calls the library and comes back: a sibling call, a jump at its end,
leaves nothing on the stack, and the library may be unloaded under a task that sleeps
in it. What the compiler has made of it is in the object only.

Leaves out: the rest of what a livepatch must be; objtool looks at that.
"""

import re
import subprocess

OBJECT = "livepatch/rust_mpage_livepatch.ko"
_LIBRARY = re.compile(r"(__)?rust_mpage_\w+")
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_RELOCATION = re.compile(r"^\s*[0-9a-f]+:\s+R_\w+\s+(\S+?)(?:[-+]0x[0-9a-f]+)?$")
_INSTRUCTION = re.compile(r"^\s*[0-9a-f]+:\s+(\S+)\s*(.*)$")
_TARGET = re.compile(r"<([^>+]+)(?:\+0x[0-9a-f]+)?>")
_RETURN = "__x86_return_thunk"


def functions(disassembly):
    """{name: [(mnemonic, symbol or "")]} of what `objdump -dr` says of .text; the
    symbol is the one that an instruction refers to."""
    found, current = {}, None
    section = ""
    for line in disassembly.splitlines():
        if line.startswith("Disassembly of section"):
            section = line.split()[-1].rstrip(":")
            current = None
        elif match := _FUNCTION.match(line):
            current = found.setdefault(match[1], []) if section == ".text" else None
        elif current is None:
            continue
        elif match := _RELOCATION.match(line):
            if current:
                current[-1] = (current[-1][0], match[1])
        elif match := _INSTRUCTION.match(line):
            target = _TARGET.search(match[2])
            current.append((match[1], target[1] if target else ""))
    return found


def _leaves(name, mnemonic, symbol):
    """Whether an instruction goes away for good, other than by returning."""
    if not (mnemonic.startswith("j") or mnemonic in ("b", "br")):
        return False
    return symbol not in (name, _RETURN)


def _data(relocations):
    """The symbols that .data refers to, where the table of the functions is."""
    section = ""
    for line in relocations.splitlines():
        if line.startswith("RELOCATION RECORDS FOR"):
            section = line
        elif "[.data]" in section and line:
            yield line.split()[-1]


def check(disassembly, relocations):
    """What is wrong with the object, by `objdump -dr` and `objdump -r` of it."""
    found = [f"{name} of the library itself is patched in"
             for name in _data(relocations) if _LIBRARY.match(name)]
    calls = 0
    for name, code in functions(disassembly).items():
        for mnemonic, symbol in code:
            if _leaves(name, mnemonic, symbol):
                found.append(f"{name}: a sibling call of {symbol or 'a pointer'}")
            calls += mnemonic.startswith(("call", "bl")) and bool(
                _LIBRARY.match(symbol))
    if not calls:
        found.append("no function that calls the library")
    return found


def complaints(objects, chain):
    """The same of a build's object, by its name."""
    path = objects / OBJECT
    if not path.exists():
        return [f"{OBJECT}: not built, the kernel has no CONFIG_LIVEPATCH"]
    program = chain.tool("llvm-objdump") or "objdump"

    def dump(*words):
        return subprocess.run(
            [program, *words, path], stdin=subprocess.DEVNULL, check=True,
            stdout=subprocess.PIPE, encoding="utf-8").stdout

    code = dump("-dr", "--no-show-raw-insn")
    return [f"{OBJECT}: {text}" for text in check(code, dump("-r"))]
