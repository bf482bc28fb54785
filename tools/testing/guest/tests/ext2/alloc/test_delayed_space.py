# SPDX-License-Identifier: GPL-2.0
"""Blocks that get their places when they are written (B11): which are promised and which have
their places at once, who may have them, and what becomes of them, by what the bitmaps on the
device say beside statfs(2).
"""

import ctypes
import errno
import functools
import os

import directly
import disks
import ext2disk
import mapped
import writers
from lowlevel import error_of
from runner import timeout
from sysapi import check, libc
from test_delayed_cuts import set_synchronous
from test_twin import no_flusher

_SEED = 61
PAGE = mapped.SIZE


def _free(path):
    """How many blocks the bitmaps of an image call free, or those of a device, as its page cache
    has them; the groups count as many."""
    groups = ext2disk.Groups(path)
    free = [8 * len(bitmap) - int.from_bytes(bitmap, "little").bit_count()
            for bitmap in groups.block_bitmaps]
    assert free == [counts[0] for counts in groups.counts], (free, groups.counts)
    return sum(free)


def _promised(disk):
    """How many blocks are promised: those that bitmaps call free, and statfs(2) does not."""
    return _free(disk.device) - os.statvfs(disk.point).f_bfree


def _new(disk, name):
    return os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)


def _start_write(fd, offset, length):
    """sync_file_range(2): these pages are written, and waited for, and nothing else."""
    check(libc.sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(length), 7))


def _flush(device):
    """What has been written to a device is in its image."""
    fd = os.open(device, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def _said_of(ctx, disk, *words):
    """What e2fsck finds in the image now that has one of these words in it."""
    _, text = disks.fsck(ctx, disk.path, "-fn")
    return [line for line in text.splitlines() if any(word in line for word in words)]


@timeout(200)
def test_the_image_counts_what_has_its_place(ctx):
    """The inode of a file is stored while all of its blocks are promised, and again when some of
    them have got their places: the image counts only what has, in the inode and in the groups."""
    disks.delays(ctx)
    for image, block in (("blank-1k", 1024), ("blank-4k", 4096)):
        disk = disks.Disk(ctx, image).mount("delalloc")
        fd = _new(disk, "f")
        number = os.fstat(fd).st_ino
        blocks = 12 + block // 4 + 300
        os.ftruncate(fd, blocks * block)
        os.fsync(fd)
        disks.sync(disk.point)
        with no_flusher():
            # in small folios, of which each is written by itself
            for at in range(0, blocks * block, PAGE):
                os.pwrite(fd, b"i" * PAGE, at)
            promised = _promised(disk)
            assert promised > blocks, promised
            # who sets the size of such a file has the inode written, and nothing else
            set_synchronous(fd)
            os.ftruncate(fd, blocks * block + 1)
            _flush(disk.device)
            assert ext2disk.inode_size(disk.path, number) == blocks * block + 1
            assert _promised(disk) == promised
            status, text = disks.fsck(ctx, disk.path, "-fn")
            assert status == 0, text
            _start_write(fd, (12 + block // 4 + 100) * block, PAGE)
            os.ftruncate(fd, blocks * block + 2)
            _flush(disk.device)
            assert ext2disk.inode_size(disk.path, number) == blocks * block + 2
            assert 12 + block // 4 < _promised(disk) < promised - 100, _promised(disk)
            # the superblock counts when all is synced
            said = _said_of(ctx, disk, "i_blocks", "for group", "differences")
            assert not said, said
            _free(disk.path)
            os.fsync(fd)
            assert _promised(disk) == 0
        os.close(fd)
        disk.finish()


def _store_to_holes(disk, name, is_synchronous):
    """Store to pages of a file of holes; how many blocks it has then, and how many of all are
    promised."""
    fd = _new(disk, name)
    os.ftruncate(fd, 64 * PAGE)
    if is_synchronous:
        set_synchronous(fd)
    for index in (3, 20):
        with mapped.Page(fd, index) as page:
            page.store(5, b"stored")
    found = os.fstat(fd).st_blocks * 512 // os.statvfs(disk.point).f_bsize, _promised(disk)
    os.fsync(fd)
    for index in (3, 20):
        assert os.pread(fd, 6, index * PAGE + 5) == b"stored", name
    os.close(fd)
    return found


def test_synchronous(ctx):
    """chattr +S: what is stored to has its places at once."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount("delalloc")
    with no_flusher():
        # and the indirect block
        assert _store_to_holes(disk, "late", False) == (3, 3)
        assert _store_to_holes(disk, "soon", True) == (3, 0)
    disk.finish()


@timeout(200)
def test_many_gaps(ctx):
    """A file with hundreds of gaps between promised blocks: some hundred are promised, and the
    others have their places at once."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount("delalloc")
    fd = _new(disk, "f")
    with no_flusher():
        for number in range(600):
            os.pwrite(fd, writers.content(_SEED, 2 * number * 4096, 4096), 2 * number * 4096)
            if number == 400:
                # and the indirect block
                assert _promised(disk) == number + 2, _promised(disk)
        promised, taken = _promised(disk), os.fstat(fd).st_blocks // 8
        # two indirect blocks, the second behind the doubly indirect one
        assert taken == 600 + (3 if 2 * 599 >= 12 + 1024 else 1), taken
        assert 500 <= promised <= 520, promised
        os.fsync(fd)
        assert (_promised(disk), os.fstat(fd).st_blocks // 8) == (0, taken)
    ctx.drop_caches()
    for number in range(600):
        writers.check(disk.where("f"), _SEED, 4096, 2 * number * 4096)
    os.close(fd)
    disk.finish()


def test_nearly_full(ctx):
    """With fewer than 64 blocks left they get their places at once."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "tiny-4k").mount("delalloc")
    with no_flusher():
        for left, promised in ((200, 5), (50, 0)):
            fill = os.statvfs(disk.point).f_bfree - left
            # with an indirect block
            writers.make(disk.where(f"filler{left}"), 1, (fill - 1) * 4096)
            assert os.statvfs(disk.point).f_bfree == left, os.statvfs(disk.point)
            assert _promised(disk) == 0
            writers.make(disk.where(f"f{left}"), 2, 5 * 4096, sync=False)
            assert os.statvfs(disk.point).f_bfree == left - 5
            assert _promised(disk) == promised, (left, _promised(disk))
            disks.sync(disk.point)
            assert (os.statvfs(disk.point).f_bfree, _promised(disk)) == (left - 5, 0)
    disk.finish()


def _as_user(call, *args):
    os.setgroups([])
    os.setresgid(1000, 1000, 1000)
    os.setresuid(1000, 1000, 1000)
    return call(*args)


def _fill(path, seed):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    size = writers.fill(fd, (50_000, 1), functools.partial(writers.content, seed))
    os.close(fd)
    return size


def _sync(path):
    fd = os.open(path, os.O_RDONLY)
    number = error_of(os.fsync, fd)[1]
    os.close(fd)
    return number


def test_flusher_spends_reserved(ctx):
    """What is reserved is promised to root, who may have it: it gets its places, though a user
    has it written who may not have reserved blocks."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "full-1k").mount("delalloc")
    os.chmod(disk.point, 0o777)
    size = int(writers.Child(_as_user, _fill, disk.where("theirs"), 7).result())
    disks.sync(disk.point)
    assert os.statvfs(disk.point).f_bavail == 0, os.statvfs(disk.point)
    with no_flusher():
        writers.make(disk.where("roots"), _SEED, 300 * 1024, sync=False)
        free, promised = os.statvfs(disk.point).f_bfree, _promised(disk)
        assert promised > 300, promised
        assert writers.Child(_as_user, _sync, disk.where("roots")).result() == "0"
        assert (os.statvfs(disk.point).f_bfree, _promised(disk)) == (free, 0)
    ctx.drop_caches()
    writers.check(disk.where("roots"), _SEED, 300 * 1024)
    writers.check(disk.where("theirs"), 7, size)
    disk.finish()


def _names_until_full(disk, prefix):
    for number in range(1000):
        error = error_of(os.mknod, disk.where(f"{prefix}{number}" + "-" * 200))[1]
        if error:
            assert error == errno.ENOSPC, errno.errorcode.get(error)
            return number
    raise AssertionError("1,000 names on a full disk")


def test_names_and_attributes_get_nothing(ctx):
    """The disk is full of promises: no directory grows, and nothing gets a block for attributes;
    with a promise less it does, and all the rest that was accepted can be written."""
    disks.delays(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount("delalloc")
    for name in ("own", "other"):
        os.mknod(disk.where(name))
    with no_flusher():
        writers.make(disk.where("f0"), 0, 10_000_000, sync=False)
        size = _fill(disk.where("f1"), 1)
        assert os.statvfs(disk.point).f_bfree == 0, os.statvfs(disk.point)
        promised = _promised(disk)
        assert promised > 10_000, promised
        assert error_of(os.setxattr, disk.where("own"), "user.a", b"v" * 200)[1] == errno.ENOSPC
        _names_until_full(disk, "name")
        assert (os.statvfs(disk.point).f_bfree, _promised(disk)) == (0, promised)
        os.truncate(disk.where("f1"), size // 1024 * 1024 - 2048)
        os.setxattr(disk.where("own"), "user.a", b"v" * 200)
        # a block more has room for four
        assert _names_until_full(disk, "more") >= 4
        assert os.statvfs(disk.point).f_bfree == 0, os.statvfs(disk.point)
        disks.sync(disk.point)
    ctx.drop_caches()
    writers.check(disk.where("f0"), 0, 10_000_000)
    writers.check(disk.where("f1"), 1, size // 1024 * 1024 - 2048)
    assert os.getxattr(disk.where("own"), "user.a") == b"v" * 200
    disk.finish()


def test_read_directly(ctx):
    """What has been stored through a mapping, and is promised its places, is what a direct read
    gives; and where nothing was stored beside it there are zeros."""
    disks.delays(ctx)
    for image in ("blank-1k", "blank-4k"):
        disk = disks.Disk(ctx, image)
        writers.stain(disk)
        disk.mount("delalloc")
        fd = _new(disk, "f")
        os.ftruncate(fd, 64 * PAGE)
        want = bytearray(64 * PAGE)
        direct = os.open(disk.where("f"), os.O_RDONLY | os.O_DIRECT)
        with no_flusher():
            for number, index in enumerate((3, 20, 21, 50)):
                with mapped.Page(fd, index) as page:
                    page.store(100, b"stored")
                want[index * PAGE + 100:index * PAGE + 106] = b"stored"
                assert _promised(disk) > 0, (image, index)
                first = 16 * number * PAGE // 2
                assert directly.read(direct, first, len(want) - first) == want[first:], index
        os.close(direct)
        os.close(fd)
        disk.finish()


def _leave(ctx, how):
    """A file is promised blocks, and then an error makes the filesystem read-only: `how` is what
    is done with the file. What fsync(2) says, and the sizes and counts when it is mounted again."""
    disk = disks.Disk(ctx, "namespace-counts").mount("errors=remount-ro,delalloc")
    path, size = disk.where("f"), 200_000
    writers.make(path, _SEED, 5000)
    disks.sync(disk.point)
    before, said = os.statvfs(disk.point).f_bfree, []
    with no_flusher():
        fd = os.open(path, os.O_RDWR)
        os.pwrite(fd, writers.content(_SEED, 0, size), 0)
        promised = _promised(disk)
        assert promised * os.statvfs(disk.point).f_bsize > size - 5000 - 4096, promised
        assert os.statvfs(disk.point).f_bfree == before - promised
        assert error_of(os.mkdir, disk.where("one/new"))[1] == errno.EUCLEAN
        assert os.statvfs(disk.point).f_flag & os.ST_RDONLY
        if how == "fsync":
            said = [error_of(os.fsync, fd)[1] for _ in range(2)]
        left = _promised(disk)
        os.close(fd)
        disk.umount()
    _, text = disks.fsck(ctx, disk.path, "-fn")
    ctx.log(f"{how}: {promised} promised, then {left}, fsync says {said}\n{text}")
    free = _free(disk.path)
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status == 1 and "ultiply-claimed" not in text, text
    for word in ("i_blocks", "Free blocks count", "Block bitmap differences"):
        assert word not in text, text
    disk.mount()
    assert os.statvfs(disk.point).f_bfree == free == before, (free, before)
    assert os.path.getsize(disk.where("f")) in (5000, size)
    writers.check(disk.where("f"), _SEED, 5000)
    disk.finish()
    return left, said


@timeout(200)
def test_read_only_with_promises(ctx):
    """An error makes the filesystem read-only while blocks of a file are promised: nothing gets a
    place any more. fsync(2) says that what was written is lost, once; whether it is asked or not,
    what was promised comes back, and the filesystem can be unmounted."""
    disks.delays(ctx)
    left, said = _leave(ctx, "fsync")
    assert left == 0 and said[0] and not said[1], (left, said)
    left, _ = _leave(ctx, "umount")
    assert left > 0, left
