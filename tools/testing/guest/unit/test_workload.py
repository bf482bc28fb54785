# SPDX-License-Identifier: GPL-2.0
"""Workloads, and what is compared after them."""

import os
import pathlib
import sys
import tempfile
import types
import unittest

_GUEST = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_GUEST), str(_GUEST / "tests" / "lib"),
                str(_GUEST / "tests" / "lib" / "file_io")]
try:
    import compare
    import ops
    import workload
finally:
    del sys.path[:3]


class Workload(unittest.TestCase):
    def run_some(self, seed):
        """Operations of a workload of which all work."""
        work = workload.Workload(seed, 1024, workload.IOCTLS | workload.ATTRIBUTES)
        found = []
        for _ in range(400):
            op = work.next()
            found.append(op)
            work.done(op, 100)
        return found

    def test_a_seed_is_a_workload(self):
        self.assertEqual(self.run_some(5), self.run_some(5))
        self.assertNotEqual(self.run_some(5), self.run_some(6))

    def test_every_operation_can_be_done(self):
        wide = ("sync", "drop_caches", "remount", "mount_again", "compare")
        for seed in range(20):
            for op in self.run_some(seed):
                self.assertTrue(op[0] in wide or hasattr(ops.Actor, "op_" + op[0]), op)
                if op[0] not in wide:
                    ops.paths_of(op)

    def test_answers_and_errors(self):
        with tempfile.TemporaryDirectory() as root:
            actor = ops.Actor(root)
            self.assertEqual(actor.do(("create", "f", 0o644)), (None, 0))
            self.assertEqual(actor.do(("create", "f", 0o644)), (None, "EEXIST"))
            self.assertEqual(actor.do(("write", "f", 10, 100, 1)), (100, 0))
            self.assertEqual(actor.do(("read", "f", 0, 200))[0][0], 110)
            self.assertEqual(actor.do(("rename", "f", "g")), (None, 0))
            self.assertEqual(os.listdir(root), ["g"])


class Compare(unittest.TestCase):
    def stats(self, **changes):
        fields = {"st_mode": 0o100644, "st_nlink": 1, "st_uid": 0, "st_gid": 0,
                  "st_size": 5, "st_blocks": 2, "st_blksize": 4096,
                  "st_mtime_ns": 10**9, "st_ctime_ns": 10**9, "st_atime_ns": 10**9}
        return types.SimpleNamespace(**(fields | changes))

    def test_fields_and_times(self):
        one = self.stats()
        self.assertEqual(compare.stats_differ(one, self.stats(), 1), {})
        self.assertEqual(compare.stats_differ(one, self.stats(st_size=6), 1),
                         {"size": (5, 6)})
        late = self.stats(st_mtime_ns=5 * 10**9)
        self.assertEqual(compare.stats_differ(one, late, 4), {})
        self.assertEqual(list(compare.stats_differ(one, late, 3)), ["mtime"])


if __name__ == "__main__":
    unittest.main()
