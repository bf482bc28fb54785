# SPDX-License-Identifier: GPL-2.0
"""The benchmark's host side: its plan, its arithmetic, its pictures."""

import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

from rmp import ui
from rmp.bench import bench, delayed, plan, profile, report, subset, svg

C, RUST = plan.C_EXT2, plan.RUST_EXT2


def record(name, column, cost, units=10, **counters):
    return {"fs": name, "cell": column, "ns": cost * units, "units": units,
            "counters": counters}


def library(bios):
    return {"bios": bios, "bytes": bios * 8192, "mapper_calls": 3, "folios": 5}


class Plan(unittest.TestCase):
    def test_every_column_has_a_cell(self):
        made = {name for cell in plan.READ_CELLS + plan.WRITE_CELLS
                for name in cell["names"].values()}
        self.assertEqual(made, {name for name, _, _ in plan.COLUMNS})

    def test_what_is_read_is_made(self):
        for group in plan.groups("/ours", "/on_rust"):
            made = {words[1] for words in plan.MAKE + group["make"]}
            self.assertLessEqual({cell["run"][1] for cell in plan.READ_CELLS},
                                 made)

    def test_growth_fits_the_device(self):
        job = plan.growth()
        self.assertGreater(job["device_mib"], sum(plan.GROWTH_MIB))

    def test_the_largest_file_is_twice_the_memory_for_it(self):
        job, memory = bench.jobs_of_all()["twice"]
        left = int(memory.removesuffix("M")) - job["device_mib"]
        self.assertGreater(left, 0)
        for cell in job["write"] + [{"run": words} for words in job["make"]]:
            self.assertGreaterEqual(cell["run"][2], 2 * left)

    def test_what_is_needed_comes_before(self):
        for job, _ in bench.jobs_of_all().values():
            before = set()
            for cell in job["read"] + job["write"]:
                self.assertLessEqual(set(cell["needs"]), before)
                before.update(cell["names"].values())

    def test_who_uses_what_a_cell_made_needs_it(self):
        """Asked for alone (CELLS=, PROFILE=), too: else what is measured is making it."""
        for job, _ in bench.jobs_of_all().values():
            makers = {}
            for cell in job["write"]:
                program, path = cell["run"][:2]
                before = makers.setdefault(path, set())
                if before and program != "write":  # which makes it anew
                    self.assertTrue(before.intersection(cell["needs"]), cell["run"])
                before.update(cell["names"].values())

    def test_every_filesystem_is_in_a_group(self):
        names = [member["name"] for group in plan.groups("/a", "/b")
                 for member in group["members"]]
        self.assertEqual(sorted(names), sorted(plan.FILESYSTEMS))


class Report(unittest.TestCase):
    def cells(self, *records):
        return report.cells(records)

    def test_cost_is_per_unit(self):
        cells = self.cells(record(C, "warm", 1400, 7), {"extents": [1, 2], "fs": C})
        self.assertEqual(cells[C, "warm"].cost, 1400)
        self.assertEqual(len(cells), 1)

    def test_table_has_the_ratio(self):
        cells = self.cells(record(C, "warm", 1000), record(RUST, "warm", 470))
        row = [line for line in report.table(cells) if "warm" in line][0]
        self.assertIn(" 1000 ", row)
        self.assertIn("470   0.47", row)

    def test_what_loses(self):
        cells = self.cells(record(C, "warm", 1000), record(RUST, "warm", 1010),
                           record(C, "mmap", 1000), record(RUST, "mmap", 500))
        self.assertEqual(report.losses(cells, RUST),
                         [("warm", 1010.0, C, 1000.0)])
        self.assertEqual(len(report.loss_lines(cells)), 1)
        self.assertIn("1.0 % more", report.loss_lines(cells)[0])

    def test_the_export_is_compared_with_c_only(self):
        cells = self.cells(record(C, "warm", 1000),
                           record(plan.ON_RUST, "warm", 990),
                           record(plan.EXT4, "warm", 500))
        self.assertEqual(report.loss_lines(cells), [])

    def test_bytes_per_bio(self):
        cells = self.cells(record(RUST, "warm", 1, **library(4)))
        line = [line for line in report.library_table(cells) if "warm" in line]
        self.assertIn("8192", line[0])

    def test_growth_is_sorted(self):
        series = report.growth([record(C, "cold_1m@64", 5),
                                     record(C, "cold_1m@16", 6)])
        self.assertEqual(series, {"cold_1m": {C: [(16, 6.0), (64, 5.0)]}})

    def test_csv(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.csv"
            report.write_csv({"brd-4k": [record(RUST, "warm", 7, **library(2))]},
                                  path)
            lines = path.read_text(encoding="utf-8").splitlines()
        self.assertEqual(lines[1], "brd-4k,rust_ext2,warm,7.0,10,2,16384,3")


class Subset(unittest.TestCase):
    def of(self, text):
        return {boot: {tuple(pair) for pair in job["only"]}
                for boot, (job, _) in subset.of(bench.jobs_of_all(), text).items()}

    def test_columns(self):
        found = self.of("sparse")
        self.assertEqual(set(found), {boot for boot, _ in report.SETUPS})
        self.assertEqual(found["brd-1k"], {(name, "sparse") for name in plan.FILESYSTEMS})

    def test_boots_and_filesystems(self):
        self.assertEqual(self.of("brd-4k:rust_ext2:unlink names-1k:xfs:ren*"), {
            "brd-4k": {(RUST, "unlink")},
            "names-1k": {(plan.XFS, f"rename@{count}") for count in plan.GROWTH_NAMES}})

    def test_who_would_take_an_hour_is_left_out(self):
        self.assertEqual({size for name, size in self.of("names-4k:ext2:unlink")["names-4k"]},
                         {f"unlink@{count}" for count in plan.GROWTH_NAMES
                          if count <= plan.MOST_WALKED})

    def test_wrong(self):
        for wrong in ("nothing", "a:b:c:d", "brd-4k:", ":unlink"):
            with self.assertRaises(ui.Fail):
                self.of(wrong)


class ByName(unittest.TestCase):
    def test_there_are_such_boots(self):
        self.assertLess(set(bench.BY_NAME), set(bench.jobs_of_all()))


class Delayed(unittest.TestCase):
    def test_every_row_is_measured(self):
        cells = delayed.job(1024)["write"]
        self.assertEqual({name for cell in cells for name in cell["names"].values()},
                         {name for name, _, _, _ in delayed.ROWS})

    def test_numbers(self):
        lines = delayed.lines(report.cells([
            record(C, "create_writes", 1234, 1), record(RUST, "unpack", 5e8, 3)]))
        self.assertIn("1,234", lines[1])
        self.assertIn("1.50", lines[2])
        self.assertEqual(len(lines), 3)


class Repeat(unittest.TestCase):
    def check(self, second):
        return bench.repeat_check({"brd-4k": [record(C, "cold_1m", 5000)],
                                   "repeat": [record(C, "cold_1m", second)]})

    def test_agrees(self):
        self.assertTrue(self.check(5049)[2])

    def test_does_not(self):
        self.assertFalse(self.check(5051)[2])
        self.assertFalse(self.check(4949)[2])

    def test_missing(self):
        with self.assertRaises(ui.Fail):
            bench.repeat_check({"brd-4k": [], "repeat": []})


class Pictures(unittest.TestCase):
    def texts(self, picture):
        root = xml.etree.ElementTree.fromstring(picture)
        return [element.text for element in root.iter()
                if element.tag.endswith("text")]

    def test_bars(self):
        costs = {(C, "warm"): 1000, (RUST, "warm"): 470, (C, "mmap"): 100,
                 (RUST, "mmap"): 530}
        texts = self.texts(svg.bars(costs, "a < b"))
        self.assertIn("0.47", texts)
        self.assertIn("5.3", texts)
        self.assertIn("a < b", texts)
        self.assertNotIn("fsync", texts)

    def test_lines(self):
        series = {"cold_1m": {C: [(16, 5000.0), (64, 5100.0)]},
                  "small_read": {C: [(1, 90000.0)]}}
        texts = self.texts(svg.lines(series))
        self.assertIn("cold read 1M", texts)
        self.assertIn("64", texts)


class Profile(unittest.TestCase):
    KALLSYMS = ("ffffffff81000100 T first\nffffffff81000200 t second\n"
                "ffffffff81000180 d data\nffffffffc0000000 t _RNv3foo\t[rust_ext2]\n")

    def test_instructions_go_to_the_function_around(self):
        counts = ("ffffffff81000100 5\nffffffff810001f0 2\nffffffff81000200 30\n"
                  "ffffffffc0000010 4\n5be02470 1\n")
        self.assertEqual(profile.by_function(counts, self.KALLSYMS), [
            ("second", 30), ("first", 7), ("_RNv3foo [rust_ext2]", 4),
            ("(the workload)", 1)])

    def test_report_adds_up(self):
        lines = profile.table([("a", 60), ("b", 40)], 10, "page")
        self.assertIn("10.0  100.0 %  instructions per page", lines[0])
        self.assertIn("60.0 %  a", lines[1])

    def test_names(self):
        self.assertEqual(profile.parse("ext2_on_rust:mmap:null_blk-1k"),
                         (plan.ON_RUST, "mmap", "null_blk-1k"))
        self.assertEqual(profile.parse("xfs:warm")[2], "brd-4k")
        for wrong in ("", "xfs", "xfs:nothing", "ntfs:warm", "xfs:warm:floppy"):
            with self.assertRaises(ui.Fail):
                profile.parse(wrong)
