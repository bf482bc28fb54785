# SPDX-License-Identifier: GPL-2.0
"""RWF_DONTCACHE (B20): what is read or written so is in memory afterwards only if it was
before."""

import errno
import mmap
import os

import directly
import disks
import lowlevel
import mapped
import page_cache
import sysapi
import waiting
from runner import timeout
from sysapi import libc

PAGE = mmap.PAGESIZE
PAGES = 48
DONTCACHE, RWF_APPEND = 0x80, 0x10


def cached(fd, length=PAGES * PAGE):
    """The pages of a file's beginning that are in memory."""
    address = libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    vector = mapped.ctypes.create_string_buffer(-(-length // PAGE))
    sysapi.check(libc.mincore(mapped.ctypes.c_void_p(address),
                              mapped.ctypes.c_size_t(length), vector))
    libc.munmap(address, length)
    return {index for index, byte in enumerate(vector.raw[:-1]) if byte & 1}


def _drop(fd):
    os.fsync(fd)
    page_cache.drop(fd)
    assert not cached(fd)


def _write(fd, data, offset, pieces):
    """With DONTCACHE, in so many calls."""
    step = len(data) // pieces
    for at in range(0, len(data), step):
        assert os.pwritev(fd, [data[at:at + step]], offset + at, DONTCACHE) == step


def _read(fd, length, offset=0):
    area = bytearray(length)
    assert os.preadv(fd, [area], offset, DONTCACHE) == length
    return bytes(area)


def _script(disk):
    """What is there and in memory after each step."""
    data = os.urandom(PAGES * PAGE)
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
    for pieces in (1, 6, PAGES):
        _write(fd, data, 0, pieces)
        waiting.until(lambda: not cached(fd), f"{disk}: written in {pieces} pieces")
        assert os.pread(fd, len(data), 0) == data
        _drop(fd)
    # written over what is not in memory, and a part of a page
    _write(fd, data[:1000], 5 * PAGE + 100, 1)
    data = data[:5 * PAGE + 100] + data[:1000] + data[5 * PAGE + 1100:]
    waiting.until(lambda: not cached(fd), f"{disk}: a part of a page")
    assert _read(fd, len(data)) == data
    waiting.until(lambda: not cached(fd), f"{disk}: read")
    # what is in memory before stays there
    assert os.pread(fd, PAGE, 3 * PAGE) == data[3 * PAGE:4 * PAGE]
    os.posix_fadvise(fd, 4 * PAGE, 0, os.POSIX_FADV_DONTNEED)
    before = cached(fd)
    assert 3 in before
    _write(fd, data, 0, 1)
    os.fsync(fd)
    waiting.until(lambda: cached(fd) <= before, f"{disk}: beside what was there")
    assert 3 in cached(fd)
    assert _read(fd, len(data)) == data
    assert 3 in cached(fd)
    # and so does what somebody else writes before it is written back
    _drop(fd)
    os.pwritev(fd, [data[:PAGE]], 0, DONTCACHE)
    os.pwrite(fd, data[:PAGE], 0)
    os.fsync(fd)
    os.close(fd)
    with open(disk.where("file"), "rb") as file:
        assert file.read() == data


@timeout(120)
def test_not_kept_in_memory(ctx):
    """In few calls and many, whole pages and parts; what was there before stays."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2: EOPNOTSUPP")
    for image in ("blank-1k", "blank-4k"):
        disk = disks.Disk(ctx, image).mount()
        _script(disk)
        disk.finish()


def _answers(disk):
    """[(what is asked, bytes or the errno, the size then)], of both flags and others."""
    fd = os.open(disk.where("asked"), os.O_RDWR | os.O_CREAT, 0o644)
    direct = os.open(disk.where("asked"), os.O_RDWR | os.O_DIRECT)
    area, found = directly.area(PAGE, 7), []

    def note(what, call, *args):
        answer, number = lowlevel.error_of(call, *args)
        found.append((what, answer, errno.errorcode.get(number), os.fstat(fd).st_size))

    note("write", os.pwritev, fd, [b"x" * 3 * PAGE], 0, DONTCACHE)
    note("append", os.pwritev, fd, [b"y" * 100], 0, DONTCACHE | RWF_APPEND)
    note("over the end", os.pwritev, fd, [b"z" * PAGE], 9 * PAGE, DONTCACHE)
    note("nothing", os.pwritev, fd, [b""], 0, DONTCACHE)
    note("synchronous", os.pwritev, fd, [b"s" * PAGE], 20 * PAGE, DONTCACHE | os.RWF_DSYNC)
    note("without waiting", os.pwritev, fd, [b"n"], 0, DONTCACHE | os.RWF_NOWAIT)
    _drop(fd)
    os.pread(fd, PAGE, 0)
    note("read what is there without waiting", os.preadv, fd, [area], 0,
         DONTCACHE | os.RWF_NOWAIT)
    note("read a hole", os.preadv, fd, [area], 6 * PAGE, DONTCACHE)
    note("read at the end", os.preadv, fd, [area], 21 * PAGE, DONTCACHE)
    note("read behind the end", os.preadv, fd, [area], 1 << 40, DONTCACHE)
    note("read directly", os.preadv, direct, [area], 0, DONTCACHE)
    note("write directly", os.pwritev, direct, [area], 0, DONTCACHE)
    os.close(direct)
    os.close(fd)
    with open(disk.where("asked"), "rb") as file:
        found.append(file.read())
    return found


@timeout(60)
def test_beside_ext4(ctx):
    """Each answer is the same in ext4. What is in memory then is not compared: where an
    interrupt ends writeback, as there without extents, the kernel leaves pages alone."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2: EOPNOTSUPP")
    for image in ("blank-1k", "blank-4k"):
        answers = []
        for fstype in ("ext4", ctx.fstype):
            disk = disks.Disk(ctx, image, fstype).mount()
            answers.append(_answers(disk))
            disk.finish()
        wrong = [f"in ext4 {str(there)[:300]}\nhere {str(here)[:300]}"
                 for there, here in zip(*answers) if there != here]
        assert not wrong, image + "\n" + "\n".join(wrong)
        errors = {step[2] for step in answers[0][:-1]}
        assert errors == {None, errno.errorcode[errno.EOPNOTSUPP]}, answers[0][:-1]


@timeout(60)
def test_scattered(ctx):
    """Pages of which each block is elsewhere are written in pieces, and leave memory, too;
    holes are read and do not stay. C refuses it."""
    of_c = disks.Disk(ctx, "blank-1k", disks.C_FSTYPE).mount()
    fd = os.open(of_c.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
    for call, *args in ((os.pwritev, [b"x"]), (os.preadv, [bytearray(1)])):
        assert lowlevel.error_of(call, fd, *args, 0, DONTCACHE)[1] == errno.EOPNOTSUPP
    os.close(fd)
    of_c.umount()
    if ctx.fstype == disks.C_FSTYPE:
        return
    disk = disks.Disk(ctx, "blank-1k").mount("noreservation")
    fds = [os.open(disk.where(name), os.O_RDWR | os.O_CREAT, 0o644)
           for name in ("file", "other")]
    for block in range(40):
        for fd in fds:
            os.pwrite(fd, b"o" * 1024, block * 1024)
            lowlevel.sync_data(fd)
    fd = fds[0]
    places = [lowlevel.fibmap(fd, block) for block in range(40)]
    assert all(two != one + 1 for one, two in zip(places, places[1:])), places
    _drop(fd)
    data = os.urandom(40 * 1024)
    _write(fd, data, 0, 1)
    waiting.until(lambda: not cached(fd), "written in pieces")
    assert _read(fd, len(data)) == data
    os.ftruncate(fd, PAGES * PAGE)
    assert _read(fd, PAGES * PAGE - len(data), len(data)) == \
        bytes(PAGES * PAGE - len(data))
    waiting.until(lambda: not cached(fd), "holes that were read")
    for fd in fds:
        os.close(fd)
    disk.finish()
