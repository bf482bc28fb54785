# SPDX-License-Identifier: GPL-2.0
"""Kernel logs: what is a complaint, and whose."""

import re
import unittest

from rmp.guest import logscan


def scan(text, allowed=None):
    found = logscan.scan(text.strip("\n").splitlines(), allowed)
    return [(complaint.test, complaint.lines[0]) for complaint in found]


class LogScan(unittest.TestCase):
    def test_complaint_belongs_to_the_test_that_runs(self):
        log = """
[    1.000000] rust_mpage_test: start a.one timeout=120
[    1.100000] rust_mpage_test: end a.one pass
[    1.200000][  T12] rust_mpage_test: start a.two timeout=120
[    1.300000][  T12] BUG: KASAN: slab-use-after-free in foo+0x1/0x2
[    1.400000][  T12] Call Trace:
[    1.500000][  T12] rust_mpage_test: end a.two pass
"""
        self.assertEqual(
            scan(log), [("a.two", "BUG: KASAN: slab-use-after-free in foo+0x1/0x2")])

    def test_before_the_first_marker_it_is_the_boot(self):
        self.assertEqual(scan("WARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2"),
                         [("boot", "WARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2")])

    def test_after_a_test_it_is_still_that_test(self):
        log = """
rust_mpage_test: start a.one timeout=1
rust_mpage_test: end a.one pass
INFO: task kworker/1:1 blocked for more than 120 seconds.
"""
        self.assertEqual([test for test, _ in scan(log)], ["a.one"])

    def test_allowed_lines_are_those_of_their_own_test(self):
        log = """
rust_mpage_test: start a.one timeout=1
WARNING: expected
rust_mpage_test: start a.two timeout=1
WARNING: expected
"""
        found = scan(log, {"a.one": ["expected"]})
        self.assertEqual(found, [("a.two", "WARNING: expected")])

    def test_promise_that_is_forgotten_is_one(self):
        for text in ("rust_ext2 (vdb): error: 3 blocks are promised to nobody, which is a bug",
                     "rust_ext2 (vdb): error: inode 12 goes, and 3 blocks are promised to it",
                     "rust_ext2 (vdb): error: 3 promised blocks have come back twice",
                     "rust_ext2 (vdb): error: free blocks are counted as 7, and 8 in the groups"):
            self.assertEqual(scan(text), [("boot", text)])

    def test_what_the_driver_says_of_its_counts_cannot_be_allowed(self):
        for said in ("3 blocks are promised to nobody, which is a bug of the driver",
                     "inode 12 goes, and 3 blocks are promised to it, which is a bug of the driver",
                     "3 promised blocks have come back twice, which is a bug of the driver",
                     "free blocks are counted as 7, and 8 in the groups, which is a bug of the "
                     "driver"):
            text = "rust_ext2 (vdb): error: " + said
            log = f"""
rust_mpage_test: start a.one timeout=1
rust_ext2 (vdb): error: cannot read the bitmap of group 1 in block 5
WARNING: I/O error
{text}
rust_mpage_test: end a.one pass
"""
            for regex in ("rust_ext2 .*error", "I/O error|error: ", ".", re.escape(text)):
                with self.subTest(said, regex=regex):
                    self.assertEqual(scan(log, {"a.one": [regex, "WARNING"]}), [("a.one", text)])

    def test_kunit_case_gets_its_own_complaint(self):
        log = """
rust_mpage_test: start load.rust_mpage
    KTAP version 1
    # Subtest: rust_mpage_read
    ok 1 first
WARNING: possible circular locking dependency detected
  more
    ok 2 second
ok 1 rust_mpage_read
rust_mpage_test: end load.rust_mpage
"""
        self.assertEqual([test for test, _ in scan(log)], ["rust_mpage_read.second"])

    def test_ordinary_lines_are_none(self):
        log = """
Spectre V2 : WARNING: Unprivileged eBPF is enabled
clocksource: Marking clocksource 'tsc' as unstable
loop0: detected capacity change from 0 to 16384
rust_ext2: vda: bad superblock: the magic is 0x1234
"""
        self.assertEqual(scan(log), [])

    def test_every_detector_is_heard(self):
        for line in (
            "Oops: general protection fault, probably for non-canonical address",
            "kernel BUG at fs/buffer.c:1!",
            "UBSAN: shift-out-of-bounds in fs/x.c:1:2",
            "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
            "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
            "BUG: sleeping function called from invalid context at x.c:1",
            "rust_kernel: panicked at mpage/read.rs:1:1:",
            "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "refcount_t: underflow; use-after-free.",
            "list_del corruption, ffff->next is LIST_POISON1",
            "BUG: Bad page state in process python3  pfn:1",
            "Kernel panic - not syncing: x",
        ):
            self.assertEqual(len(scan(line)), 1, line)
