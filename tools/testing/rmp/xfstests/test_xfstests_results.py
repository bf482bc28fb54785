# SPDX-License-Identifier: GPL-2.0
"""What `check` says, read at each of its bytes."""

import unittest

from rmp.xfstests import results
from rmp.xfstests.results import FAIL, NOT_RUN, PASS, Said

NAMES = [f"generic/{number:03}" for number in range(1, 9)]
HEAD = """FSTYP         -- ext2
PLATFORM      -- Linux/x86_64 rust-mpage 7.3.4
MKFS_OPTIONS  -- -F -b 4096 /dev/vdb

"""
TEXT = HEAD + """generic/001         12s
generic/002        7s ...  8s
generic/003        [not run] this test requires
 a machine with two moons
generic/004        [failed, exit status 1]- output mismatch (see /run/004.out.bad)
    --- tests/generic/004.out
    +++ /run/004.out.bad
    -generic/005 is fine in 5s
    +took 15s
    ...
    (Run 'diff -u tests/generic/004.out /run/004.out.bad'  to see the entire diff)
generic/005       _check_generic_filesystem: filesystem on /dev/vdb is inconsistent
(see /run/results/generic/005.full for details)

generic/006        5s
generic/007        [expunged]
"""
SUMMARY = """Ran: generic/001 generic/002 generic/003 generic/004 generic/005 generic/006
Not run: generic/003
Failures: generic/004 generic/005
Failed 2 of 6 tests

"""


class Reading(unittest.TestCase):
    def status(self, text):
        return {name[-1]: result.status for name, result in Said(text, NAMES).results.items()}

    def test_all(self):
        said = Said(TEXT + SUMMARY, NAMES)
        self.assertEqual(self.status(TEXT + SUMMARY), {
            "1": PASS, "2": PASS, "3": NOT_RUN, "4": FAIL, "5": FAIL, "6": PASS,
            "7": NOT_RUN})
        self.assertTrue(said.complete)
        self.assertEqual(said.running, "")
        self.assertEqual([said.results[f"generic/00{n}"].seconds for n in (1, 2, 6)],
                         [12, 8, 5])
        self.assertEqual(said.results["generic/003"].why,
                         "this test requires a machine with two moons")
        self.assertIn("+took 15s", said.results["generic/004"].why)
        self.assertIn("inconsistent", said.results["generic/005"].why)

    def test_cut_anywhere(self):
        """Whatever has been said, a test that is not over has no result but its own."""
        final = self.status(TEXT + SUMMARY)
        begin = len(HEAD)
        for end in range(begin, len(TEXT) + 1):
            said = Said(TEXT[:end], NAMES)
            for name, status in self.status(TEXT[:end]).items():
                self.assertEqual(status, final[name], TEXT[begin:end])
            self.assertFalse(said.complete)
            self.assertNotIn(said.running, said.results)

    def test_the_one_that_runs(self):
        for text, running in (
                ("", ""), (HEAD, ""), (HEAD + "generic/001       ", "generic/001"),
                (HEAD + "generic/001        3s ... ", "generic/001"),
                (HEAD + "generic/001        3s\n", ""),
                (HEAD + "generic/001        mount: a warning\n", "generic/001"),
                (HEAD + "generic/001        3s\ngeneric/002       ", "generic/002")):
            self.assertEqual(Said(text, NAMES).running, running, text)

    def test_the_summary_is_believed(self):
        text = HEAD + "generic/001        1s\ngeneric/002        1s\n" \
            "Ran: generic/001 generic/002\nFailures: generic/002\nFailed 1 of 2 tests\n"
        self.assertEqual(self.status(text), {"1": PASS, "2": FAIL})

    def test_a_name_in_the_middle(self):
        self.assertEqual(self.status(HEAD + "see generic/001 and\n generic/002 5s\n"), {})

    def test_judged(self):
        for text, status in (("5s", PASS), ("3s ... 5s", PASS), ("a warning\n 5s", PASS),
                             ("3s ...", FAIL), ("- output mismatch\n 5s", FAIL),
                             ("", FAIL), ("[not run] no", NOT_RUN),
                             ("- no such test?", NOT_RUN)):
            self.assertEqual(results.judge(text).status, status, text)


if __name__ == "__main__":
    unittest.main()
