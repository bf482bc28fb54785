# SPDX-License-Identifier: GPL-2.0
"""`make bench`: instructions per page, beside C ext2, ext4 and xfs.

Every number comes from a guest whose clock counts its instructions, so it does
not depend on the machine, nor on what else that does: boots run side by side,
as many as there are processors. With ACCEL=kvm the clock is the wall's, and
the numbers mean something on a quiet machine only; they are labelled.

    make bench                          the table, CSV, pictures
    make bench CELLS='unlink names-4k:*'  some cells (subset.py)
    make bench PROFILE=rust_ext2:warm   where the instructions of one cell go
    make bench MOUNT_OPTIONS=nodelalloc  what rust_ext2 is mounted with
"""

import concurrent.futures
import json
import os

from .. import ui
from ..build import dropin, ksource, packages
from ..guest import guest
from ..guest.prepared import Prepared
from . import delayed, plan, profile, report, subset, workload

LIMIT = 3600  # seconds for a guest
REPEATED = (plan.C_EXT2, "cold_1m")
TOLERANCE = 0.01
# boots that CELLS= asks for
BY_NAME = ("names-4k", "names-1k", "small-1k", "delayed-4k", "delayed-1k")


class Boots:
    """Runs jobs in guests."""

    def __init__(self, settings, prepared, programs, on_rust, headers, out):
        self._settings = settings
        self._prepared = prepared
        self._programs = programs
        self._on_rust = on_rust
        self._headers = headers
        self._out = out
        self.clock = "kvm" if settings.accel == "kvm" else "icount"

    def run(self, name, job, memory="3G", plugin=None, clock=None):
        """Results of one boot, a list of records; raises ui.Fail."""
        machine = guest.Guest(self._prepared.virtme, self._prepared.kernel,
                              clock or self.clock, memory)
        ours = machine.share("modules", self._prepared.objects)
        on_rust = machine.share("ext2", self._on_rust)
        kernel = machine.share("kernel", self._prepared.kernel.build)
        programs = machine.share("programs", self._programs)
        headers = machine.share("headers", self._headers)
        out = self._out / name
        if plugin:
            machine.qemu += plugin(out)
        fields = dict(job, groups=plan.groups(ours, on_rust),
                      kernel_trees=[kernel], workload=f"{programs}/workload",
                      archive=f"{headers}/headers.tar", symbols=bool(plugin),
                      mount_options=self._settings.mount_options)
        log = out / "console.log"
        status = guest.job(machine, self._settings, out, "bench.py", fields, log,
                           guest.until(LIMIT))
        records = read_records(out / "results.jsonl")
        if status != 0 or not any("complete" in record for record in records):
            raise guest.fail_no_boot(log, out)
        return records


def read_records(path):
    """The records of a boot; a line that a dying guest left half is dropped."""
    records = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
    return records


def jobs_of_all():
    """{name of a boot: (job, memory)}, the long ones first."""
    boots = {}
    for device in ("brd", "null_blk"):
        for block_size in (4096, 1024):
            job = plan.table(device, block_size)
            boots[f"{device}-{block_size // 1024}k"] = (job, "3G")
        boots.setdefault("growth", (plan.growth(), "5G"))
        boots.setdefault("twice", (plan.twice(), f"{plan.TWICE_MEMORY_MIB}M"))
        boots.setdefault("many", (plan.many(), "5G"))
    for block_size in (4096, 1024):
        size = f"{block_size // 1024}k"
        boots[f"names-{size}"] = (plan.names(block_size), "5G")
        boots[f"delayed-{size}"] = (delayed.job(block_size), "3G")
        boots[f"changes-{size}"] = (plan.changes(block_size), "3G")
        boots[f"turns-{size}"] = (plan.turns(block_size), "3G")
    boots["small-1k"] = (plan.small(1024), "5G")
    boots["repeat"] = (
        plan.only(plan.table("brd", 4096), [REPEATED]), "3G")
    return boots


def run_all(boots, jobs):
    """{name of a boot: records}; as many at a time as there are processors."""
    found = {}
    workers = min(2, len(os.sched_getaffinity(0)))
    with ui.Progress(f"guests ({boots.clock})") as step, \
            concurrent.futures.ThreadPoolExecutor(workers) as pool:
        pending = {pool.submit(boots.run, name, job, memory): name
                   for name, (job, memory) in jobs.items()}
        while pending:
            done, _ = concurrent.futures.wait(
                pending, timeout=1,
                return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                found[pending.pop(future)] = future.result()
            step.update(f"{len(found)} of {len(jobs)} boots done",
                        len(found) / len(jobs))
    return found


def repeat_check(found):
    """(first, second, whether they agree) of the cell that was measured twice."""
    cells = [report.cells(found[name]).get(REPEATED)
             for name in ("brd-4k", "repeat")]
    if None in cells:
        raise ui.Fail("the cell that is measured twice is missing in the results")
    first, second = (cell.cost for cell in cells)
    return first, second, abs(first - second) <= TOLERANCE * first


def main(settings):
    with settings.cache.locked():
        packages.need(settings, "xfsprogs", "mkfs.xfs")
        prepared = Prepared(settings, "lean")
        programs = workload.ensure(settings, prepared.chain)
        on_rust = dropin.ensure(settings, prepared)
        headers = delayed.archive(settings, prepared.source,
                                  ksource.version(prepared.source))
        out = guest.fresh_out(settings, "bench")
    boots = Boots(settings, prepared, programs, on_rust, headers, out)
    if settings.profile:
        return profile.main(settings, prepared, boots, programs, out)
    versions = report.versions(prepared, ksource.version(prepared.source),
                               boots.clock, settings.mount_options)
    if settings.cells:
        found = run_all(boots, subset.of(jobs_of_all(), settings.cells))
        report.write(found, versions, out)
        return 0
    jobs = {name: job for name, job in jobs_of_all().items() if name not in BY_NAME}
    found = run_all(boots, jobs)
    with ui.Progress("two processors, the wall's clock"):
        # an emulator that counts instructions has one processor
        found["writers"] = boots.run("writers", plan.writers(),
                                     clock="kvm" if boots.clock == "kvm" else "tcg")
    first, second, agree = repeat_check(found)
    report.write(found, versions, out)
    report.write_pictures(found, out)
    ui.say(f"\nrepeated in another boot: {REPEATED[0]}, "
           f"{plan.HEADINGS[REPEATED[1]]}: {first:.0f}, again {second:.0f} "
           f"({100 * (second / first - 1):+.2f} %)" +
           ("" if agree else ": more than 1 %, the table is not to be trusted"))
    ui.say(f"\nthe table as CSV, and pictures: {out}")
    return 0 if agree or boots.clock == "kvm" else 1
