# SPDX-License-Identifier: GPL-2.0
"""The guest's half of `make bench`: make filesystems, run the workload on them.

    bench.py JOB.json

The job names the device ("brd", "null_blk" or "delayed") and its size, the groups of
filesystems, and the cells; the host wrote it (tools/testing/rmp/bench/plan.py).
A group is what can read the same disk. Its first member makes the disk and the
files, then each member mounts it for the cells that read. After that
each member that can write gets an empty disk for the cells that write.

Each result is a line of results.jsonl: filesystem, cell, nanoseconds, units, and
what the library counted meanwhile. The addresses of the kernel's functions, for
a profile, are in kallsyms.

Leaves out: what the numbers mean.
"""

import json
import mmap
import os
import shutil
import subprocess
import sys
import traceback

import context
import sysapi

POINT = "/run/bench"
WORKLOAD = "/run/workload"
ARCHIVE = "/run/archive"
DELAY_NS = 1_000_000  # for each request to the device that has one
CACHE_MIB = 64        # of that device, so that there is something to flush


class Device:
    """The disk under all filesystems."""

    def __init__(self, job, trees):
        mib = job["device_mib"]
        if job["device"] == "brd":
            context.load_module(trees, "brd", f"rd_nr=1 rd_size={mib * 1024}")
            self.path = "/dev/ram0"
        else:
            timing = "irqmode=0" if job["device"] == "null_blk" else (
                f"irqmode=2 completion_nsec={DELAY_NS} cache_size={CACHE_MIB}")
            context.load_module(
                trees, "null_blk",
                f"nr_devices=1 memory_backed=1 bs=512 gb={-(-mib // 1024)} "
                f"{timing} submit_queues=1 discard=1")
            self.path = "/dev/nullb0"
        self.stat = f"/sys/block/{os.path.basename(self.path)}/stat"
        self._block_size = job["block_size"]
        self._fill()

    def _fill(self):
        """Write to all of the disk: it gets its memory here, and not in the first
        cell that happens to write to a block."""
        zeroes = mmap.mmap(-1, 1 << 20)
        fd = os.open(self.path, os.O_WRONLY | os.O_DIRECT)
        try:
            left = os.lseek(fd, 0, os.SEEK_END)
            os.lseek(fd, 0, os.SEEK_SET)
            while left > 0:
                left -= os.write(fd, memoryview(zeroes)[:left])
        finally:
            os.close(fd)

    def make(self, words):
        argv = [*words, self.path]
        argv = [text.replace("BLOCK", str(self._block_size)) for text in argv]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)


class Bench:
    """One job."""

    def __init__(self, job):
        self._job = job
        self._out = open(os.path.join(job["out"], "results.jsonl"), "w",
                         encoding="utf-8")
        os.makedirs(POINT, exist_ok=True)
        # the guest's root is on 9p: a run of the program reads nothing of it
        shutil.copy(job["workload"], WORKLOAD)
        os.chmod(WORKLOAD, 0o755)
        if any("ARCHIVE" in cell["run"] for cell in job["write"]):
            shutil.copy(job["archive"], ARCHIVE)
        self._device = Device(job, job["kernel_trees"])
        self._wanted = {tuple(cell) for cell in job["only"]} if job["only"] else None

    def record(self, **fields):
        self._out.write(json.dumps(fields) + "\n")
        self._out.flush()

    def note(self, text):
        """A line for the host's progress."""
        with open("/dev/kmsg", "w", encoding="ascii") as log:
            log.write(f"rust_mpage_bench: {text}\n")

    def _load(self, member):
        for name in member["modules"]:
            context.load_module(member["trees"] + self._job["kernel_trees"], name)

    def _unload(self, member):
        for name in reversed(member["modules"]):
            try:
                sysapi.rmmod(name)
            except OSError:
                pass  # another module uses it

    def mount(self, member, options=""):
        """Read-write, as people do; rust_ext2 with what the user wants besides."""
        if member["fstype"] == "rust_ext2":
            options = ",".join(filter(None, (self._job["mount_options"], options)))
        sysapi.mount(self._device.path, POINT, member["fstype"], 0, options)

    def run(self, words, counted=False):
        """Run the workload; {what: (nanoseconds, units)}."""
        argv = [WORKLOAD, words[0], os.path.join(POINT, words[1]),
                *(ARCHIVE if word == "ARCHIVE" else str(word) for word in words[2:])]
        env = {"BENCH_STAT": self._device.stat}
        if counted:
            env["BENCH_COUNT"] = "1"
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=env,
                              text=True)
        if done.returncode:
            raise OSError(f"{' '.join(argv)}: status {done.returncode}: "
                          f"{done.stderr.strip()}")
        found = {}
        for line in done.stdout.splitlines():
            what, time, units = line.split()
            found[what] = int(time), int(units)
        return found

    def cell(self, member, cell):
        """Run a cell and record what it says, unless it is another that needs it."""
        if not self.wants(member, cell):
            self.run(cell["run"])
            return
        before = context.counters()
        found = self.run(cell["run"], counted=self._job["symbols"])
        after = context.counters()
        counted = {name: after[name] - before.get(name, 0) for name in after}
        for what, (time, units) in found.items():
            name = cell["names"].get(what)
            if name:
                self.record(fs=member["name"], cell=name, ns=time, units=units,
                            counters=counted)

    def wants(self, member, cell):
        if member["name"] in cell.get("but", ()):
            return False
        return self._wanted is None or any(
            (member["name"], name) in self._wanted for name in cell["names"].values())

    def with_needed(self, member, cells):
        """The cells that are wanted, and those that they need before them."""
        found, needed = [], set()
        for cell in reversed(cells):
            if self.wants(member, cell) or needed.intersection(cell["names"].values()):
                found.insert(0, cell)
                needed.update(cell["needs"])
        return found

    def readers(self, group):
        """The cells that read, for all members of a group, on one disk."""
        job, maker = self._job, group["members"][0]
        members = [member for member in group["members"]
                   if any(self.wants(member, cell) for cell in job["read"])]
        if not members:
            return
        used = {cell["run"][1] for cell in job["read"]
                if any(self.wants(member, cell) for member in members)}
        self._load(maker)
        self._device.make(group["mkfs"])
        self.mount(maker, group.get("options", ""))
        for words in job["make"] + group["make"]:
            if words[1] not in used:
                continue
            found = self.run(words)
            if "extents" in found:
                self.record(fs=maker["name"], extents=found["extents"])
        sysapi.umount(POINT)
        self._unload(maker)
        for member in members:
            self.note(f"{member['name']}, reading")
            self._load(member)
            self.mount(member)
            for cell in job["read"]:
                if self.wants(member, cell):
                    self.cell(member, cell)
            if job["symbols"]:
                shutil.copy("/proc/kallsyms", os.path.join(job["out"], "kallsyms"))
            sysapi.umount(POINT)
            self._unload(member)

    def writer(self, group, member):
        """The cells that write, on a disk of the member's own."""
        job = self._job
        cells = self.with_needed(member, job["write"])
        if not cells:
            return
        self.note(f"{member['name']}, writing")
        self._device.make(group["mkfs"])
        self._load(member)
        self.mount(member)
        if os.statvfs(POINT).f_flag & os.ST_RDONLY:
            self.record(fs=member["name"], read_only=True)
        else:
            for cell in cells:
                self.cell(member, cell)
            if job["symbols"]:
                shutil.copy("/proc/kallsyms", os.path.join(job["out"], "kallsyms"))
        sysapi.umount(POINT)
        self._unload(member)

    def main(self):
        for group in self._job["groups"]:
            self.readers(group)
            for member in group["members"]:
                self.writer(group, member)
        self.record(complete=True)


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    try:
        Bench(job).main()
    except (OSError, subprocess.SubprocessError):
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
