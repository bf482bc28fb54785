# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of one cell go: `make bench PROFILE=rust_ext2:warm`.

QEMU's translator counts them by address, between the clock's two functions in
the workload (tools/testing/bench/count.c); the guest says where its functions
are. So the numbers are exact, not sampled, and see Rust, modules and what
cannot be traced.

Leaves out: who called whom.
"""

import bisect
import collections
import subprocess

from .. import command, ui
from . import plan, report, workload

SHOWN = 45
NAMES = {"ext2": plan.C_EXT2, "ext4": plan.EXT4, "xfs": plan.XFS,
         "rust_ext2": plan.RUST_EXT2, "ext2_on_rust": plan.ON_RUST}
_KERNEL = 1 << 63


def parse(text):
    """(filesystem, column, setup) of PROFILE=filesystem:column[:device-1k]."""
    words = text.split(":")
    columns = [name for name, _, _ in plan.COLUMNS]
    setups = [name for name, _ in report.SETUPS]
    setup = words[2] if len(words) == 3 else setups[0]
    if len(words) not in (2, 3) or words[0] not in NAMES or \
            words[1] not in columns or setup not in setups:
        raise ui.Fail(
            f"PROFILE={text}: it is filesystem:column or filesystem:column:setup\n"
            f"  filesystems: {' '.join(NAMES)}\n  columns: {' '.join(columns)}\n"
            f"  setups: {' '.join(setups)}")
    return NAMES[words[0]], words[1], setup


def symbols(kallsyms):
    """(addresses, names) of the kernel's functions, sorted."""
    found = []
    for line in kallsyms.splitlines():
        address, kind, name = line.split(None, 2)
        if kind in "tTwW":
            found.append((int(address, 16), name.replace("\t", " ")))
    found.sort()
    return [address for address, _ in found], [name for _, name in found]


def by_function(counts, kallsyms):
    """[(function, instructions)], the most first, of "address count" lines."""
    addresses, names = symbols(kallsyms)
    total = collections.Counter()
    for line in counts.splitlines():
        address, _, count = line.partition(" ")
        address = int(address, 16)
        if address < _KERNEL:
            name = "(the workload)"
        else:
            place = bisect.bisect_right(addresses, address) - 1
            name = names[place] if place >= 0 else "(unknown)"
        total[name] += int(count)
    return total.most_common()


def demangle(chain, functions):
    """The same, with readable names for Rust's."""
    tool = chain.tool("llvm-cxxfilt")
    if not tool:
        return functions
    done = subprocess.run(
        [tool], input="\n".join(name for name, _ in functions),
        stdout=subprocess.PIPE, check=False, encoding="utf-8",
        env=command.environment())
    names = done.stdout.splitlines()
    if len(names) != len(functions):
        return functions
    return [(name, count) for name, (_, count) in zip(names, functions)]


def table(functions, units, unit):
    """Lines: instructions per unit, share, function."""
    total = sum(count for _, count in functions)
    lines = [f"{total / units:>10.1f}  100.0 %  instructions per {unit}"]
    shown = functions[:SHOWN]
    lines += [f"{count / units:>10.1f}  {100 * count / total:>5.1f} %  {name}"
              for name, count in shown]
    rest = total - sum(count for _, count in shown)
    lines.append(f"{rest / units:>10.1f}  {100 * rest / total:>5.1f} %  "
                 f"in {len(functions) - len(shown)} other functions")
    return lines


def main(settings, prepared, boots, programs, out):
    name, column, setup = parse(settings.profile)
    if boots.clock == "kvm":
        raise ui.Fail("PROFILE= counts instructions of the emulation: not with "
                      "ACCEL=kvm")
    device, _, size = setup.rpartition("-")
    job = plan.only(
        plan.table(device, 1024 * int(size.removesuffix("k"))),
        [(name, column)])
    places = workload.addresses(prepared.chain, programs / "workload")

    def plugin(folder):
        return ["-plugin", f"{programs}/count.so,begin={places['count_begin']:#x},"
                f"end={places['count_end']:#x},out={folder}/counts"]

    with ui.Progress(f"guest: {name}, {plan.HEADINGS[column]}, {setup}"):
        records = boots.run("profile", job, plugin=plugin)
    cell = report.cells(records).get((name, column))
    if not cell:
        raise ui.Fail(f"{name} has no numbers for {column}")
    folder = out / "profile"
    functions = by_function(
        (folder / "counts").read_text(encoding="ascii"),
        (folder / "kallsyms").read_text(encoding="utf-8"))
    unit = {place: unit for place, _, unit in plan.COLUMNS}[column]
    text = "\n".join(table(demangle(prepared.chain, functions), cell.units, unit))
    ui.say(f"\n{name}, {plan.HEADINGS[column]}, {setup}\n{text}")
    (out / "profile.txt").write_text(text + "\n", encoding="utf-8")
    return 0
