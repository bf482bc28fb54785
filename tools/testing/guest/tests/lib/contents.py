# SPDX-License-Identifier: GPL-2.0
"""Contents of a file, in memory and on the disk."""

import os

import disks
import writers


def stained(ctx, image, options=""):
    """A disk, mounted, of which no free block is zero: whatever is seen in a file that nobody
    has written is seen."""
    disk = disks.Disk(ctx, image)
    writers.stain(disk)
    return disk.mount(options)


def open_file(disk, name="file"):
    """To read and to write, made if need be."""
    return os.open(disk.where(name), os.O_RDWR | os.O_CREAT, 0o644)


def forget(fd):
    """Nothing of the file is in memory afterwards but what somebody holds."""
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def same(fd, want):
    """The file is this, and ends there."""
    got = os.pread(fd, len(want) + 1, 0)
    if got == want:
        return
    at = next((at for at, (one, other) in enumerate(zip(got, want)) if one != other),
              min(len(got), len(want)))
    raise AssertionError(f"{len(got)} bytes, not {len(want)}; they differ at {at}: "
                         f"{got[at:at + 16]!r}, not {want[at:at + 16]!r}")


def same_on_disk(fd, want):
    """In memory, and after it has been read again."""
    same(fd, want)
    forget(fd)
    same(fd, want)
