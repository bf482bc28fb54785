# SPDX-License-Identifier: GPL-2.0
"""A full disk (E7, W17, B10): writers of every kind run into ENOSPC, what had been
synced stays as it was, what write(2) said was written is there, fsync reports what
could not be, and the room that is freed can be used again.

At the end of each test e2fsck finds nothing: no block is lost and none is owned
twice.
"""

import errno
import functools
import mmap
import os
import random
import signal

import disks
import writers
from lowlevel import error_of
from runner import parallel, timeout

_SYNCED = 300_000
_CHUNK = 50_000


def _ready(ctx, image, options=""):
    """A disk with two files that are synced; the rest of it is free."""
    disk = disks.Disk(ctx, image).mount(options)
    writers.make(disk.where("synced"), 1, _SYNCED)
    writers.make(disk.where("small"), 2, 1000)
    return disk


def _unharmed(disk):
    writers.check(disk.where("synced"), 1, _SYNCED)
    writers.check(disk.where("small"), 2, 1000)


def _fill(path, seed, append=False):
    """Write until nothing goes any more; how many bytes did."""
    flags = os.O_CREAT | os.O_WRONLY | (os.O_APPEND if append else 0)
    fd = os.open(path, flags, 0o644)
    try:
        # the second size is for the rest of the last block
        total = writers.fill(fd, (_CHUNK, 1), functools.partial(writers.content, seed),
                             append)
        assert os.fstat(fd).st_size == total, "more than what was written"
        os.fsync(fd)
    finally:
        os.close(fd)
    return total


def _free(disk):
    return os.statvfs(disk.point).f_bfree


def _fill_and_refill(ctx, image, append):
    disk = _ready(ctx, image)
    before = _free(disk)
    first = _fill(disk.where("filler"), 3, append)
    left = _free(disk)
    assert left <= 3, f"{left} blocks are left, and nothing can be written"
    disk.umount()
    disk.check()
    disk.mount()
    assert _free(disk) == left
    writers.check(disk.where("filler"), 3, first)
    _unharmed(disk)
    os.unlink(disk.where("filler"))
    assert _free(disk) == before, "what was freed is not what was taken"
    second = _fill(disk.where("again"), 4, append)
    assert second == first, f"{second} bytes the second time, {first} the first"
    # half of it, and then that much again
    os.truncate(disk.where("again"), second // 2)
    third = _fill(disk.where("third"), 5, append)
    assert third > second // 3, f"{third} bytes in the half of {second}"
    ctx.drop_caches()
    writers.check(disk.where("again"), 4, second // 2)
    writers.check(disk.where("third"), 5, third)
    _unharmed(disk)
    disk.finish()


def test_buffered_1k(ctx):
    """write(2) at offsets, 1 KiB blocks."""
    _fill_and_refill(ctx, "full-1k", append=False)


def test_append_4k(ctx):
    """O_APPEND, 4 KiB blocks."""
    _fill_and_refill(ctx, "full-4k", append=True)


def _map(path, seed, length, pages):
    """Write these pages of a file of holes through a mapping and sync it; the
    errno of msync, 0 for none."""
    fd = os.open(path, os.O_RDWR)
    try:
        with mmap.mmap(fd, length) as area:
            for page in pages:
                start = page * mmap.PAGESIZE
                area[start:start + mmap.PAGESIZE] = \
                    writers.content(seed, start, mmap.PAGESIZE)
            return error_of(area.flush)[1]
    finally:
        os.close(fd)


def _sparse(disk, name, length):
    fd = os.open(disk.where(name), os.O_CREAT | os.O_RDWR, 0o644)
    os.ftruncate(fd, length)
    os.close(fd)


def _mapped(ctx, image):
    """A mapping of holes, on a disk that has room for a part of them.

    C ext2 finds out at writeback: msync says ENOSPC (where ext4 serves as ext2, it is
    a SIGBUS there, too). B10: the fault of the page
    that there is no room for is a SIGBUS, and what was there before it is kept.
    """
    disk = _ready(ctx, image)
    _fill(disk.where("filler"), 3)
    os.truncate(disk.where("filler"), os.path.getsize(disk.where("filler")) - 100_000)
    length = 400_000 // mmap.PAGESIZE * mmap.PAGESIZE
    _sparse(disk, "holes", length)
    pages = range(length // mmap.PAGESIZE)
    text, code = writers.Child(_map, disk.where("holes"), 6, length, pages).wait()
    if disk.fstype != disks.C_FSTYPE or code:
        assert code == -signal.SIGBUS, f"no SIGBUS: {code} {text}"
    else:
        assert text == str(errno.ENOSPC), f"msync: {text}"
    # where msync has said so, syncfs says it too
    number = error_of(disks.sync, disk.point)[1]
    assert number in ((0,) if code else (0, errno.ENOSPC)), number
    assert _free(disk) <= 3, _free(disk)
    # pages that have blocks can be written to on a full disk, and are kept
    blocks = os.stat(disk.where("filler")).st_blocks
    text = writers.Child(_map, disk.where("filler"), 7, mmap.PAGESIZE * 8,
                         range(8)).result()
    assert text == "0", f"msync of pages with blocks: {text}"
    assert os.stat(disk.where("filler")).st_blocks == blocks
    if disk.fstype != disks.C_FSTYPE:
        _first_pages(disk, length)
    disk.umount()
    disk.check()
    disk.mount()
    writers.check(disk.where("filler"), 7, mmap.PAGESIZE * 8)
    _unharmed(disk)
    os.unlink(disk.where("holes"))
    # there is room now: the same goes through
    _sparse(disk, "room", 80_000)
    text = writers.Child(_map, disk.where("room"), 8, 80_000 // 4096 * 4096,
                         range(80_000 // 4096)).result()
    assert text == "0", text
    writers.check(disk.where("room"), 8, 80_000 // 4096 * 4096)
    disk.finish()


def _first_pages(disk, length):
    """What the mapping wrote before the SIGBUS is there: a prefix of pages."""
    with open(disk.where("holes"), "rb") as file:
        data = file.read()
    assert len(data) == length
    end = next((at for at in range(0, length, mmap.PAGESIZE)
                if data[at:at + mmap.PAGESIZE] != writers.content(6, at, mmap.PAGESIZE)),
               length)
    assert end >= mmap.PAGESIZE * 8, f"only {end} bytes had been written"
    assert not any(data[end:]), "something behind the fault that failed"


def test_mapped_1k(ctx):
    """mmap of holes, 1 KiB blocks."""
    _mapped(ctx, "full-1k")


def test_mapped_4k(ctx):
    """mmap of holes, 4 KiB blocks."""
    _mapped(ctx, "full-4k")


def _names_until_full(disk, make):
    """Make names until there is no room for one; how many there are."""
    for number in range(10_000):
        _, error = error_of(make, disk.where(f"name{number}" + "-" * 200))
        if error:
            assert error == errno.ENOSPC, errno.errorcode.get(error)
            return number
    raise AssertionError("10,000 names on a full disk")


def test_names(ctx):
    """A disk without a free block: names go into slack, directories and long links
    do not; what fails leaves nothing behind."""
    disk = _ready(ctx, "full-1k")
    _fill(disk.where("filler"), 3)
    assert _free(disk) == 0, "no block at all may be free here"
    inodes = os.statvfs(disk.point).f_ffree
    for call in (lambda path: os.mkdir(path), lambda path: os.symlink("x" * 300, path)):
        number = error_of(call, disk.where("new"))[1]
        assert number == errno.ENOSPC, number
        assert not os.path.lexists(disk.where("new"))
    assert os.statvfs(disk.point).f_ffree == inodes
    count = _names_until_full(disk, lambda path: os.mknod(path))
    assert os.statvfs(disk.point).f_ffree == inodes - count
    # a name on an inode that is there has no room either, and takes no link
    for call, args in ((os.link, ("small", "link" + "-" * 200)),
                       (os.rename, ("small", "renamed" + "-" * 200))):
        number = error_of(call, *map(disk.where, args))[1]
        assert number == errno.ENOSPC, number
    assert os.stat(disk.where("small")).st_nlink == 1
    _unharmed(disk)
    # one name less, and one goes
    os.unlink(disk.where("name0" + "-" * 200))
    os.link(disk.where("small"), disk.where("link" + "-" * 200))
    assert os.stat(disk.where("small")).st_nlink == 2
    disk.finish()


def test_inodes(ctx):
    """All inodes taken: ENOSPC, the count is 0, and one that is freed is one more."""
    disk = _ready(ctx, "full-1k")
    free = os.statvfs(disk.point).f_ffree
    for number in range(free):
        os.mknod(disk.where(f"n{number}"))
    info = os.statvfs(disk.point)
    assert (info.f_ffree, info.f_favail) == (0, 0), info
    blocks = _free(disk)
    for call in (os.mknod, os.mkdir, lambda path: os.symlink("x", path),
                 lambda path: os.close(os.open(disk.point, os.O_TMPFILE | os.O_RDWR))):
        number = error_of(call, disk.where("more"))[1]
        assert number == errno.ENOSPC, number
    assert _free(disk) == blocks
    os.unlink(disk.where("n5"))
    os.mkdir(disk.where("more"))
    assert os.statvfs(disk.point).f_ffree == 0
    for number in range(free):
        if number != 5:
            os.unlink(disk.where(f"n{number}"))
    os.rmdir(disk.where("more"))
    assert os.statvfs(disk.point).f_ffree == free
    disk.finish()


def _fill_as(path, user, groups):
    """As a user without privileges; the bytes that went."""
    os.setgroups(groups)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    return _fill(path, 9)


def test_reserved(ctx):
    """Blocks kept for root, for resuid= and for resgid=: others get ENOSPC when
    f_bavail is 0, these when nothing is left. C asks a counter that each processor may
    be off by 32."""
    disk = _ready(ctx, "full-1k", "resuid=1001,resgid=1002")
    os.chmod(disk.point, 0o777)
    info = os.statvfs(disk.point)
    reserved = info.f_bfree - info.f_bavail
    # an indirect block more may be wanted than there is, or be had with the last one
    about = 3 + (32 * os.cpu_count() if disk.fstype == disks.C_FSTYPE else 0)
    assert reserved > 3 * about, info
    for user, groups, allowed in ((1000, [], False), (1001, [], True),
                                  (1003, [1002], True), (1000, [], False)):
        path = disk.where("theirs")
        writers.Child(_fill_as, path, user, groups).result()
        info = os.statvfs(disk.point)
        assert info.f_bavail <= (0 if allowed else about), info
        low, high = (0, 3) if allowed else (reserved - about, reserved + about)
        assert low <= info.f_bfree <= high, f"user {user} {groups}: {info.f_bfree} left"
        os.unlink(path)
    _unharmed(disk)
    disk.finish()


def _append_some(path, seed, rounds):
    """Fill, cut to a half, fill: a writer among others. The bytes at the end."""
    size = 0
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    for _ in range(rounds):
        while True:
            try:
                size += os.write(fd, writers.content(seed, size, 7001))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                break
        assert os.fstat(fd).st_size == size
        size //= 2
        os.ftruncate(fd, size)
    os.close(fd)
    return size


def _map_some(path, seed, rounds):
    """A mapping of holes among others: fault by fault, until one is refused."""
    length = 512 * 1024
    for _ in range(rounds):
        fd = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o644)
        os.ftruncate(fd, length)
        os.close(fd)
        text, code = writers.Child(_map, path, seed, length, range(length // 4096)).wait()
        assert code in (0, -signal.SIGBUS), text
        assert code or text in ("0", str(errno.ENOSPC)), text
    return 0


@parallel
@timeout(240)
def test_all_at_once(ctx):
    """Appenders and a mapping, side by side, into the same last blocks."""
    for image in ("full-1k", "full-4k"):
        disk = _ready(ctx, image)
        before = _free(disk)
        children = [writers.Child(_append_some, disk.where(f"w{seed}"), seed, 3)
                    for seed in (20, 21)]
        children.append(writers.Child(_map_some, disk.where("m"), 30, 3))
        sizes = writers.results(children)
        ctx.drop_caches()
        for seed, size in zip((20, 21), sizes):
            writers.check(disk.where(f"w{seed}"), seed, int(size))
        _unharmed(disk)
        for name in ("w20", "w21", "m"):
            os.unlink(disk.where(name))
        assert _free(disk) == before
        disk.finish()


def _one_block(path):
    """Write to an empty file and sync it; the errno, 0 for none."""
    fd = os.open(path, os.O_WRONLY)
    try:
        error = error_of(os.write, fd, b"x")[1]
        os.fsync(fd)
        return error
    finally:
        os.close(fd)


@parallel
def test_last_block_raced_by_16_writers(ctx):
    """One of them gets it, the others are told; three times."""
    disk = _ready(ctx, "full-1k")
    _fill(disk.where("filler"), 3)
    assert _free(disk) == 0, _free(disk)
    names = [f"r{number}" for number in range(16)]
    for name in names:
        os.mknod(disk.where(name))
    os.truncate(disk.where("small"), 0)
    assert _free(disk) == 1, _free(disk)
    for _ in range(3):
        children = [writers.Child(_one_block, disk.where(name)) for name in names]
        errors = sorted(map(int, writers.results(children)))
        assert errors == [0] + [errno.ENOSPC] * 15, errors
        assert _free(disk) == 0, _free(disk)
        sizes = [os.stat(disk.where(name)).st_size for name in names]
        assert sorted(sizes) == [0] * 15 + [1], sizes
        os.truncate(disk.where(names[sizes.index(1)]), 0)
    disk.finish()


def _write_until_full(path, seed, most):
    """Append pieces of many sizes until nothing goes any more, which has to be before there are
    `most` bytes; how many there are."""
    rng, size = random.Random(seed), 0
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    for piece in (60_000, 3000, 1):
        while size < most:
            try:
                size += os.write(fd, writers.content(seed, size, rng.randrange(piece) + 1))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                break
    os.close(fd)
    assert size < most, f"{size} bytes of one writer, and the disk is not full"
    return size


@parallel
@timeout(240)
def test_filled_by_16_writers(ctx):
    """They race for all that is free, in pieces of many sizes, and nobody syncs meanwhile: no
    byte that a write has accepted is lost, and all is free again when they are deleted."""
    for image in ("full-1k", "full-4k"):
        disk = _ready(ctx, image)
        names = [f"r{number}" for number in range(16)]
        for name in names:
            os.mknod(disk.where(name))
        info = os.statvfs(disk.point)
        room = info.f_bfree * info.f_bsize
        children = [writers.Child(_write_until_full, disk.where(name), 40 + number, room)
                    for number, name in enumerate(names)]
        sizes = list(map(int, writers.results(children)))
        # each may have failed to get a block and what leads to it, when others had claimed it
        assert _free(disk) <= 3 and sum(sizes) > room * 9 // 10, (_free(disk), sizes, room)
        disks.sync(disk.point)
        ctx.drop_caches()
        for number, (name, size) in enumerate(zip(names, sizes)):
            assert os.stat(disk.where(name)).st_size == size, (name, size)
            writers.check(disk.where(name), 40 + number, size)
        _unharmed(disk)
        for name in names:
            os.unlink(disk.where(name))
        assert _free(disk) == info.f_bfree, (_free(disk), info.f_bfree)
        disk.finish()
