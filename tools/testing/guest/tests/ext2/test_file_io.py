# SPDX-License-Identifier: GPL-2.0
"""What programs do with files, one thing after the other, on C ext2 and on the
filesystem under test: the same answers and errors, the same bytes on disk.

Not compared, because it is meant to differ: a store to a hole of a mapped file
when the disk is full (B10), which C accepts and loses at writeback; and where holes
are, which C does not know.
"""

import errno
import fcntl
import mmap
import os
import resource
import signal
import struct

import compare
import disks
import lowlevel
import sysapi
import waiting
import writers
from runner import timeout

FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_APPEND_FL, FS_IMMUTABLE_FL, FS_NODUMP_FL = 0x20, 0x10, 0x40
RO_COMPAT_LARGE_FILE = 2
MOUNTED = "rust_mpage_mounted"


class Log:
    """Answers of one side."""

    def __init__(self, disk):
        self.disk = disk
        self.block = os.statvfs(disk.point).f_bsize
        self.answers = []

    def open(self, name, flags=0):
        return os.open(self.disk.where(name), os.O_RDWR | os.O_CREAT | flags, 0o644)

    def ask(self, what, call, *args):
        """Note what a call answers, or its error."""
        answer, number = lowlevel.error_of(call, *args)
        self.answers.append((what, answer, errno.errorcode.get(number, number)))

    def flags(self, fd, flags):
        fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("L", flags))

    def stat(self, fd):
        info = os.fstat(fd)
        self.answers.append(("stat", info.st_size, info.st_blocks, oct(info.st_mode),
                             info.st_uid, info.st_gid, info.st_atime_ns % 10**9,
                             info.st_mtime_ns % 10**9 == 0))


def _sizes(log):
    """Large files, and files that are too large."""
    fd = log.open("large")
    for size in ((1 << 31) - 1, 1 << 31, (1 << 32) + 5, 1 << 34, 1 << 38, 1 << 41,
                 1 << 43, 1 << 62):
        log.ask(f"truncate {size}", os.ftruncate, fd, size)
        log.ask(f"write at {size}", os.pwrite, fd, b"x", size)
        log.stat(fd)
    os.ftruncate(fd, 3 << 30)
    os.pwrite(fd, b"behind 3 GiB", (3 << 30) - 7)
    log.stat(fd)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    log.answers.append(os.pread(fd, 30, (3 << 30) - 10))
    # C takes long to tell where the blocks of a file are that is all holes
    os.ftruncate(fd, 5000)
    log.stat(fd)
    os.close(fd)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    fd = log.open("limited")
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, hard))
    try:
        log.ask("write over the limit", os.pwrite, fd, b"y" * 5000, 8000)
        log.ask("write behind the limit", os.pwrite, fd, b"y", 10000)
        log.ask("truncate over the limit", os.ftruncate, fd, 20000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    log.stat(fd)
    os.close(fd)


def _seeking(log):
    """Appending, holes, where blocks are."""
    fd = log.open("holes")
    os.pwrite(fd, b"a" * 100, 20 * log.block)
    os.fsync(fd)
    log.answers.append([lowlevel.fibmap(fd, block) != 0 for block in range(22)])
    log.ask("fallocate", os.posix_fallocate, fd, 0, 10)
    os.close(fd)
    fd = log.open("appended", os.O_APPEND)
    for part in range(5):
        log.ask("append", os.write, fd, b"%d" % part * 700)
        log.ask("append by pwrite", os.pwrite, fd, b"p" * 10, 0)
    log.stat(fd)
    os.close(fd)


def _flags(log):
    """chattr: what an append-only and an immutable file refuse."""
    fd = log.open("flags")
    os.pwrite(fd, b"f" * 3000, 0)
    append = log.open("flags", os.O_APPEND)
    for flags in (FS_NODUMP_FL, FS_APPEND_FL, FS_IMMUTABLE_FL, 0x00800000, 0):
        log.ask(f"set {flags:#x}", log.flags, fd, flags)
        log.ask("get", lambda: struct.unpack(
            "L", fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("L", 0)))[0])
        log.ask("open to write", lambda: os.close(log.open("flags")))
        log.ask("open to append", lambda: os.close(log.open("flags", os.O_APPEND)))
        log.ask("truncate", os.truncate, log.disk.where("flags"), 2000)
        log.ask("truncate, open", os.ftruncate, append, 1999)
        log.ask("append", os.write, append, b"more")
        log.ask("chmod", os.fchmod, fd, 0o600)
        log.stat(fd)
    os.close(fd)
    os.close(append)


def _direct(log):
    """O_DIRECT: into holes, over data, behind the end, beside the page cache."""
    area = mmap.mmap(-1, 65536)
    area.write(os.urandom(1) * 65536)
    area.seek(0)
    cached = log.open("direct")
    os.pwrite(cached, b"cached" * 3000, 0)
    fd = log.open("direct", os.O_DIRECT)
    area[:] = bytes(range(256)) * 256
    for offset, length in ((4096, 8192), (65536, 65536), (40 * 4096, 4096), (0, 4096)):
        log.ask(f"write {length} at {offset}", os.pwrite, fd,
                memoryview(area)[:length], offset)
        log.answers.append(os.pread(cached, 300, offset))
    os.pwrite(cached, b"again", 4100)
    log.ask("read", lambda: os.preadv(fd, [memoryview(area)[:8192]], 4096))
    log.answers.append(bytes(area[:16]))
    log.stat(fd)
    os.close(fd)
    os.close(cached)


def _mapped(log):
    """Shared and private mappings, into holes and at the end."""
    fd = log.open("mapped")
    os.ftruncate(fd, 5 * 4096 + 100)
    with mmap.mmap(fd, 5 * 4096 + 100) as area:
        area[4096:4100] = b"hole"
        area[5 * 4096:5 * 4096 + 100] = b"t" * 100
        area.flush()
    with mmap.mmap(fd, 4096, mmap.MAP_PRIVATE) as area:
        area[0:7] = b"private"
    os.ftruncate(fd, 6 * 4096)
    log.answers.append(os.pread(fd, 6 * 4096, 0))
    log.stat(fd)
    os.close(fd)


def _synchronous(log):
    """O_SYNC, O_DSYNC, fsync, fdatasync, sync_file_range in turn."""
    for number, flags in enumerate((os.O_SYNC, os.O_DSYNC, 0)):
        fd = log.open(f"sync{number}", flags)
        for part in range(20):
            log.ask("write", os.pwrite, fd, bytes([part]) * 3000, part * 5000)
        log.ask("fdatasync", os.fdatasync, fd)
        log.ask("fsync", os.fsync, fd)
        log.stat(fd)
        os.close(fd)


def _copied(log):
    """sendfile, splice and copy_file_range between files of it."""
    source, target = log.open("sequence"), log.open("copied")
    os.pwrite(source, bytes(range(251)) * 400, 0)
    log.ask("sendfile", os.sendfile, target, source, 0, 30000)
    log.ask("copy_file_range", os.copy_file_range, source, target, 40000, 100, 50000)
    log.ask("seek", os.lseek, target, 30, os.SEEK_SET)
    left, right = os.pipe()
    os.write(right, b"through a pipe" * 100)
    log.ask("splice", os.splice, left, target, 1400)
    for end in (left, right):
        os.close(end)
    log.answers.append(os.pread(target, 200000, 0))
    log.stat(target)
    os.close(source)
    os.close(target)


def _times(log):
    """Times are cut to seconds where they are stored."""
    fd = log.open("times")
    path = log.disk.where("times")
    for when in (-2**31 - 5, -1, 0, 2**31 - 1, 2**31, 2**40):
        os.utime(path, ns=(when * 10**9 + 5, when * 10**9 + 999_999_999))
        info = os.stat(path)
        log.answers.append((when, info.st_atime_ns, info.st_mtime_ns))
    os.fchown(fd, 0x12345678, 0x7654321)
    log.stat(fd)
    os.close(fd)


STEPS = (_sizes, _seeking, _flags, _direct, _mapped, _synchronous, _copied, _times)


def _everything(ctx, image, options=""):
    sides = [disks.Disk(ctx, image, disks.C_FSTYPE), disks.Disk(ctx, image)]
    for disk in sides:
        disk.mount(options)
    for step in STEPS:
        found = []
        for disk in sides:
            log = Log(disk)
            step(log)
            found.append(log.answers)
        for one, two in zip(*found):
            assert one == two, f"{step.__name__}: {one}\n  and {two}"
        assert len(found[0]) == len(found[1])
    for disk in sides:
        disk.umount()
        disk.check()
        with open(disk.path, "rb") as raw:
            words = struct.unpack_from("<I", raw.read(2048), 1024 + 100)
        assert words[0] & RO_COMPAT_LARGE_FILE, f"{disk}: large_file {words[0]:#x}"
        disk.mount(options)
    differ = compare.trees(sides[0].point, sides[1].point, 20)
    assert not differ, "\n".join(differ[:10])
    for disk in sides:
        disk.finish()


@timeout(300)
def test_answers_1k(ctx):
    """1 KiB blocks."""
    _everything(ctx, "blank-1k")


@timeout(300)
def test_answers_4k(ctx):
    """4 KiB blocks, synchronous."""
    _everything(ctx, "blank-4k", "sync")


def _open_unaware(ctx, path):
    """The errno of who opens a file without O_LARGEFILE, as programs of 32 bits do and,
    for this kernel has none of these, a module does."""
    number = lowlevel.error_of(ctx.load, MOUNTED, f"path={path} unaware=1")[1]
    if not number:
        sysapi.rmmod(MOUNTED)
    return number


def test_open_unaware_of_large_files(ctx):
    """A program that does not know of files of 2 GiB does not get one."""
    for disk in (disks.Disk(ctx, "blank-4k", disks.C_FSTYPE), disks.Disk(ctx, "blank-4k")):
        disk.mount()
        path = disk.where("large")
        answers = []
        for size in (5000, (1 << 31) - 1, 1 << 31, (1 << 32) + 5):
            with open(path, "ab") as file:
                file.truncate(size)
            answers.append(_open_unaware(ctx, path))
        assert answers == [0, 0, errno.EOVERFLOW, errno.EOVERFLOW], f"{disk}: {answers}"
        disk.finish()


def _store(path, offset):
    """The signal that a store to a mapped file ends a process with, or 0."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        fd = os.open(path, os.O_RDWR)
        with mmap.mmap(fd, offset + mmap.PAGESIZE) as area:
            area[offset] = 1
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


@timeout(200)
def test_full_disk_at_the_fault(ctx):
    """B10: a store to a hole of a mapped file on a full disk is SIGBUS, one to a
    page that has its blocks is not."""
    disk = disks.Disk(ctx, "full-1k").mount()
    path = disk.where("mapped")
    with open(path, "wb") as file:
        file.write(b"here" * (mmap.PAGESIZE // 4))
        file.truncate(100 * mmap.PAGESIZE)
    with open(disk.where("filler"), "wb", buffering=0) as file:
        piece = b"f" * 65536
        while piece:
            try:
                file.write(piece)
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                piece = piece[:len(piece) // 2 if len(piece) > 1024 else 0]
    assert _store(path, 0) == 0
    assert _store(path, 50 * mmap.PAGESIZE) == signal.SIGBUS
    os.unlink(disk.where("filler"))
    assert _store(path, 50 * mmap.PAGESIZE) == 0
    disk.finish()


def _write_at_once(path, size):
    """One write(2) of many zeros, and what it returned."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    with mmap.mmap(-1, size) as source:
        return os.write(fd, source)


@timeout(200)
def test_killed_writer(ctx):
    """Who is killed in the middle of a large write(2) ends soon: what he has written is there,
    and nothing else."""
    disk = disks.Disk(ctx, "large-4k").mount()
    free = os.statvfs(disk.point).f_bfree
    path = disk.where("f")
    size = os.statvfs(disk.point).f_bfree * 4096 - (8 << 20)
    child = writers.Child(_write_at_once, path, size)
    # what a write has come to is seen while it goes on
    waiting.until(lambda: os.path.exists(path) and os.stat(path).st_size >= 1 << 20,
                  "the write goes on")
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait()[1] == -signal.SIGKILL
    written = os.stat(path).st_size
    ctx.log(f"killed after {written} of {size}")
    assert 1 << 20 <= written < size and written % mmap.PAGESIZE == 0, written
    with open(path, "rb") as file:
        assert not any(file.read())
    os.unlink(path)
    disks.sync(disk.point)
    assert os.statvfs(disk.point).f_bfree == free
    disk.finish()
