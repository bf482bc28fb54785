# SPDX-License-Identifier: GPL-2.0
"""A block of a directory that somebody repairs on the disk while it is mounted (B13): when the page
has been forgotten, and is read again, what was known of it before is nothing that is relied on.
"""

import os
import struct

import disks
import ext2disk
from runner import timeout
from test_twin import no_flusher


def _entries(block):
    """(offset, inode, length) of each entry."""
    at = 0
    while at < len(block):
        inode, length = struct.unpack_from("<IH", block, at)
        yield at, inode, length
        at += length


def _remove_last(disk, number, index):
    """Takes the last entry of a block of a directory into the one before, as e2fsck does."""
    size = ext2disk.Groups(disk.path).size
    at = ext2disk.inode_pointers(disk.path, number)[index] * size
    with open(disk.path, "r+b", buffering=0) as file:
        block = bytearray(os.pread(file.fileno(), size, at))
        *_, (before, _, length), (_, _, last) = _entries(block)
        struct.pack_into("<H", block, before + 4, length + last)
        os.pwrite(file.fileno(), block, at)


def _forget_pages():
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("1")


def _repaired(ctx, image):
    disk = disks.Disk(ctx, image).mount()
    os.mkdir(disk.where("d"))
    size = os.statvfs(disk.point).f_bsize
    count, new = 0, "n" * 20
    with open(disk.where("file"), "wb"):
        pass
    while os.stat(disk.where("d")).st_size < 2 * size or count % 4 != 3:
        os.link(disk.where("file"), disk.where(f"d/{count:020}"))
        count += 1
    with no_flusher():
        disks.sync(disk.point)
        fd = os.open(disk.where("d"), os.O_RDONLY)
        _forget_pages()
        _remove_last(disk, os.fstat(fd).st_ino, 1)
        os.link(disk.where("file"), disk.where(f"d/{new}"))
        disks.sync(disk.point)
        _forget_pages()
        names = set(os.listdir(fd))
        os.close(fd)
    assert names == {new} | {f"{number:020}" for number in range(count - 1)}, \
        f"{image}: {count} names, and {len(names)} found; new: {new in names}"
    disk.umount()
    # the link of the one that is gone
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1) and "Entry" not in text, f"{image}: {text}"


@timeout(120)
def test_entry_is_gone(ctx):
    """The last entry of a block, behind which there was room, has become part of the one before:
    a new one is where it is found again."""
    for image in ("tiny-1k", "tiny-4k"):
        _repaired(ctx, image)
