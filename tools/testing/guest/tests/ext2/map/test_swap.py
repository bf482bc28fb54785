# SPDX-License-Identifier: GPL-2.0
"""Swap files (E6): the kernel maps one with bmap when it is switched on, and writes
to its blocks behind the filesystem's back.
"""

import contextlib
import ctypes
import errno
import mmap
import os

import disks
import disturb
import sysapi
import writers
from lowlevel import error_of
from runner import timeout

SIZE = 6 << 20
PAGEOUT = 21  # MADV_PAGEOUT


def _header():
    """The first page of a swap area, version 1."""
    page = bytearray(mmap.PAGESIZE)
    page[1024:1032] = (1).to_bytes(4, "little") + \
        (SIZE // mmap.PAGESIZE - 1).to_bytes(4, "little")
    page[-10:] = b"SWAPSPACE2"
    return bytes(page)


def _make(path, holes=False, synced=True):
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(_header())
        if holes:
            file.seek(SIZE - mmap.PAGESIZE)
            file.write(bytes(mmap.PAGESIZE))
        else:
            file.write(bytes(SIZE - mmap.PAGESIZE))
        if synced:
            os.fsync(file.fileno())


def _swapon(path):
    sysapi.check(sysapi.libc.swapon(os.fsencode(path), 0), path)


def _swapoff(path):
    sysapi.check(sysapi.libc.swapoff(os.fsencode(path)), path)


def _used(path):
    """KiB in use, as /proc/swaps has it; None if it is no swap area."""
    with open("/proc/swaps", encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[0] == path:
                return int(fields[3])
    return None


def _swapped_out_and_in(path):
    """Push memory out to the file, and look at what comes back."""
    data = writers.content(7, 0, SIZE // 2)
    with mmap.mmap(-1, len(data), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        area[:] = data
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        sysapi.check(sysapi.libc.madvise(
            ctypes.c_void_p(address), ctypes.c_size_t(len(data)), PAGEOUT))
        used = _used(path)
        assert used and used * 1024 > len(data) // 2, f"{used} KiB were swapped out"
        assert area[:] == data, "what came back is something else"


def _refusals(path):
    """What cannot be done to a file while the kernel swaps to it."""
    def shorten():
        os.truncate(path, 0)

    def write():
        with open(path, "r+b", 0) as file:
            file.write(b"x")

    return [error_of(call)[1] for call in
            (shorten, write, lambda: os.unlink(path), lambda: os.link(path, path + "2"))]


def _story(ctx, image, fstype, options="", synced=True):
    """What is refused. If it is not `synced`, the file has no block before swapon(2)."""
    disk = disks.Disk(ctx, image, fstype).mount(options)
    path, holes = disk.where("swap"), disk.where("holes")
    _make(holes, holes=True)
    with disturb.tuned(dirty_writeback_centisecs=0):
        _make(path, synced=synced)
        told = _swap_to(ctx, disk, path, holes)
    told.append(_refusals(path))
    disk.finish()
    return told


def _swap_to(ctx, disk, path, holes):
    told = [error_of(_swapon, holes)[1]]
    _swapon(path)
    with contextlib.ExitStack() as undo:
        undo.callback(_swapoff, path)
        told.append(_refusals(path))
        told.append(error_of(ctx.umount, disk.point)[1])
        _swapped_out_and_in(path)
    return told


@timeout(200)
def test_swap(ctx):
    """1 KiB and 4 KiB blocks; what is refused meanwhile, as in C. With 4 KiB nobody has synced
    the file where blocks are promised: swapon(2) has them given out, and all of it written, or
    it would be later, over what has been swapped."""
    for image in ("large-1k", "large-4k"):
        late = image == "large-4k" and ctx.fstype != disks.C_FSTYPE
        ours = _story(ctx, image, ctx.fstype, *(("delalloc", False) if late else ()))
        of_c = _story(ctx, image, disks.C_FSTYPE)
        assert ours == of_c, f"{ours}\nin C: {of_c}"
        assert ours[0] == errno.EINVAL and ours[1][:2] == [errno.ETXTBSY] * 2, ours
