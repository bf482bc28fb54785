# SPDX-License-Identifier: GPL-2.0
"""Direct writes of which a part is done and the rest is not: the call says how much is done,
the position moves on by that, and who writes the rest is told why it cannot be.

C ext2 says the error of the rest, though what came before it has been written, unless some of
what goes through the page cache could be: then it says how much, too, and that is compared.
"""

import errno
import os

import attributes
import directly
import disks
import lowlevel
from runner import timeout
from test_write_errors import Faulty

MAPPED, HOLE = 4, 6  # blocks of the file that are there from the beginning, and the rest of it


def _begin(disk):
    """A file of a few blocks and a hole, opened for direct I/O."""
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    size = os.statvfs(disk.point).f_bsize
    directly.write(fd, 0, b"o" * MAPPED * size)
    os.ftruncate(fd, (MAPPED + HOLE) * size)
    os.fsync(fd)
    return fd, size


def _leave(disk, blocks):
    """Leave so many free blocks of a disk; the numbers of some."""
    path, size = disk.where("spare"), os.statvfs(disk.point).f_bsize
    with open(path, "wb", 0) as file:
        file.write(b"s" * blocks * size)
        os.fsync(file.fileno())
        places = [lowlevel.fibmap(file.fileno(), block) for block in range(blocks)]
    attributes.fill(disk.where("rest"))
    os.unlink(path)
    disks.sync(disk.point)
    assert os.statvfs(disk.point).f_bfree == blocks, os.statvfs(disk.point)
    return places


def _write(fd, at, count, size, byte):
    """(what write(2) says of so many blocks, where the position is then), in blocks."""
    os.lseek(fd, at * size, os.SEEK_SET)
    with memoryview(directly.area(count * size, byte)) as view:
        answer, number = lowlevel.error_of(os.write, fd, view)
    assert number or answer % size == 0, answer
    return (errno.errorcode[number] if number else answer // size,
            os.lseek(fd, 0, os.SEEK_CUR) // size)


def _content(disk, size):
    """A byte for each block of the file, by the page cache."""
    with open(disk.where("file"), "rb") as file:
        data = file.read()
    blocks = [set(data[at:at + size]) for at in range(0, len(data), size)]
    assert all(len(found) == 1 for found in blocks), blocks
    return bytes(min(found) for found in blocks)


def _story(ctx, image, fstype, left):
    """What is said of a write over two blocks that are there and a hole of four, while so
    many blocks are free, and of the rest; and what the file is then."""
    disk = disks.Disk(ctx, image, fstype).mount()
    fd, size = _begin(disk)
    _leave(disk, left)
    told = [_write(fd, MAPPED - 2, 6, size, b"n" * 6 * size)]
    told.append(_write(fd, MAPPED + left, 2, size, b"r" * 2 * size))
    told.append(os.fstat(fd).st_blocks * 512 // size)
    told.append(_content(disk, size))
    os.fsync(fd)
    os.unlink(disk.where("rest"))
    disks.sync(disk.point)
    told.append(_write(fd, MAPPED - 2, 6, size, b"l" * 6 * size))
    told.append(_content(disk, size))
    os.close(fd)
    disk.finish()
    return told


_LAST = [(6, MAPPED + 4), b"oo" + b"l" * 6 + bytes(2)]


@timeout(120)
def test_full_disk(ctx):
    """There is no block for the hole: what is in front of it is done."""
    for image in ("blank-1k", "blank-4k"):
        want = [(2, MAPPED), ("ENOSPC", MAPPED), MAPPED, b"oonn" + bytes(HOLE), *_LAST]
        of_c = _story(ctx, image, disks.C_FSTYPE, 0)
        # what is written is the same, and not what is said
        assert of_c == [("ENOSPC", MAPPED - 2), *want[1:]], (image, of_c)
        if ctx.fstype != disks.C_FSTYPE:
            got = _story(ctx, image, ctx.fstype, 0)
            assert got == want, f"{image}: {got}, not {want}"


@timeout(120)
def test_last_blocks(ctx):
    """There is one block for the hole: it is written, too, and counts. In C as well."""
    want = [(3, MAPPED + 1), ("ENOSPC", MAPPED + 1), MAPPED + 1, b"oonnn" + bytes(HOLE - 1), *_LAST]
    for fstype in {disks.C_FSTYPE, ctx.fstype}:
        got = _story(ctx, "blank-4k", fstype, 1)
        assert got == want, f"{fstype}: {got}, not {want}"


def _beside_bad_block(ctx, fstype):
    """The same, where the only free block cannot be written to: what is said, and the disk."""
    faulty = Faulty(ctx, "blank-4k")
    disk = faulty.disk
    disk.fstype = fstype
    disk.mount(device=faulty.device.path)
    fd, size = _begin(disk)
    faulty.bad(*_leave(disk, 1))
    told = [_write(fd, MAPPED - 2, 3, size, b"n" * 3 * size)]
    told.append(errno.errorcode.get(lowlevel.error_of(os.fsync, fd)[1]))
    # it has its block now, which is bad
    told.append(_write(fd, MAPPED, 1, size, b"r" * size))
    told.append(os.fstat(fd).st_blocks * 512 // size)
    faulty.good()
    told.append(_write(fd, MAPPED, 1, size, b"r" * size))
    told.append(_content(disk, size))
    os.fsync(fd)
    os.close(fd)
    faulty.end()
    disk.check()
    return told


@timeout(120)
def test_bad_block(ctx):
    """The block for the hole is bad: what is in front of it is done, and fsync(2) says that
    the rest is not."""
    want = [(2, MAPPED), "EIO", ("EIO", MAPPED), MAPPED + 1, (1, MAPPED + 1),
            b"oonnr" + bytes(HOLE - 1)]
    of_c = _beside_bad_block(ctx, disks.C_FSTYPE)
    assert of_c == [("EIO", MAPPED - 2), *want[1:]], of_c
    if ctx.fstype != disks.C_FSTYPE:
        got = _beside_bad_block(ctx, ctx.fstype)
        assert got == want, f"{got}, not {want}"
