# SPDX-License-Identifier: GPL-2.0
"""SEEK_DATA and SEEK_HOLE, which C ext2 does not have: it calls a file all data. And
reads that may not wait, which it does not take.
"""

import ctypes
import errno
import mmap
import os
import random

import disks
import disturb
import lowlevel
import page_cache
import waiting
from runner import timeout
from sysapi import check, libc

PAGE = mmap.PAGESIZE
NOT_SUPPORTED = errno.errorcode[errno.EOPNOTSUPP]
BLOCKS = 700  # of 1 KiB: behind the double indirect block


def _rust_only(ctx):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 has neither")


def _open(disk, name, flags=0):
    return os.open(disk.where(name), os.O_RDWR | os.O_CREAT | flags, 0o644)


def _found(fd, at, whence):
    answer, number = lowlevel.error_of(os.lseek, fd, at, whence)
    return errno.errorcode[number] if number else answer


class Model:
    """What the answers have to be: the blocks that are data, and the size."""

    def __init__(self, block):
        self.block, self.size, self.data = block, 0, set()

    def wrote(self, start, length):
        self.data |= set(range(start // self.block, -(-(start + length) // self.block)))
        self.size = max(self.size, start + length)

    def cut(self, size):
        self.size = size
        self.data = {at for at in self.data if at * self.block < size}

    def answer(self, at, whence):
        if at >= self.size:
            return "ENXIO"
        for block in range(at // self.block, -(-self.size // self.block)):
            if (block in self.data) == (whence == os.SEEK_DATA):
                return max(at, block * self.block)
        return self.size if whence == os.SEEK_HOLE else "ENXIO"

    def check(self, fd, places):
        for at in places:
            for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                got, want = _found(fd, at, whence), self.answer(at, whence)
                assert got == want, \
                    f"from {at} {'data' if whence == os.SEEK_DATA else 'hole'}: {got}, not {want}"


def _places(rng, model):
    size, block = model.size, model.block
    return [0, 1, block, size - 1, size, size + 1, *(
        rng.randrange(max(size, 1)) for _ in range(25))]


@timeout(300)
def test_data_and_holes(ctx):
    """Written, stored, cut, grown; in memory only, while it is written, on the disk, after
    a mount."""
    _rust_only(ctx)
    rng = random.Random(ctx.seed(5))
    for image, block in (("blank-1k", 1024), ("blank-4k", 4096)):
        disk = disks.Disk(ctx, image).mount()
        fd, model = _open(disk, "file"), Model(block)
        model.check(fd, (0, 1))
        for step in range(24):
            start = rng.randrange(BLOCKS) * block + rng.randrange(block)
            length = 1 + rng.randrange(5 * block)
            kind = step % 4
            if kind == 3:
                os.ftruncate(fd, start)
                model.cut(start)
            else:
                os.pwrite(fd, b"w" * length, start)
                model.wrote(start, length)
            if kind == 1:
                os.fsync(fd)
            elif kind == 2:
                lowlevel.sync_data(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            model.check(fd, _places(rng, model))
        model.check(fd, (1 << 40,))
        os.close(fd)
        disk.umount()
        disk.mount()
        fd = _open(disk, "file")
        model.check(fd, _places(rng, model))
        os.pread(fd, model.size, 0)  # clean pages of holes are no data
        model.check(fd, _places(rng, model))
        assert _found(fd, -1, os.SEEK_DATA) == "ENXIO"
        os.close(fd)
        disk.finish()


def test_stores(ctx):
    """A store to a mapped hole is data at once."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount()
    fd, model = _open(disk, "file"), Model(4096)
    os.ftruncate(fd, 64 * PAGE)
    model.size = 64 * PAGE
    model.check(fd, (0, PAGE))
    with mmap.mmap(fd, 64 * PAGE) as area:
        assert area[40 * PAGE] == 0
        model.check(fd, (0, 40 * PAGE))
        area[30 * PAGE] = 1
        model.wrote(30 * PAGE, PAGE)
        model.check(fd, (0, 29 * PAGE, 30 * PAGE, 31 * PAGE))
    os.close(fd)
    disk.finish()


def test_while_it_is_written(ctx):
    """Data is data while the device has taken nothing of it yet. It has its places: who is
    given some has the folio locked until the device has said which are free."""
    _rust_only(ctx)
    disk, device = waiting.held_up(ctx, "blank-1k")
    disk.mount(disks.at_once(disk.fstype), device=device.path)
    fd, model = _open(disk, "file"), Model(1024)
    os.pwrite(fd, b"d" * 3000, 50 * 1024)
    model.wrote(50 * 1024, 3000)
    with device.suspended():
        writing = waiting.Task(lowlevel.sync_data, fd)
        assert writing.falls_asleep(), writing
        model.check(fd, (0, 49 * 1024, 50 * 1024, 52 * 1024))
    writing.result()
    model.check(fd, (0, 49 * 1024, 50 * 1024, 52 * 1024))
    os.close(fd)
    disk.finish()


def _start_write(fd, offset, length):
    check(libc.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), 7))


def test_while_it_gets_its_place(ctx):
    """A page whose first blocks are on their way to the disk, while its last one waits
    for a bitmap to get a place: that is data, too. Only what is delayed waits for that
    when it is written."""
    disks.delays(ctx)
    disk, device = waiting.held_up(ctx, "blank-1k")
    disk.mount(device=device.path)
    fd = _open(disk, "file")
    for block in (2, 1, 0):  # each in a place of its own
        os.pwrite(fd, b"o" * 1024, block * 1024)
        os.fsync(fd)
    places = [lowlevel.fibmap(fd, block) for block in range(4)]
    assert places[3] == 0 and places[1] != places[0] + 1 and places[2] != places[1] + 1, places
    os.close(fd)
    # so that no bitmap is in memory
    disk.umount()
    disk.mount(device=device.path)
    fd, model = _open(disk, "file"), Model(1024)
    os.pwrite(fd, b"n" * PAGE, 0)
    model.wrote(0, PAGE)
    disturb.reclaim()
    with device.suspended():
        writing = waiting.Task(_start_write, fd, 0, PAGE)
        assert writing.falls_asleep(), writing
        seeking = waiting.Task(model.check, fd, (3 * 1024,))
        assert seeking.falls_asleep(), seeking
    seeking.result()
    writing.result()
    os.close(fd)
    disk.finish()


def _now(fd, length, offset, direct=False):
    """What a read answers that may not wait."""
    area = mmap.mmap(-1, length)
    answer, number = lowlevel.error_of(os.preadv, fd, [area], offset, os.RWF_NOWAIT)
    if number:
        return errno.errorcode[number]
    return bytes(area[:answer]) if not direct else answer


def _write_now(fd, offset=0, data=b"x"):
    """The error of a write that may not wait, or how much it has written."""
    answer, number = lowlevel.error_of(os.pwritev, fd, [data], offset, os.RWF_NOWAIT)
    return errno.errorcode[number] if number else answer


def _write_now_in_c(ctx):
    disk = disks.Disk(ctx, "blank-4k", disks.C_FSTYPE).mount()
    fd = _open(disk, "file")
    os.pwrite(fd, b"m" * PAGE, 0)
    try:
        return _write_now(fd)
    finally:
        os.close(fd)
        disk.umount()


def _answers_now(ctx, fstype):
    """[(what was asked by who may not wait, the answer)]. Not of what is otherwise in ext4 where
    there are no extents: that lets nobody write directly over what is there, and has who reads
    what nobody knows the place of wait all the same."""
    disk = disks.Disk(ctx, "blank-4k", fstype)
    device = waiting.in_front_of(ctx, disk)
    disk.mount(device=device.path)
    fd, direct = _open(disk, "file"), _open(disk, "file", os.O_DIRECT)
    area, found = mmap.mmap(-1, PAGE), []

    def note(what, call, *args):
        found.append((what, call(*args)))

    def forget():
        os.fsync(fd)
        page_cache.drop(fd)

    os.pwrite(fd, b"m" * 40 * PAGE, 0)
    os.fsync(fd)
    note("in memory", _now, fd, 2 * PAGE, 0)
    note("at the end", _now, fd, PAGE, 40 * PAGE)
    note("behind the end", _now, fd, PAGE, 80 * PAGE)
    note("over the end", _now, fd, 3 * PAGE, 39 * PAGE)
    note("a write to memory", _write_now, fd)
    note("one behind the end", _write_now, fd, 40 * PAGE)
    forget()
    with device.suspended():
        note("not in memory", _now, fd, PAGE, 0)
        note("over what is not", _now, fd, 8 * PAGE, 4 * PAGE)
    os.pread(fd, 40 * PAGE, 0)
    forget()
    note("known, directly", _now, direct, PAGE, 3 * PAGE, True)
    note("at the end, directly", _now, direct, PAGE, 40 * PAGE, True)
    note("longer, written directly", _write_now, direct, 40 * PAGE, area)
    note("behind the end, written directly", _write_now, direct, 60 * PAGE, area)
    os.ftruncate(fd, 60 * PAGE)
    note("a hole, written directly", _write_now, direct, 50 * PAGE, area)
    note("in a hole, not in memory", _now, fd, PAGE, 50 * PAGE)
    os.close(fd)
    os.close(direct)
    disk.umount()
    disk.mount(device=device.path)
    direct = _open(disk, "file", os.O_DIRECT)
    os.preadv(direct, [area], 20 * PAGE)
    note("known now, directly", _now, direct, PAGE, 20 * PAGE, True)
    note("size", os.lseek, direct, 0, os.SEEK_END)
    os.close(direct)
    disk.finish()
    return found


@timeout(120)
def test_not_waiting_beside_ext4(ctx):
    """Who may not wait has the same answers in ext4."""
    _rust_only(ctx)
    want, got = (_answers_now(ctx, fstype) for fstype in ("ext4", ctx.fstype))
    wrong = [f"in ext4 {str(there)[:200]}, here {str(here)[:200]}"
             for there, here in zip(want, got) if there != here]
    assert not wrong, "\n".join(wrong)
    assert {answer for _, answer in want if isinstance(answer, str)} == {"EAGAIN", NOT_SUPPORTED}


def test_reads_that_do_not_wait(ctx):
    """What is in memory is read, and the rest is EAGAIN, as it is directly while somebody
    else has the file to himself or where nobody knows yet where a block is."""
    _rust_only(ctx)
    disk, device = waiting.held_up(ctx, "blank-4k")
    disk.mount(device=device.path)
    fd, direct = _open(disk, "file"), _open(disk, "file", os.O_DIRECT)
    os.pwrite(fd, b"m" * 40 * PAGE, 0)
    os.fsync(fd)
    assert _now(fd, 2 * PAGE, 0) == b"m" * 2 * PAGE
    assert _now(fd, PAGE, 40 * PAGE) == b""
    # as in C and in ext4, which have nobody write to the cache without waiting; xfs has
    assert _write_now(fd) == _write_now_in_c(ctx) == NOT_SUPPORTED
    assert os.pread(fd, 1, 0) == b"m"
    page_cache.drop(fd)
    with device.suspended():
        assert _now(fd, PAGE, 0) == "EAGAIN"
    os.pread(fd, 40 * PAGE, 0)
    page_cache.drop(fd)
    assert _now(direct, PAGE, 3 * PAGE, True) == PAGE
    os.close(fd)
    os.close(direct)
    disk.umount()
    disk.mount(device=device.path)
    direct = _open(disk, "file", os.O_DIRECT)
    assert _now(direct, PAGE, 20 * PAGE, True) == "EAGAIN"
    area = mmap.mmap(-1, PAGE)
    assert os.preadv(direct, [area], 20 * PAGE) == PAGE
    assert _now(direct, PAGE, 21 * PAGE, True) == PAGE
    assert os.pwritev(direct, [area], 20 * PAGE, os.RWF_NOWAIT) == PAGE
    for offset in (40 * PAGE, 60 * PAGE):
        assert _write_now(direct, offset, area) == "EAGAIN"
    os.close(direct)
    disk.finish()
