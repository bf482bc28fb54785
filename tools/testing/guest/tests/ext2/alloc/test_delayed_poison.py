# SPDX-License-Identifier: GPL-2.0
"""An error of memory (madvise MADV_HWPOISON) in a page of a file: what the next read and the
next fsync say, as on ext4, which delays, too, and C ext2; and what had been promised for the
page is promised no more.

The pages are lost to the machine, some for each filesystem and test.
"""

import ctypes
import mmap
import os

import disks
import mapped
import writers
from lowlevel import error_of
from runner import long, timeout
from sysapi import libc

PAGE = mmap.PAGESIZE
PAGES = 8
MADV_HWPOISON = 100
EXT4 = "ext4"


def _poison(path, page, store):
    """Touches a page of a file, and has it fail; madvise's errno, if that is survived."""
    fd = os.open(path, os.O_RDWR)
    there = mapped.Page(fd, page)
    if store:
        there.store(100, b"stored")
    there.load(0, 1)
    done = libc.madvise(ctypes.c_void_p(there.address), ctypes.c_size_t(PAGE), MADV_HWPOISON)
    return ctypes.get_errno() if done else 0


def _told(fd, page):
    """What is read of a page: an errno, or whose bytes they are."""
    data, error = error_of(os.pread, fd, PAGE, page * PAGE)
    if error:
        return error
    if data == writers.content(7, page * PAGE, PAGE):
        return "as written"
    return "zeros" if not any(data) else "something else"


def _outcome(ctx, fstype, written, chunk, store):
    """What happens to a file of PAGES pages, written so many bytes at a time, and synced if
    it is `written`, when the fourth fails."""
    disk = disks.Disk(ctx, "blank-4k", fstype).mount()
    free = os.statvfs(disk.point).f_bfree
    fd = os.open(disk.where("f"), os.O_CREAT | os.O_RDWR, 0o644)
    for at in range(0, 0 if chunk == 0 else PAGES * PAGE, chunk or 1):
        os.pwrite(fd, writers.content(7, at, chunk), at)
    os.ftruncate(fd, PAGES * PAGE)
    if written:
        os.fsync(fd)
    text, code = writers.Child(_poison, disk.where("f"), 3, store).wait()
    found = {"ended": code or text, "failed": _told(fd, 3), "beside": _told(fd, 4),
             "fsync": [error_of(os.fsync, fd)[1] for _ in range(2)],
             "then": _told(fd, 3), "blocks": os.fstat(fd).st_blocks // (PAGE // 512)}
    os.close(fd)
    os.unlink(disk.where("f"))
    # the first hears of the lost page
    found["sync"] = [error_of(disks.sync, disk.point)[1] for _ in range(2)]
    assert found["sync"][1] == 0, found
    assert os.statvfs(disk.point).f_bfree == free, (os.statvfs(disk.point).f_bfree, free)
    if fstype == EXT4:
        disk.umount()
    else:
        disk.finish()
    ctx.log(f"{fstype}: {found}")
    return found


def _alike(ctx, forgotten=0, **how):
    """The same as in C ext4, but for so many blocks that it keeps, promised for nothing."""
    disks.delays(ctx)
    ctx.allow_log("Memory failure|MCE: Killing|Injecting memory failure")
    one = _outcome(ctx, EXT4, **how)
    two = _outcome(ctx, ctx.fstype, **how)
    three = _outcome(ctx, disks.C_FSTYPE, **how)
    ctx.log(f"{three}")
    assert {**two, "blocks": two["blocks"] + forgotten} == one, (two, one)
    return two, three


@long
@timeout(120)
def test_promised(ctx):
    """A page that has been written, and has no place yet."""
    _alike(ctx, forgotten=1, written=False, chunk=PAGE, store=False)


@long
@timeout(120)
def test_stored(ctx):
    """A page of a hole that has been stored to."""
    _alike(ctx, forgotten=1, written=False, chunk=0, store=True)


@long
@timeout(120)
def test_clean(ctx):
    """A page that is on the disk."""
    _alike(ctx, written=True, chunk=PAGE, store=False)


@long
@timeout(120)
def test_dirty_again(ctx):
    """A page that is on the disk, and has been stored to since."""
    _alike(ctx, written=True, chunk=PAGE, store=True)


@long
@timeout(120)
def test_large_promised(ctx):
    """A page of a large folio that has been written, and has no place yet."""
    _alike(ctx, written=False, chunk=PAGES * PAGE, store=False)


@long
@timeout(120)
def test_large_clean(ctx):
    """A page of a large folio that is on the disk."""
    _alike(ctx, written=True, chunk=PAGES * PAGE, store=False)
