# SPDX-License-Identifier: GPL-2.0
"""Disks that tests write to: an image on tmpfs behind a loop device, mounted
read-write by the filesystem under test or by C ext2, and checked by e2fsck.
"""

import os
import subprocess
from typing import NamedTuple

import programs
import sysapi

C_FSTYPE = "ext2"
MS_REMOUNT = 32


def load(ctx, fstype):
    """Have the kernel know a filesystem; the one under test is there already."""
    with open("/proc/filesystems", encoding="ascii") as file:
        known = {line.split()[-1] for line in file}
    if fstype not in known:
        ctx.load(fstype)


def shown_options(point):
    """The options of a mount point in /proc/mounts, a list."""
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in reversed(file.readlines()):
            fields = line.split()
            if fields[1] == point:
                return fields[3].split(",")
    raise AssertionError(f"{point} is not in /proc/mounts")


def fsck(ctx, path, *options):
    """(exit status, output) of e2fsck."""
    done = subprocess.run(
        [*programs.local(ctx, "e2fsck"), *options, path], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        encoding="utf-8", errors="replace",
    )
    return done.returncode, done.stdout


class Done(NamedTuple):
    """What a block device has done since it is there: requests, and sectors of 512 bytes."""

    reads: int
    sectors_read: int
    writes: int
    sectors_written: int
    flushes: int


def done(device):
    """What /sys/block says that a device has done."""
    with open(f"/sys/block/{os.path.basename(device)}/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.read().split()]
    return Done(fields[0], fields[2], fields[4], fields[6], fields[15])


def at_once(fstype, options=""):
    """Mount options with which files have their blocks as soon as they are written to,
    as in C: for those who compare places, and to see that it is as good."""
    if fstype == C_FSTYPE:
        return options
    return ",".join(filter(None, (options, "nodelalloc")))


def is_at_once(ctx):
    """Whether MOUNT_OPTIONS= says that nothing is delayed."""
    return "nodelalloc" in ctx.mount_options.split(",")


def delays(ctx):
    """For tests that are about delayed allocation: there is some."""
    if ctx.fstype == C_FSTYPE:
        ctx.skip("C ext2 does not delay")
    if is_at_once(ctx):
        ctx.skip("MOUNT_OPTIONS= says that nothing is delayed")


class Disk:
    """One writable copy of an image: `path` is the file, `device` the loop."""

    def __init__(self, ctx, image, fstype=None):
        self._ctx = ctx
        self.fstype = fstype or ctx.fstype
        self.path = ctx.copy(image)
        self.device = ctx.loop(self.path, read_only=False)
        self.point = None
        self._drivers = set()

    def __str__(self):
        return f"{self.fstype} on {os.path.basename(self.device)}"

    def mount(self, options="", fstype=None, device=None, flags=0):
        """Mount read-write, with another driver or through another device if
        one is named. With what the user wants besides (MOUNT_OPTIONS=), in front of the
        test's own options, of which the last counts."""
        self.fstype = fstype or self.fstype
        if self.fstype == self._ctx.fstype != C_FSTYPE:
            options = ",".join(filter(None, (self._ctx.mount_options, options)))
        self._drivers.add(self.fstype)
        load(self._ctx, self.fstype)
        self.point = self._ctx.mount(device or self.device, self.fstype, options,
                                     read_only=False, flags=flags)
        assert "ro" not in shown_options(self.point), f"{self} is mounted read-only"
        return self

    def umount(self):
        """The driver says then, too, if its counts do not add up."""
        point, self.point = self.point, None
        self._ctx.umount(point)
        said = [line for line in self._ctx.kernel_log() if "is a bug of the driver" in line]
        assert not said, said

    def remount(self, flags=0, options=""):
        """mount -o remount; with MS_RDONLY for reading only."""
        sysapi.mount(self.device, self.point, self.fstype, MS_REMOUNT | flags, options)

    def where(self, name):
        return os.path.join(self.point, name)

    def check(self):
        """Of an unmounted disk: e2fsck finds nothing at all. It takes seconds, so a
        disk that only the driver beside the one under test has written goes without.
        """
        if self._drivers and self._ctx.fstype not in self._drivers:
            return
        status, text = fsck(self._ctx, self.path, "-fn")
        assert status == 0, f"{self}: e2fsck -fn: status {status}\n{text}"

    def finish(self):
        """umount and check."""
        self.umount()
        self.check()


def sync(point):
    """syncfs(2)."""
    fd = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sysapi.syncfs(fd)
    finally:
        os.close(fd)
