# SPDX-License-Identifier: GPL-2.0
"""Results of KUnit suites, read by the kernel's own parser.

The kernel's tools/testing/kunit reads one KTAP document at a time; each suite's
results file in debugfs is one, and the guest brings them back as files.
"""

import importlib
import sys

from .. import ui


def _parser(source):
    folder = str(source / "tools" / "testing" / "kunit")
    sys.path.insert(0, folder)
    try:
        return (importlib.import_module("kunit_parser"),
                importlib.import_module("kunit_printer").null_printer)
    except ImportError as error:
        raise ui.Fail(f"{folder}: the kernel's KUnit tool is not there: {error}") \
            from error
    finally:
        sys.path.remove(folder)


def _leaves(test, prefix):
    """(name, test) of every test case; a parametrised one counts as one."""
    for child in test.subtests:
        name = f"{prefix}.{child.name}" if prefix else child.name
        if prefix or not child.subtests:
            yield name, child
        else:
            yield from _leaves(child, name)


def read(source, folder):
    """[(name, status, message)] of all *.ktap files of a directory.

    A file that holds no test, or that breaks off, is a failure of its own.
    """
    if not folder.is_dir():
        return []
    parser, quiet = _parser(source)
    results = []
    for file in sorted(folder.glob("*.ktap")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        top = parser.parse_run_tests(lines, quiet)
        cases = list(_leaves(top, ""))
        if not cases or top.counts.errors or top.counts.crashed:
            results.append((file.stem, "fail", "its results break off:\n" +
                            "\n".join(lines[-10:])))
        for name, case in cases:
            if case.status == parser.TestStatus.SUCCESS:
                results.append((name, "pass", ""))
            elif case.status == parser.TestStatus.SKIPPED:
                results.append((name, "skip", case.skip_reason))
            elif case.status != parser.TestStatus.TEST_CRASHED:
                results.append((name, "fail", "\n".join(case.log)))
    return results
