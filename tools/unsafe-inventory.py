#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""List the hand-written unsafe of the tree, or check that the list is true.

    unsafe-inventory.py            print the table
    unsafe-inventory.py --write    put it into Documentation/unsafe.rst
    unsafe-inventory.py --check    fail if the document says something else, or
                                   if there is unsafe where none may be
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "Documentation" / "unsafe.rst"
ALLOWED = ("bindings/", "compat/", "abstractions/", "abi/", "tests/support")
START = ".. inventory: start\n"
END = ".. inventory: end\n"
KINDS = {
    "blocks": re.compile(r"\bunsafe\s*\{"),
    "functions": re.compile(r"\bunsafe\s+(?:extern\s+\"C\"\s+)?fn\s+\w"),
    "impls and traits": re.compile(r"\bunsafe\s+(?:impl|trait)\b"),
}


def sources():
    """The Rust files of the tree, without what was built."""
    for path in sorted(ROOT.rglob("*.rs")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(("doc/", ".")) and "_generated" not in name:
            yield name, path


def code(path):
    """A file without comments and strings."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', lambda m: '"C"' if m[0] == '"C"' else '""', text)
    return re.sub(r"//[^\n]*", "", text)


def table():
    """The table's text, and the files that may not have unsafe but do."""
    rows, wrong = [], []
    totals = [0] * len(KINDS)
    for name, path in sources():
        counts = [len(kind.findall(code(path))) for kind in KINDS.values()]
        if not any(counts):
            continue
        if not name.startswith(ALLOWED):
            wrong.append(name)
        rows.append((name, *counts))
        totals = [a + b for a, b in zip(totals, counts)]
    rows.append(("total", *totals))
    head = ("file", *KINDS)
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    rule = "  ".join("=" * width for width in widths)

    def line(row):
        cells = [str(row[0]).ljust(widths[0])]
        cells += [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        return "  ".join(cells).rstrip()

    lines = [rule, line(head), rule, *map(line, rows), rule]
    return "\n" + "\n".join(lines) + "\n\n", wrong


def main():
    text, wrong = table()
    if "--write" not in sys.argv and "--check" not in sys.argv:
        print(text.strip())
        return 0
    document = DOCUMENT.read_text(encoding="utf-8")
    before, rest = document.split(START)
    listed, after = rest.split(END)
    if "--write" in sys.argv:
        DOCUMENT.write_text(before + START + text + END + after, encoding="utf-8")
        return 0
    for name in wrong:
        print(f"{name}: unsafe outside {', '.join(ALLOWED)}", file=sys.stderr)
    if listed != text:
        print(f"{DOCUMENT.relative_to(ROOT)} is out of date: "
              f"run tools/unsafe-inventory.py --write and read the change",
              file=sys.stderr)
    return 1 if wrong or listed != text else 0


if __name__ == "__main__":
    sys.exit(main())
