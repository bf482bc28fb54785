# SPDX-License-Identifier: GPL-2.0
"""Who waits for the device, and who does not have to."""

import mmap
import os

import disks
import sides
import waiting
import writers
from runner import timeout

PAGE = 4096
PAGES = 40  # more than there are pointers in the inode
HOLE = PAGES + 20


def _store(path):
    """Store to pages that the file has, in the inode's pointers and behind them. The
    file stays open: to close it waits, in C, too."""
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, PAGES * PAGE) as area:
        for page in (3, 30):
            area[page * PAGE] = ord("!")


def _append(path):
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, b"a" * PAGE, HOLE * PAGE)
    os.close(fd)


def _fault(ctx, image):
    disk, device = waiting.held_up(ctx, image)
    disk.mount(disks.at_once(disk.fstype), device=device.path)
    writers.make(disk.where("file"), 1, PAGES * PAGE)
    # again, so that no bitmap is in memory
    disk.umount()
    disk.mount(disks.at_once(disk.fstype), device=device.path)
    path = disk.where("file")
    writers.check(path, 1, PAGES * PAGE)
    with device.suspended():
        appending = writers.Child(_append, path)
        assert waiting.falls_asleep(appending.pid), "an allocation does not wait for the device"
        storing = writers.Child(_store, path)
        done = storing.ends_within(waiting.PATIENCE)
        still = waiting.falls_asleep(appending.pid)
    writers.results([appending, storing])
    assert done, "a fault in a page that has its blocks waited for an allocation"
    assert still, "the allocation did not wait as long as the device was suspended"
    disk.umount()
    device.remove()
    disk.check()


@timeout(120)
def test_fault_beside_an_allocation_1k(ctx):
    """A store to a page whose blocks the file has, while an allocation in the same
    file waits for a bitmap."""
    _fault(ctx, "blank-1k")


@timeout(120)
def test_fault_beside_an_allocation_4k(ctx):
    _fault(ctx, "blank-4k")


def test_descriptors_are_read_ahead(ctx):
    """Mounting asks for all blocks of group descriptors, then waits for the first."""
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("C reads one after the other")
    disk = disks.Disk(ctx, "tree-meta-bg")
    with open(disk.path, "rb") as file:
        file.seek(1024)
        fields = memoryview(file.read(1024)).cast("I")
    blocks, first, per_group = fields[1], fields[5], fields[8]
    groups = -(-(blocks - first) // per_group)
    # 32 descriptors in a block of 1 KiB, which is in the first of their groups; behind
    # a superblock in group 0, and there is none in the others
    wanted = [first + group * per_group + (group == 0) for group in range(0, groups, 32)]
    assert len(wanted) >= 3, wanted
    with ctx.record(disk.device) as io:
        disk.mount()
        bios = io.take()[0]
    disk.umount()
    asked = [bio for bio in bios if bio.sector // 2 in wanted and bio.op[0] == "R"]
    assert [bio.sector // 2 for bio in asked] == wanted, f"{asked}, not {wanted}"
    assert all("A" in bio.op for bio in asked), f"not read ahead: {asked}"
    at = bios.index(asked[0])
    assert bios[at:at + len(asked)] == asked, f"not together: {bios}"
