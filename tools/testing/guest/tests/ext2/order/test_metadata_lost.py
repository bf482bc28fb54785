# SPDX-License-Identifier: GPL-2.0
"""Metadata whose write failed (B14): a device that is bad for one write and good
afterwards takes nothing back.

What is in memory is right, whatever the disk says: it is not read over, not
dropped, and written again; errors= hears of it. No block gets two owners, no inode
number is given out twice, and no inode is lost without a word. C ext2 reads the
old block back.
"""

import contextlib
import errno
import os

import disks
import ext2disk
import writers
from lowlevel import error_of, fibmap
from runner import timeout
from test_twin import no_flusher
from test_write_errors import Faulty

ERROR_STATE = 2


@contextlib.contextmanager
def prepared(ctx, image="tiny-1k", options=""):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 reads the old block back")
    ctx.allow_log("I/O error|lost (a|)sync page write|rust_ext2 .*error")
    faulty = Faulty(ctx, image)
    with no_flusher():
        yield faulty, faulty.disk.mount(disks.at_once(ctx.fstype, options),
                                       device=faulty.device.path)


def _tolerant_sync(point):
    with contextlib.suppress(OSError):
        disks.sync(point)


def _write_back(faulty):
    """The device writes what is dirty in its own page cache."""
    fd = os.open(faulty.device.path, os.O_RDONLY)
    with contextlib.suppress(OSError):
        os.fsync(fd)
    os.close(fd)


def _forget():
    """Whatever is clean leaves memory; nothing is written before."""
    for _ in range(2):  # what the filesystem gives up is dropped the second time
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")


class _Files:
    """Files that grow, whose contents are known."""

    def __init__(self, disk, block_size):
        self._disk = disk
        self._size = block_size
        self._fds = {}
        self._blocks = {}

    def grow(self, name, blocks):
        """To so many blocks; a new file if there is none."""
        fd = self._fds.get(name)
        if fd is None:
            new = 0 if name in self._blocks else os.O_CREAT | os.O_EXCL
            fd = os.open(self._disk.where(name), new | os.O_RDWR, 0o644)
            self._fds[name] = fd
        have = self._blocks.get(name, 0) * self._size
        data = writers.content(self._seed(name), have, blocks * self._size - have)
        while data:
            done = os.pwrite(fd, data, have)
            data, have = data[done:], have + done
        self._blocks[name] = blocks
        return fd

    @staticmethod
    def _seed(name):
        return sum(name.encode())

    def indirect(self, name):
        """The block of a file's first indirect block, which was got with the block
        behind it."""
        return fibmap(self._fds[name], 12) - 1

    def number(self, name):
        return os.fstat(self._fds[name]).st_ino

    def settle(self):
        """Everything is on the disk, now that the device is good; what had failed
        may be told once."""
        for fd in self._fds.values():
            assert error_of(os.fsync, fd)[1] in (0, errno.EIO)
        for fd in self._fds.values():
            os.fsync(fd)
        _tolerant_sync(self._disk.point)
        disks.sync(self._disk.point)

    def check(self):
        for name, blocks in self._blocks.items():
            path = self._disk.where(name)
            assert os.stat(path).st_size == blocks * self._size, name
            writers.check(path, self._seed(name), blocks * self._size)

    def close(self):
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()


def table_block(path, groups, number):
    """The block of the inode table that has an inode."""
    info = ext2disk.superblock(path)
    group, index = divmod(number - 1, info["inodes_per_group"])
    return groups.places[group][2] + index * info["inode_size"] // groups.size


def _first_block(path, number):
    """The first block of an inode, as the disk has it."""
    info = ext2disk.superblock(path)
    groups = ext2disk.Groups(path)
    group, index = divmod(number - 1, info["inodes_per_group"])
    with open(path, "rb") as file:
        file.seek(groups.places[group][2] * groups.size + index * info["inode_size"] + 40)
        return int.from_bytes(file.read(4), "little")


def _block_of(kind, faulty, files):
    groups = ext2disk.Groups(faulty.disk.path)
    return {
        "block bitmap": lambda: groups.places[0][0],
        "inode bitmap": lambda: groups.places[0][1],
        "inode table": lambda: table_block(faulty.disk.path, groups, files.number("new")),
        "descriptors": lambda: groups.first + 1,
        "superblock": lambda: groups.first,
        "indirect": lambda: files.indirect("old"),
        "fresh indirect": lambda: files.indirect("new"),
    }[kind]()


def _one(ctx, kind, write, forgotten, more):
    """A block of this kind is bad when `write` gets to it."""
    what = f"{kind}, {write.__name__}, forgotten {forgotten}, more {more}"
    ctx.log(what)
    with prepared(ctx) as (faulty, disk):
        files = _Files(disk, faulty.block_size)
        files.grow("old", 20)
        files.settle()
        files.grow("new", 30)
        files.grow("old", 50)
        block = _block_of(kind, faulty, files)
        faulty.bad(block)
        write(faulty)
        faulty.good()
        if forgotten:
            files.close()
            _forget()
        if more:
            files.grow("newer", 40)
            files.grow("old", 80)
        files.settle()
        files.check()
        files.close()
        disk.umount()
        try:
            disk.check()
            disk.mount(disks.at_once(disk.fstype), device=faulty.device.path)
            files.check()
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from None
        faulty.end()
        assert ext2disk.superblock(disk.path)["state"] & ERROR_STATE, \
            f"{what}: errors= has not heard of it"


def _sync(faulty):
    _tolerant_sync(faulty.disk.point)


def _each(ctx, kinds, *how):
    """All of these kinds, also after one that was lost."""
    lost = []
    for kind in kinds:
        try:
            _one(ctx, kind, *how)
        except AssertionError as error:
            lost.append(str(error))
    assert not lost, "\n\n".join(lost)


ALL = ("block bitmap", "inode bitmap", "inode table", "descriptors", "superblock",
       "indirect", "fresh indirect")
# what an inode is not written to on the way
BUFFERS = ("block bitmap", "inode bitmap", "descriptors", "indirect", "fresh indirect")


@timeout(300)
def test_sync_fails(ctx):
    """syncfs(2) meets the bad block, and the block is used again."""
    _each(ctx, ALL, _sync, False, True)


@timeout(300)
def test_sync_fails_unused(ctx):
    """syncfs(2) meets the bad block, and nobody asks for it any more."""
    _each(ctx, ALL, _sync, False, False)


@timeout(300)
def test_sync_fails_forgotten(ctx):
    """And all that is clean leaves memory."""
    _each(ctx, ALL, _sync, True, False)


@timeout(300)
def test_writeback_fails(ctx):
    """The device's own writeback meets the bad block, and the block is used again."""
    _each(ctx, BUFFERS, _write_back, False, True)


@timeout(300)
def test_writeback_fails_unused(ctx):
    """The device's own writeback meets it, and nobody asks for it any more."""
    _each(ctx, BUFFERS, _write_back, False, False)


@timeout(300)
def test_writeback_fails_forgotten(ctx):
    """And all that is clean leaves memory; then the block is used, or not."""
    _each(ctx, BUFFERS, _write_back, True, True)
    _each(ctx, BUFFERS, _write_back, True, False)


def test_fsync_after(ctx):
    """An indirect block that the device's own writeback could not write: fsync(2) says
    so once, and the one that says nothing has it on the disk."""
    with prepared(ctx) as (faulty, disk):
        files = _Files(disk, faulty.block_size)
        files.grow("old", 20)
        files.settle()
        fd = files.grow("old", 50)
        block = files.indirect("old")
        want = [fibmap(fd, at) for at in range(12, 50)]
        faulty.bad(block)
        _write_back(faulty)
        faulty.good()
        assert error_of(os.fsync, fd)[1] == errno.EIO
        os.fsync(fd)
        with open(disk.path, "rb") as file:
            file.seek(block * faulty.block_size)
            raw = file.read(4 * len(want))
        assert [int.from_bytes(raw[at:at + 4], "little")
                for at in range(0, len(raw), 4)] == want
        files.check()
        files.close()
        faulty.end()
        disk.check()


def test_unmount_fails(ctx):
    """What cannot be written when the filesystem is unmounted is said, and that the
    disk is to be checked is on it."""
    with prepared(ctx) as (faulty, disk):
        files = _Files(disk, faulty.block_size)
        fd = files.grow("new", 30)
        os.fsync(fd)
        block = _block_of("block bitmap", faulty, files)
        files.close()
        faulty.bad(block)
        faulty.end()
        said = f"metadata block {block} could not be written"
        assert any(said in line for line in ctx.kernel_log()), ctx.kernel_log()
        assert ext2disk.superblock(disk.path)["state"] & ERROR_STATE
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status == 1, text


def test_unmount_read_only(ctx):
    """A block whose write failed before an error made the filesystem read-only, which
    is not synced any more: written when it is unmounted."""
    with prepared(ctx, options="errors=remount-ro") as (faulty, disk):
        names = [f"before{number}" for number in range(16)]
        for name in names:
            writers.make(disk.where(name), 1, 100)
        disks.sync(disk.point)
        groups = ext2disk.Groups(disk.path)
        table = table_block(disk.path, groups, os.stat(disk.where(names[0])).st_ino)
        _forget()
        files = _Files(disk, faulty.block_size)
        os.fsync(files.grow("new", 30))
        assert table_block(disk.path, groups, files.number("new")) != table
        faulty.bad(_block_of("block bitmap", faulty, files))
        _write_back(faulty)
        # what is around the new inode has been read, too
        _forget()
        faulty.bad(table)
        assert error_of(os.stat, disk.where(names[0]))[1] == errno.EIO
        assert "ro" in disks.shown_options(disk.point)
        faulty.good()
        files.close()
        faulty.end()
        disk.check()


def test_remount_read_only(ctx):
    """errors=remount-ro, at the next look at the bitmap that could not be written."""
    with prepared(ctx, options="errors=remount-ro") as (faulty, disk):
        files = _Files(disk, faulty.block_size)
        files.grow("new", 30)
        faulty.bad(_block_of("block bitmap", faulty, files))
        _write_back(faulty)
        faulty.good()
        assert "rw" in disks.shown_options(disk.point)
        error_of(files.grow, "new", 40)
        assert "ro" in disks.shown_options(disk.point)
        files.close()
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1) and "ultiply-claimed" not in text, text


def test_directory(ctx):
    """The block of a directory: fsync fails, and the next one brings the name there; so
    does syncfs."""
    with prepared(ctx) as (faulty, disk):
        os.mkdir(disk.where("d"))
        writers.make(disk.where("d/old"), 1, 3000)
        disks.sync(disk.point)
        fd = os.open(disk.where("d"), os.O_RDONLY)
        faulty.bad(_first_block(disk.path, os.fstat(fd).st_ino))
        # which has its own fsync, which is for the name, too
        assert error_of(writers.make, disk.where("d/new"), 2, 3000)[1] == errno.EIO
        assert error_of(os.fsync, fd)[1] == errno.EIO
        faulty.good()
        os.fsync(fd)
        faulty.bad(_first_block(disk.path, os.fstat(fd).st_ino))
        assert error_of(writers.make, disk.where("d/newer"), 3, 3000)[1] == errno.EIO
        assert error_of(disks.sync, disk.point)[1] == errno.EIO
        faulty.good()
        disks.sync(disk.point)
        os.close(fd)
        _forget()
        assert sorted(os.listdir(disk.where("d"))) == ["new", "newer", "old"]
        writers.check(disk.where("d/new"), 2, 3000)
        writers.check(disk.where("d/newer"), 3, 3000)
        faulty.end()
        disk.check()


def test_large_file_flag(ctx):
    """The superblock cannot be written when it is to say that there is a large file:
    the inode is written all the same, now or later."""
    size = 3 << 30
    with prepared(ctx, "blank-old") as (faulty, disk):
        fd = os.open(disk.where("large"), os.O_CREAT | os.O_RDWR, 0o644)
        disks.sync(disk.point)
        os.ftruncate(fd, size)
        faulty.bad(1)
        _tolerant_sync(disk.point)
        faulty.good()
        error_of(os.fsync, fd)
        os.fsync(fd)
        os.close(fd)
        disk.umount()
        disk.check()
        disk.mount(disks.at_once(disk.fstype), device=faulty.device.path)
        assert os.stat(disk.where("large")).st_size == size
        faulty.finish()


class _Reuse:
    """A file `victim`, and one that will take all free blocks, whose inode is in
    another block of the inode table."""

    def __init__(self, faulty, disk):
        self.disk = disk
        self.victim = os.open(disk.where("victim"), os.O_CREAT | os.O_RDWR, 0o644)
        for number in range(16):
            os.close(os.open(disk.where(f"between{number}"), os.O_CREAT, 0o644))
        self.filler = os.open(disk.where("filler"), os.O_CREAT | os.O_RDWR, 0o644)
        disks.sync(disk.point)
        groups = ext2disk.Groups(disk.path)
        self.table, other = (table_block(disk.path, groups, os.fstat(fd).st_ino)
                             for fd in (self.victim, self.filler))
        assert self.table != other
        self.block_size = faulty.block_size

    def put(self, block, count):
        """Give the victim blocks."""
        os.pwrite(self.victim, b"v" * count * self.block_size, block * self.block_size)

    def fill(self):
        """All blocks that can be had are the filler's, on the disk, too."""
        failed = 0
        while failed < 200:
            try:
                os.write(self.filler, b"\xff" * self.block_size)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    break
                assert error.errno == errno.EIO
                failed += 1
        error_of(os.fsync, self.filler)
        os.fsync(self.filler)
        assert os.fstat(self.filler).st_blocks > 1000

    def crash(self, ctx):
        """The power goes: no block has two owners."""
        path = os.path.join(ctx.tmp, "crash")
        with open(self.disk.path, "rb") as source, open(path, "wb") as target:
            target.write(source.read())
        status, text = disks.fsck(ctx, path, "-fy")
        assert status in (0, 1), text
        # of a block of pointers that has become data, too
        for bad in ("ultiply-claimed", "llegal"):
            assert bad not in text, text

    def end(self, ctx, faulty):
        for fd in (self.victim, self.filler):
            if fd is not None:
                os.close(fd)
        faulty.end()
        status, text = disks.fsck(ctx, self.disk.path, "-fy")
        assert status in (0, 1) and "ultiply-claimed" not in text, text


def test_cut_without_guard(ctx):
    """A truncation that the inode cannot tell the disk of, because an indirect block
    that it points to cannot be written first."""
    with prepared(ctx) as (faulty, disk):
        reuse = _Reuse(faulty, disk)
        reuse.put(12 + 256, 10)
        os.fsync(reuse.victim)
        reuse.put(12, 8)
        faulty.bad(fibmap(reuse.victim, 12) - 1)
        os.ftruncate(reuse.victim, 100 * faulty.block_size)
        faulty.good()
        reuse.fill()
        reuse.crash(ctx)
        reuse.end(ctx, faulty)


def test_guard_not_written(ctx):
    """The block that tells of a truncation cannot be written, for long: what was cut
    off is nobody's, however often it is asked for."""
    with prepared(ctx) as (faulty, disk):
        reuse = _Reuse(faulty, disk)
        reuse.put(0, 12)
        os.fsync(reuse.victim)
        os.ftruncate(reuse.victim, 0)
        faulty.bad(reuse.table)
        reuse.fill()
        reuse.crash(ctx)
        faulty.good()
        reuse.end(ctx, faulty)


def test_deletion_not_stored(ctx):
    """A deleted inode whose block cannot be read any more: it is not told that it is
    deleted, so it keeps what it has."""
    with prepared(ctx) as (faulty, disk):
        reuse = _Reuse(faulty, disk)
        reuse.put(0, 12)
        os.fsync(reuse.victim)
        disks.sync(disk.point)
        _forget()
        faulty.bad(reuse.table)
        os.unlink(disk.where("victim"))
        os.close(reuse.victim)
        reuse.victim = None
        faulty.good()
        reuse.fill()
        reuse.crash(ctx)
        reuse.end(ctx, faulty)
