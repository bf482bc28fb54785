#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Check that every test that Documentation/parity.rst names exists, and that it names
every case that must not compile.

A test is named as it reports itself: ``suite.test`` for a KUnit test,
``file.test`` for an end-to-end test, ``room.test`` for one that has kernels of its own,
``file.class.test`` for one of the host, and
``refused.name`` for what does not compile (tests/refused/). A row that is claimed must
name one, and no two rows have one identifier.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "Documentation" / "parity.rst"


def kunit_tests():
    """`suite.test` of every KUnit test in the tree."""
    for path in ROOT.rglob("*.rs"):
        text = path.read_text(encoding="utf-8")
        suites = [(m.start(), m[1]) for m in re.finditer(r"kunit_tests\((\w+)\)", text)]
        for match in re.finditer(r"#\[test\]\s*(?:#\[[^]]*\]\s*)*fn\s+(\w+)", text):
            before = [name for start, name in suites if start < match.start()]
            if before:
                yield f"{before[-1]}.{match[1]}"


def kunit_tests_in_c():
    """The same of the suites in C, one to a file."""
    for path in (ROOT / "tests").rglob("*.c"):
        text = path.read_text(encoding="utf-8")
        suite = re.search(r"struct kunit_suite \w+ = {\s*\.name\s*= \"(\w+)\"", text)
        for name in re.findall(r"KUNIT_CASE\w*\((\w+)", text) if suite else ():
            yield f"{suite[1]}.{name}"


def guest_tests():
    """`file.test` of every end-to-end test."""
    for path in (ROOT / "tools/testing/guest/tests").rglob("test_*.py"):
        for name in re.findall(r"^def test_(\w+)\(", path.read_text(encoding="utf-8"), re.M):
            yield f"{path.stem[5:]}.{name}"


def host_tests():
    """`file.test` of the end-to-end tests that have a guest of their own."""
    for path in (ROOT / "tools/testing/rmp").rglob("*.py"):
        yield from re.findall(r'^NAME = "(\w+\.\w+)"', path.read_text(encoding="utf-8"), re.M)


def own_kernels():
    """`room.test` of the tests that have kernels of their own, which rooms of the host's
    tool make up the names of."""
    sys.path.insert(0, str(ROOT / "tools/testing"))
    # pylint: disable=import-outside-toplevel
    from rmp.debian import tests as debian
    from rmp.series import kunit, older, tests as inkernel
    from rmp.without import tests as without
    yield from (test.NAME for test in debian.ALL)
    for names in (inkernel.ALL, kunit.NAMES, older.NAMES, without.NAMES):
        yield from names


def unit_tests():
    """`file.class.test` of every test of the host tool, and of what runs in guests."""
    for folder in ("rmp", "guest/unit"):
        for path in (ROOT / "tools/testing" / folder).rglob("test_*.py"):
            for part in re.split(r"^class ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
                name = re.match(r"\w+", part)[0]
                for test in re.findall(r"^    def (test_\w+)\(", part, re.M):
                    yield f"{path.stem}.{name}.{test}"


def refused_cases():
    """`refused.name` of every misuse that the compiler refuses in `make lint`."""
    for path in (ROOT / "tests/refused").glob("*.rs"):
        for name in re.findall(r'refused = "(\w+)"', path.read_text(encoding="utf-8")):
            yield f"refused.{name}"


def rows():
    """(identifier, state, tests) of each row of the document's tables."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for chunk in re.split(r"^   \* - ", text, flags=re.M)[1:]:
        cells = [" ".join(cell.split()) for cell in re.split(r"^     - ", chunk, flags=re.M)]
        if len(cells) >= 4 and re.fullmatch(r"[A-Z]\d+", cells[0]):
            yield cells[0], cells[2], re.findall(r"``(\w+(?:\.\w+)+)``", cells[3])


def main():
    refused = set(refused_cases())
    known = {*kunit_tests(), *kunit_tests_in_c(), *guest_tests(), *host_tests(),
             *own_kernels(), *unit_tests(), *refused}
    named = set()
    bad = 0
    seen = set()
    for identifier, state, tests in rows():
        if identifier in seen:
            print(f"parity.rst: {identifier}: there are two rows of it", file=sys.stderr)
            bad += 1
        seen.add(identifier)
        missing = [test for test in tests if test not in known]
        for test in missing:
            print(f"parity.rst: {identifier}: there is no test {test}", file=sys.stderr)
        if state.startswith("done") and not tests:
            print(f"parity.rst: {identifier}: claimed, but no test is named", file=sys.stderr)
            bad += 1
        bad += len(missing)
        named.update(tests)
    # A type that refuses something is a promise to who writes a filesystem.
    for case in sorted(refused - named):
        print(f"parity.rst: no row names {case}", file=sys.stderr)
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
