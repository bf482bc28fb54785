# SPDX-License-Identifier: GPL-2.0
"""That a filesystem is in use is on the medium before anything there changes, and what happens
where it cannot be; a filesystem that an error makes read-only while it is frozen (B14, E10).
"""

import contextlib
import errno
import fcntl
import os

import disks
import ext2disk
import writelog
import writers
from lowlevel import error_of, fibmap
from runner import timeout
from test_metadata_lost import prepared
from test_state import FIFREEZE, FITHAW
from test_twin import no_flusher
from test_write_errors import Faulty

VALID, ERROR = 1, 2
_MS_RDONLY = 1


@contextlib.contextmanager
def _opened(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _frozen(disk):
    """Frozen, and thawed at the end, which does not fail."""
    with _opened(disk.point) as fd:
        fcntl.ioctl(fd, FIFREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(fd, FITHAW, 0)


def _state(path):
    return ext2disk.superblock(path)["state"]


@timeout(100)
def test_before_anything_changes(ctx):
    """Mounted, thawed, or remounted for writing: with all lost that has not been flushed the
    medium says that the filesystem is to be checked."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C does not flush the device")
    disk = disks.Disk(ctx, "state-valid")
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(device=logged.device.path)
        logged.mark("mounted")
        with _frozen(disk):
            logged.mark("frozen")
        logged.mark("thawed")
        disk.remount(_MS_RDONLY)
        logged.mark("read-only")
        disk.remount()
        logged.mark("remounted")
    disk.umount()
    replay = logged.end()
    disk.check()
    cut = os.path.join(ctx.tmp, "cut")
    found = {}
    for number, entry in enumerate(replay.entries):
        if entry.mark:
            data, _ = replay.at(number, lambda _: True)
            with open(cut, "wb") as file:
                file.write(data)
            found[entry.mark] = _state(cut) & VALID
    assert found == {"mounted": 0, "frozen": VALID, "thawed": 0, "read-only": VALID,
                     "remounted": 0}, found


@timeout(60)
def test_read_only_when_it_is_thawed(ctx):
    """A directory turns out to be corrupt while the filesystem is frozen, with
    errors=remount-ro: it is thawed, then nobody writes to it, and nobody waits for ever. In C
    who writes does."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C leaves the locks of who froze it")
    ctx.allow_log("rust_ext2 .*error")
    disk = disks.Disk(ctx, "blank-1k").mount()
    os.mkdir(disk.where("d"))
    number = os.stat(disk.where("d")).st_ino
    disk.umount()
    block = ext2disk.inode_pointers(disk.path, number)[0]
    fd = os.open(disk.device, os.O_WRONLY)
    os.pwrite(fd, b"\xff" * 1024, block * 1024)
    os.close(fd)
    disk.mount("errors=remount-ro")
    with _frozen(disk):
        for _ in range(2):
            assert error_of(os.listdir, disk.where("d"))[1] == errno.EUCLEAN
    writing = writers.Child(lambda: error_of(os.mkdir, disk.where("new"))[1])
    assert writing.ends_within(20), "it waits"
    assert writing.result() == str(errno.EROFS)
    assert "ro" in disks.shown_options(disk.point)
    said = [line for line in ctx.kernel_log() if "making the filesystem read-only" in line]
    assert len(said) == 1, said
    disk.umount()
    assert _state(disk.path) & ERROR


@timeout(60)
def test_thawed_all_the_same(ctx):
    """The superblock cannot be written when the filesystem is thawed: it is."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        with _frozen(disk):
            faulty.bad(1)
        os.mkdir(disk.where("new"))
        faulty.good()
        with contextlib.suppress(OSError):
            disks.sync(disk.point)
        disks.sync(disk.point)
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1), text


@timeout(60)
def test_mounted_where_it_cannot_be_said(ctx):
    """The superblock cannot be written when the filesystem is mounted: it is read-only, and can
    be remounted when the device is good."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C goes on")
    ctx.allow_log("I/O error|lost (a|)sync page write|rust_ext2 .*error")
    faulty = Faulty(ctx, "tiny-1k")
    disk = faulty.disk
    point = ctx.mount(faulty.device.path, disk.fstype, read_only=True)
    ctx.umount(point)  # the superblock can be read
    with no_flusher():
        faulty.all_bad()
        disk.point = ctx.mount(faulty.device.path, disk.fstype, read_only=False)
        assert "ro" in disks.shown_options(disk.point)
        assert error_of(os.mkdir, disk.where("d"))[1] == errno.EROFS
        faulty.good()
        disk.remount()
        os.mkdir(disk.where("d"))
    faulty.end()
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1), text


@timeout(60)
def test_remounted_after_it_failed(ctx):
    """A remount for writing fails once: a filesystem that was clean is, afterwards."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C goes on")
    ctx.allow_log("I/O error|lost (a|)sync page write|rust_ext2 .*error")
    faulty = Faulty(ctx, "tiny-1k")
    disk = faulty.disk
    disk.mount(device=faulty.device.path)
    disk.umount()
    assert _state(disk.path) == VALID
    log = len(ctx.kernel_log())
    disk.point = ctx.mount(faulty.device.path, disk.fstype, read_only=True)
    faulty.all_bad()
    assert error_of(disk.remount)[1] == errno.EIO
    faulty.good()
    disk.remount()
    faulty.end()
    assert _state(disk.path) == VALID
    said = [line for line in ctx.kernel_log()[log:] if "e2fsck" in line]
    assert not said, said
    disk.check()


@timeout(60)
def test_a_directory_that_is_not_on_the_disk(ctx):
    """A page of a directory cannot be written when the filesystem is unmounted: it is said, and
    that the disk is to be checked is on it."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        os.mkdir(disk.where("d"))
        disks.sync(disk.point)
        number = os.stat(disk.where("d")).st_ino
        faulty.bad(ext2disk.inode_pointers(disk.path, number)[0])
        with open(disk.where("d/file"), "wb"):
            pass
        os.mkdir(disk.where("d/sub"))
        faulty.end()
        said = f"directory {number}: cannot be written"
        assert any(said in line for line in ctx.kernel_log()), ctx.kernel_log()
        assert _state(disk.path) & ERROR
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status == 1, text


@timeout(60)
def test_an_inode_that_cannot_be_stored(ctx):
    """The block of an inode that has changed cannot be read: syncfs fails, and not when it can be
    again. C says that all is well."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        writers.make(disk.where("file"), 1, 3000)
        disks.sync(disk.point)
        with _opened(disk.where("file")) as fd:
            for _ in range(2):
                with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
                    file.write("3")
            at = ext2disk.inode_offset(disk.path, os.fstat(fd).st_ino)
            faulty.bad(at // faulty.block_size)
            with _opened(disk.point) as point:
                os.fchmod(fd, 0o600)
                synced = error_of(disks.sync, disk.point)[1]
                os.fstat(point)
            faulty.good()
            assert synced == errno.EIO, synced
            disks.sync(disk.point)
        assert ext2disk.inode_mode(disk.path, os.stat(disk.where("file")).st_ino) & 0o777 == 0o600
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1), text


@timeout(60)
def test_name_of_a_file_that_had_none(ctx):
    """A file without a name has an indirect block that could not be written, and then gets a
    name: the disk has the file without that block, which may have been anybody's."""
    with prepared(ctx, options="errors=continue") as (faulty, disk):
        os.mkdir(disk.where("d"))
        disks.sync(disk.point)
        file = os.open(disk.where("d"), os.O_TMPFILE | os.O_RDWR, 0o644)
        os.write(file, b"t" * 30 * faulty.block_size)
        indirect = fibmap(file, 12) - 1
        faulty.bad(indirect)
        error_of(disks.sync, disk.point)
        os.link(f"/proc/self/fd/{file}", disk.where("d/named"), src_dir_fd=file)
        number = os.fstat(file).st_ino
        folder = os.open(disk.where("d"), os.O_RDONLY)
        synced = error_of(os.fsync, folder)[1]
        pointers = ext2disk.inode_pointers(disk.path, number)
        ctx.log(f"{indirect}, {synced}, {pointers}")
        assert pointers[12] == 0, (indirect, pointers)
        faulty.good()
        error_of(os.fsync, file)
        os.fsync(file)
        assert ext2disk.inode_pointers(disk.path, number)[12] == indirect
        os.close(folder)
        os.close(file)
        faulty.end()
        status, text = disks.fsck(ctx, disk.path, "-fy")
        assert status in (0, 1), text
