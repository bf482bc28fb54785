# SPDX-License-Identifier: GPL-2.0
"""The results of `make bench`: tables on the screen, CSV, pictures, what loses.

A cost is instructions per unit: per 4 KiB page, per file, per directory entry.
With ACCEL=kvm it is nanoseconds of wall time, and is labelled so.
"""

import csv
from typing import NamedTuple

from .. import command, ui
from . import delayed, plan, svg

SETUPS = (("brd-4k", "brd, 4 KiB blocks"), ("brd-1k", "brd, 1 KiB blocks"),
          ("null_blk-4k", "null_blk, 4 KiB blocks"),
          ("null_blk-1k", "null_blk, 1 KiB blocks"))
CHANGES = (("changes-4k", "null_blk, 4 KiB blocks"),
           ("changes-1k", "null_blk, 1 KiB blocks"))
DELAYED = (("delayed-4k", "4 KiB blocks"), ("delayed-1k", "1 KiB blocks"))
TURNS = (("turns-4k", "4 KiB blocks"), ("turns-1k", "1 KiB blocks"))
GROWTH = ((("growth", "twice", "many", "names-4k"), "brd, 4 KiB blocks"),
          (("names-1k", "small-1k"), "brd, 1 KiB blocks"))
CLOCKS = {"icount": "instructions", "kvm": "wall-clock nanoseconds (KVM: only as "
                                           "good as the machine was quiet)"}


class Cell(NamedTuple):
    """One number of the table, and what the library did for it."""

    cost: float
    units: int
    counters: dict


def cells(records):
    """{(filesystem, column): Cell} of the records of a boot."""
    return {
        (record["fs"], record["cell"]): Cell(
            record["ns"] / max(record["units"], 1), record["units"],
            record["counters"])
        for record in records if "cell" in record
    }


def versions(prepared, kernel, clock, options=""):
    """[(what, which)] that the numbers depend on."""
    def first_line(*argv):
        return (command.text(*argv).splitlines() or ["?"])[0]

    chain = prepared.chain
    return [
        ("clock", CLOCKS[clock]),
        ("kernel", f"Linux {kernel}, lean.config"),
        ("compilers", first_line(chain.tool("clang"), "--version")),
        ("", first_line(chain.rustc, "--version")),
        ("QEMU", first_line("qemu-system-x86_64", "--version")),
        ("ext2, ext4", first_line("sh", "-c", "mkfs.ext2 -V 2>&1")),
        ("xfs", first_line("mkfs.xfs", "-V")),
        *([("rust_ext2", f"mounted with {options}")] if options else []),
    ]


def table(found):
    """Lines of a table: a row for each column of the plan, and the ratios to
    C ext2 behind the numbers."""
    names = plan.FILESYSTEMS
    base = plan.C_EXT2
    width = 15
    lines = [f"{'':14}{base:>9}" + "".join(f"{name[:19]:>{width + 5}}"
                                          for name in names[1:])]
    for column, heading, unit in plan.COLUMNS:
        if not any((name, column) in found for name in names):
            continue
        first = found.get((base, column))
        row = f"{heading:14}{_number(first):>9}"
        for name in names[1:]:
            cell = found.get((name, column))
            ratio = f"{cell.cost / first.cost:.2f}" if cell and first else ""
            row += f"{_number(cell):>{width - 2}}{ratio:>7}"
        lines.append(f"{row}   per {unit}")
    return lines


def _number(cell):
    return f"{cell.cost:.0f}" if cell else "-"


def library_table(found):
    """Lines about the library's bios and mapper calls."""
    lines = [f"{'':14}{'':>21}{'bios':>9}{'bytes/bio':>11}{'mapper calls':>14}"
             f"{'folios':>9}"]
    for column, heading, _ in plan.COLUMNS:
        for name in (plan.RUST_EXT2, plan.ON_RUST):
            cell = found.get((name, column))
            counted = cell.counters if cell else {}
            bios = counted.get("bios", 0)
            if not bios and not counted.get("mapper_calls"):
                continue
            size = counted["bytes"] / bios if bios else 0
            lines.append(f"{heading:14}{name:>21}{bios:>9}{size:>11.0f}"
                         f"{counted['mapper_calls']:>14}{counted['folios']:>9}")
    return lines


def losses(found, name, against=plan.FILESYSTEMS):
    """[(column, cost, best filesystem, its cost)] where `name` is not the best."""
    lost = []
    for column, _, _ in plan.COLUMNS:
        ours = found.get((name, column))
        others = {other: found[other, column].cost for other in against
                  if other != name and (other, column) in found}
        if not ours or not others:
            continue
        best = min(others, key=others.get)
        if others[best] < ours.cost:
            lost.append((column, ours.cost, best, others[best]))
    return lost


def loss_lines(found):
    """What loses, in words."""
    lines = []
    for column, cost, best, least in losses(found, plan.RUST_EXT2):
        lines.append(f"rust_ext2, {plan.HEADINGS[column]}: {cost:.0f}, "
                     f"{best} {least:.0f}: {100 * (cost / least - 1):.1f} % more")
    pair = (plan.C_EXT2,)
    for column, cost, best, least in losses(found, plan.ON_RUST, pair):
        lines.append(f"C ext2 on rust_mpage, {plan.HEADINGS[column]}: "
                     f"{cost:.0f}, {best} {least:.0f}: "
                     f"{100 * (cost / least - 1):.1f} % more")
    return lines


def growth(records):
    """{column: {filesystem: [(size, cost)]}} of the boot about growth."""
    series = {}
    for (name, column), cell in cells(records).items():
        base, _, size = column.partition("@")
        points = series.setdefault(base, {}).setdefault(name, [])
        points.append((int(size), cell.cost))
    for lines in series.values():
        for points in lines.values():
            points.sort()
    return series


def growth_lines(series):
    """Lines of a table of what growth costs."""
    lines = []
    for column, by_name in series.items():
        unit = "MiB" if plan.UNITS[column] == "page" else "files"
        sizes = sorted({size for points in by_name.values() for size, _ in points})
        lines.append(f"{plan.HEADINGS[column]:22}" +
                     "".join(f"{size:>9}" for size in sizes) + f"  {unit}")
        for name in plan.FILESYSTEMS:
            if name in by_name:
                points = dict(by_name[name])
                lines.append(f"  {name:20}" + "".join(
                    f"{points[size]:>9.0f}" if size in points else f"{'-':>9}"
                    for size in sizes))
    return lines


def writer_lines(found):
    """Lines of a table of two processes that write at the same time."""
    lines = [f"{'':52}" + "".join(f"{name[:20]:>22}" for name in plan.FILESYSTEMS)]
    for what, heading in plan.WRITER_NAMES.items():
        row = f"{heading:52}"
        for name in plan.FILESYSTEMS:
            cell = found.get((name, what))
            row += f"{cell.cost * cell.units / 1e6:.0f}".rjust(22) if cell else f"{'-':>22}"
        lines.append(row)
    return lines


def turn_lines(found):
    """Lines of a table of what becomes of files that grow side by side."""
    lines = [f"{name:20}{found[name, 'in_turns'].cost:>9.1f}"
             for name in plan.FILESYSTEMS if (name, "in_turns") in found]
    return lines or ["-"]


def change_lines(found):
    """Lines of a table of what small changes, each with fsync, cost the device."""
    lines = [f"{'':52}" + "".join(f"{name[:20]:>22}" for name in plan.FILESYSTEMS)]
    for what, heading in plan.CHANGE_NAMES.items():
        row = f"{heading:52}"
        for name in plan.FILESYSTEMS:
            read, written = (found.get((name, f"{what}_{way}"))
                             for way in ("read", "written"))
            both = f"{read.cost:.1f} / {written.cost:.1f}" if read and written else "-"
            row += f"{both:>22}"
        lines.append(row)
    return lines


def write_csv(found, path):
    """Every number of every boot."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["boot", "filesystem", "cell", "cost", "units", "bios", "bytes",
                      "mapper_calls"])
        for boot, records in sorted(found.items()):
            for (name, column), cell in cells(records).items():
                counted = cell.counters
                out.writerow([boot, name, column, f"{cell.cost:.1f}", cell.units] + [
                    counted.get(key, "") for key in ("bios", "bytes",
                                                     "mapper_calls")])


def _setup_lines(found):
    """The tables of the boots that fill one each."""
    text = []
    for boot, title in SETUPS:
        if boot not in found:
            continue
        numbers = cells(found[boot])
        text += ["", f"{title}; behind each number its ratio to C ext2", ""]
        text += table(numbers)
        text += ["", f"what the library did ({title})", ""] + library_table(numbers)
        lost = loss_lines(numbers)
        text += ["", f"what loses ({title}):"] + \
            [f"  {line}" for line in lost or ["nothing"]]
        for record in found[boot]:
            if "extents" in record:
                count, blocks = record["extents"]
                text.append(f"  (the fragmented file of {record['fs']}: "
                            f"{blocks} blocks, {count} extents)")
            if record.get("read_only"):
                text.append(f"  ({record['fs']} cannot write yet)")
    return text


def _lines(found):
    """All tables of what was measured."""
    text = _setup_lines(found)
    for boot, title in DELAYED:
        if boot in found:
            text += ["", f"a device that needs a millisecond ({title})", ""]
            text += delayed.lines(cells(found[boot]))
    for boot, title in CHANGES:
        if boot in found:
            text += ["", "what the device reads and writes for a small change with "
                         f"fsync, KiB ({title})", ""] + change_lines(cells(found[boot]))
    if "writers" in found:
        text += ["", f"two processes append {plan.WRITER_MIB} MiB each in pieces of 4 "
                     "KiB, milliseconds of the wall's clock on two processors", ""]
        text += writer_lines(cells(found["writers"]))
    for boot, title in TURNS:
        if boot in found:
            text += ["", "pieces that each of four files is in which are appended to in turns, "
                         f"4 KiB each, to {plan.TURNS_MIB} MiB, then synced ({title})", ""]
            text += turn_lines(cells(found[boot]))
    for boots, title in GROWTH:
        series = growth_of(found, boots)
        if series:
            text += ["", f"growth ({title})", ""] + growth_lines(series)
    return text


def growth_of(found, boots):
    """What these boots say of growth."""
    return growth([record for boot in boots for record in found.get(boot, ())])


def write(found, about, out):
    """Print everything that was measured, and leave the files in `out`."""
    text = [f"{what:11} {which}" for what, which in about] + _lines(found)
    ui.say("\n".join(text))
    (out / "table.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    write_csv(found, out / "bench.csv")


def write_pictures(found, out):
    """The pictures of a run of everything."""
    for boot, title in SETUPS:
        numbers = {key: cell.cost for key, cell in cells(found[boot]).items()}
        (out / f"{boot}.svg").write_text(
            svg.bars(numbers, f"relative to C ext2: {title}"),
            encoding="utf-8")
    boots, _ = GROWTH[0]
    (out / "growth.svg").write_text(svg.lines(growth_of(found, boots)), encoding="utf-8")
