# SPDX-License-Identifier: GPL-2.0
"""Direct I/O: past the page cache where it can, through it where it must, and the same
bytes on the disk and in the cache.

What is asked is asked of C ext2, too. C is wrong where a mapped hole is stored to while
somebody reads, and in what O_DSYNC brings to the disk: those are for rust_ext2 only.
"""

import contextlib
import errno
import mmap
import os
import struct

import aio
import directly
import disks
import ext2disk
import faults
import lowlevel
import mapped
import sysapi
import waiting
from runner import timeout
from sysapi import libc

PAGE = mmap.PAGESIZE
GARBAGE = b"\xa5garbage" * 128
DIOALIGN = 0x2000


def _rust_only(ctx, why):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip(f"C ext2: {why}")


def _open(disk, name, flags=0):
    return os.open(disk.where(name), os.O_RDWR | os.O_CREAT | flags, 0o644)


def _direct(disk, name, flags=0):
    return _open(disk, name, os.O_DIRECT | flags)


def _cached(fd, length):
    """How many pages of a file's beginning are in memory."""
    libc.mmap.restype = mapped.ctypes.c_void_p
    address = libc.mmap(None, length, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
    vector = mapped.ctypes.create_string_buffer(-(-length // PAGE))
    sysapi.check(libc.mincore(mapped.ctypes.c_void_p(address),
                              mapped.ctypes.c_size_t(length), vector))
    libc.munmap(address, length)
    return sum(byte & 1 for byte in vector.raw)


def _both(ctx, image, options=""):
    """C ext2 and the filesystem under test, each on a disk."""
    return [disks.Disk(ctx, image, fstype).mount(options)
            for fstype in (disks.C_FSTYPE, ctx.fstype)]


# what is asked of both


def _requests(block):
    """(what, offset, length) of reads and writes of a file of 40 blocks and 700 bytes of
    which blocks 10 to 14 and 20 to 39 but the last are holes."""
    end = 40 * block + 700
    return [("aligned", 0, 4 * block), ("one", 3 * block, block),
            ("sector", 2 * block + 512, 512), ("sectors", 5 * block + 512, 1536),
            ("over a hole", 8 * block, 9 * block), ("in a hole", 12 * block, block),
            ("sector of a hole", 13 * block + 512, 512), ("nothing", block, 0),
            ("odd offset", 100, 512), ("odd length", 512, 100), ("odd", 1, 3),
            ("odd in a hole", 30 * block + 3, 5), ("across the end", 39 * block, 4 * block),
            ("at the end", end, 512), ("behind the end", end + 20 * block, block),
            ("last sector", 40 * block + 512, 512), ("all", 0, 64 * block)]


def _fill(disk, name, block):
    fd = _open(disk, name)
    os.pwrite(fd, bytes(range(256)) * (10 * block // 256), 0)
    os.pwrite(fd, b"b" * 5 * block, 15 * block)
    os.pwrite(fd, b"e" * (block + 700), 39 * block)
    os.fsync(fd)
    return fd


def _note(found, what, call, *args):
    answer, number = lowlevel.error_of(call, *args)
    found.append((what, answer, errno.errorcode.get(number, number)))


def _answers(disk):
    """What every request answers, what the file is then, and what is in memory."""
    block = os.statvfs(disk.point).f_bsize
    found = []
    for what, offset, length in _requests(block):
        cached = _fill(disk, what, block)
        fd = _direct(disk, what)
        _note(found, (what, "read"), directly.read, fd, offset, length)
        _note(found, (what, "write"), directly.write, fd, offset, b"w" * length)
        _note(found, (what, "size"), os.lseek, fd, 0, os.SEEK_END)
        _note(found, (what, "read again"), directly.read, fd, offset & -512, (length + 1023) & -512)
        _note(found, (what, "cached"), os.pread, cached, 70 * block, 0)
        os.close(fd)
        os.close(cached)
    fd = _direct(disk, "aligned")
    area = directly.area(8 * PAGE, 5)
    with memoryview(area) as view:
        vectors = {"pages": [view[:PAGE], view[2 * PAGE:4 * PAGE]],
                   "sectors": [view[512:1024], view[PAGE:PAGE + 512]],
                   "odd memory": [view[1:513]], "odd parts": [view[:100], view[100:512]],
                   "empty parts": [view[:0], view[:512], view[:0]], "none": [view[:0]]}
        for what, parts in vectors.items():
            _note(found, (what, "written"), os.pwritev, fd, parts, 0)
            _note(found, (what, "read"), os.preadv, fd, parts, 0)
            found.append((what, bytes(view)))
        del parts, vectors
    _note(found, "no memory, read", lambda: sysapi.check(
        libc.pread(fd, 4096, 512, mapped.ctypes.c_long(0))))
    _note(found, "no memory, written", lambda: sysapi.check(
        libc.pwrite(fd, 4096, 512, mapped.ctypes.c_long(0))))
    _note(found, "negative", directly.read, fd, -512, 512)
    os.close(fd)
    fd = _direct(disk, "appended", os.O_APPEND)
    for length in (block, 512, 3 * block, 100, block):
        _note(found, "append", directly.write, fd, 0, b"a" * length)
        _note(found, "append, size", os.lseek, fd, 0, os.SEEK_END)
    os.close(fd)
    return found


def _same_answers(ctx, image):
    answers, trees = [], []
    both = _both(ctx, image)
    for disk in both:
        answers.append(_answers(disk))
        names = sorted(os.listdir(disk.point))
        for _ in range(2):
            content = {}
            for name in names:
                if os.path.isfile(disk.where(name)):
                    with open(disk.where(name), "rb") as file:
                        content[name] = file.read()
            trees.append(content)
            disk.umount()
            disk.mount()
        disk.finish()
    for want, got in zip(*answers):
        assert want == got, f"in C {str(want)[:300]}\nhere {str(got)[:300]}"
    assert trees[0] == trees[1] == trees[2] == trees[3]


@timeout(300)
def test_answers_1k(ctx):
    """Aligned or not, in holes, over the end, in vectors, to nowhere; 1 KiB blocks."""
    _same_answers(ctx, "blank-1k")


@timeout(300)
def test_answers_4k(ctx):
    """The same, 4 KiB blocks."""
    _same_answers(ctx, "blank-4k")


def _joined(bios):
    """[(operation, first sector, behind the last)], neighbours joined."""
    found = []
    for bio in bios:
        kind = "W" if "W" in bio.op else "R"
        if found and found[-1][0] == kind and found[-1][2] == bio.sector:
            found[-1] = kind, found[-1][1], bio.sector + bio.sectors
        else:
            found.append((kind, bio.sector, bio.sector + bio.sectors))
    return found


def _made(ctx, image):
    """A disk with a file of 300 blocks: as it is C that gives them places, which depend on
    the number of the process, too, they are the same on each that is made."""
    disk = disks.Disk(ctx, image, disks.C_FSTYPE).mount()
    block = os.statvfs(disk.point).f_bsize
    fd = _direct(disk, "file")
    os.close(_fill(disk, "file", block))
    os.ftruncate(fd, 300 * block)
    for at in range(40, 300):
        os.pwrite(fd, directly.area(block, at % 256), at * block)
    os.close(fd)
    disk.umount()
    return disk


def _recorded(ctx, disk):
    """{what: (bios, how many)} of direct reads and overwrites of a file that is known."""
    block = os.statvfs(disk.point).f_bsize
    fd = _direct(disk, "file")
    directly.read(fd, 0, 300 * block)  # the indirect blocks are in memory
    found = {}
    with ctx.record(disk.device) as io:
        for offset, length in ((0, block), (block, 512), (0, 10 * block),
                               (8 * block, 9 * block), (11 * block, 2 * block),
                               (0, 300 * block), (290 * block, 30 * block)):
            io.take()
            directly.read(fd, offset, length)
            found["read", offset, length] = io.take()[0]
        for offset, length in ((0, block), (block, 512), (0, 10 * block),
                               (50 * block, 250 * block)):
            directly.write(fd, offset, b"n" * length)
            found["write", offset, length] = io.take()[0]
    assert _cached(fd, 300 * block) == 0, f"{disk}: pages are in memory"
    os.close(fd)
    disk.finish()
    return found


@timeout(300)
def test_bios(ctx):
    """What reaches the device is what C sends it, in no more bios; nothing for a hole, and
    nothing stays in memory."""
    for image in ("blank-1k", "blank-4k"):
        of_c, ours = [_recorded(ctx, _made(ctx, image).mount(fstype=fstype))
                      for fstype in (disks.C_FSTYPE, ctx.fstype)]
        for what, want in of_c.items():
            assert _joined(ours[what]) == _joined(want), \
                f"{image}, {what}:\n{ours[what]}\nin C {want}"
            assert len(ours[what]) <= len(want), (image, what, ours[what], want)
        assert not any(bios for (kind, at, _), bios in ours.items()
                       if kind == "read" and at in (11 * 1024, 11 * 4096)), ours


def test_errors_of_the_device(ctx):
    """A request that fails is EIO, asynchronous or not, and what is known of the file is
    right afterwards."""
    disk = disks.Disk(ctx, "blank-4k").mount()
    fd = _direct(disk, "file")
    directly.write(fd, 0, b"o" * 4 * PAGE)
    os.fsync(fd)
    directly.read(fd, 0, PAGE)
    with aio.Requests() as requests:
        with faults.requests_fail(ctx, disk.device):
            assert lowlevel.error_of(directly.read, fd, 0, PAGE)[1] == errno.EIO
            assert lowlevel.error_of(directly.read, fd, 0, 4 * PAGE)[1] == errno.EIO
            assert lowlevel.error_of(directly.write, fd, 0, b"n" * PAGE)[1] == errno.EIO
            reading = requests.read(fd, directly.area(PAGE), 0)
            assert requests.ended(1) == {reading: -errno.EIO}
            writing = requests.write(fd, directly.area(PAGE, 7), PAGE)
            assert requests.ended(1) == {writing: -errno.EIO}
        assert directly.read(fd, 0, 8 * PAGE) == b"o" * 4 * PAGE
        assert directly.write(fd, PAGE, b"n" * PAGE) == PAGE
    with open(disk.where("file"), "rb") as file:
        assert file.read()[PAGE:2 * PAGE] == b"n" * PAGE
    os.close(fd)
    disk.finish()


def test_nobody_waits(ctx):
    """Asynchronous requests are under way when io_submit(2) returns, while the device
    takes none; who cuts the file waits for them."""
    disk, device = waiting.held_up(ctx, "blank-4k")
    disk.mount(device=device.path)
    fd = _direct(disk, "file")
    directly.write(fd, 0, b"o" * 64 * PAGE)
    os.fsync(fd)
    directly.read(fd, 0, 64 * PAGE)
    area, other = directly.area(4 * PAGE), directly.area(4 * PAGE, b"n" * 4 * PAGE)
    with aio.Requests() as requests:
        with device.suspended():
            reading = requests.read(fd, area, 0)
            writing = requests.write(fd, other, 20 * PAGE)
            cutting = waiting.Task(os.ftruncate, fd, 22 * PAGE)
            assert cutting.falls_asleep(), cutting
        assert requests.ended(2) == {reading: 4 * PAGE, writing: 4 * PAGE}
        cutting.result()
        assert bytes(area) == b"o" * 4 * PAGE
    assert directly.read(fd, 19 * PAGE, 9 * PAGE) == b"o" * PAGE + b"n" * 2 * PAGE
    os.close(fd)
    disk.finish()


def _full_of_garbage(disk):
    with open(disk.where("garbage"), "wb", 0) as file, contextlib.suppress(OSError):
        while file.write(GARBAGE * 64):
            pass
    disks.sync(disk.point)
    os.unlink(disk.where("garbage"))
    disks.sync(disk.point)


def test_store_to_a_hole_while_somebody_reads(ctx):
    """A hole gets a block by a store to a mapping, when who reads has already seen to it
    that nothing is dirty: what was on the disk there is nobody's to see."""
    _rust_only(ctx, "a read sees the block as it was on the disk")
    disk, device = waiting.held_up(ctx, "blank-1k")
    # with its place at once: who writes back what was promised one waits for the device with the
    # file's tree locked
    disk.mount(disks.at_once(disk.fstype), device=device.path)
    _full_of_garbage(disk)
    fd, cached = _direct(disk, "file"), _open(disk, "file")
    os.ftruncate(fd, 20 * PAGE)
    found = []
    with mapped.Page(cached, 1) as page:
        assert page.load(0, 8) == bytes(8)
        os.pwrite(cached, b"d" * PAGE, 0)
        with device.suspended():
            reading = waiting.Task(lambda: found.append(directly.read(fd, 0, 4 * PAGE)))
            assert reading.falls_asleep(), reading  # until the first page is written
            page.store(100, b"stored")
        reading.result()
        want = bytearray(b"d" * PAGE + bytes(3 * PAGE))
        want[PAGE + 100:PAGE + 106] = b"stored"
        assert found[0] == want, \
            f"{found[0][PAGE - 8:PAGE + 200]}, garbage: {GARBAGE[:8] in found[0]}"
    os.close(fd)
    os.close(cached)
    disk.finish()


def _on_disk(disk, number):
    """(size, first pointers) of an inode as the disk has it."""
    with open(disk.path, "rb") as file:
        file.seek(ext2disk.inode_offset(disk.path, number))
        raw = file.read(128)
    return struct.unpack_from("<I", raw, 4)[0], struct.unpack_from("<12I", raw, 40)


def test_synchronous(ctx):
    """O_DSYNC: when a write returns its data is on the disk, and all that leads to it: the
    size, if it moves on inside a block, and the blocks of a file that nobody has synced."""
    _rust_only(ctx, "ext2_iomap_begin() forgets that the inode is dirty")
    disk = disks.Disk(ctx, "blank-4k").mount()
    for options in ((), (os.O_SYNC,), (os.O_DSYNC,)):
        for flags in options:
            name = f"appended{flags}"
            fd = _open(disk, name)
            os.pwrite(fd, b"c" * 512, 0)
            os.fsync(fd)
            direct = _direct(disk, name, flags)
            assert directly.write(direct, 512, b"d" * 512) == 512
            assert _on_disk(disk, os.fstat(fd).st_ino)[0] == 1024
            os.close(direct)
            os.close(fd)
            name = f"unsynced{flags}"
            fd = _open(disk, name)
            os.pwrite(fd, b"c" * 3 * 4096, 0)
            direct = _direct(disk, name, flags)
            assert directly.write(direct, 4096, b"d" * 4096) == 4096
            size, pointers = _on_disk(disk, os.fstat(fd).st_ino)
            assert size == 3 * 4096 and pointers[1] == lowlevel.fibmap(fd, 1), (size, pointers)
            os.close(direct)
            os.close(fd)
    disk.finish()


def _alignment(path):
    """(memory, offset) of statx(2)."""
    buffer = mapped.ctypes.create_string_buffer(256)
    sysapi.check(libc.syscall(sysapi.call_number(332, 291), -100, os.fsencode(path), 0x100,
                              DIOALIGN, buffer), path)
    mask, = struct.unpack_from("<I", buffer, 0)
    return struct.unpack_from("<II", buffer, 0x98) if mask & DIOALIGN else None


def _memory_alignment(device):
    """What the queue of a device says that memory has to be aligned to."""
    path = f"/sys/block/{os.path.basename(device)}/queue/dma_alignment"
    with open(path, encoding="ascii") as file:
        return int(file.read()) + 1


def _alignment_in_ext4(ctx, sector):
    disk = disks.Disk(ctx, "blank-4k", "ext4")
    disk.mount(device=ctx.loop(disk.path, read_only=False, sector_size=sector))
    open(disk.where("file"), "wb").close()
    found = _alignment(disk.where("file"))
    disk.umount()
    return found


def test_alignment(ctx):
    """statx(2) says what requests have to be aligned to: as much as the device, as in ext4,
    and only of regular files. What is so aligned can be read, what is less cannot."""
    _rust_only(ctx, "it does not say")
    for sector in (512, 4096):
        disk = disks.Disk(ctx, "blank-4k")
        device = ctx.loop(disk.path, read_only=False, sector_size=sector)
        disk.mount(device=device)
        fd = _direct(disk, "file")
        directly.write(fd, 0, b"o" * 2 * PAGE)
        memory, offset = told = _alignment(disk.where("file"))
        assert told == (_memory_alignment(device), sector), (sector, told)
        assert told == _alignment_in_ext4(ctx, sector), (sector, told)
        assert memory > 1, told
        assert _alignment(disk.point) is None
        area = directly.area(3 * PAGE)
        with memoryview(area) as view:
            with view[memory:memory + PAGE] as part:
                assert os.preadv(fd, [part], offset) == PAGE and bytes(part) == b"o" * PAGE
            with view[memory // 2:memory // 2 + PAGE] as part:
                assert lowlevel.error_of(os.preadv, fd, [part], offset)[1] == errno.EINVAL
        assert directly.read(fd, sector, 2 * PAGE) == b"o" * (2 * PAGE - sector)
        assert lowlevel.error_of(directly.read, fd, sector // 2, PAGE)[1] == errno.EINVAL
        os.close(fd)
        disk.finish()
