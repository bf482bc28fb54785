# SPDX-License-Identifier: GPL-2.0
"""What is in the superblock while a disk is mounted, and after (E1, E10): the
state, the mount count, the counts and the times, beside what C ext2 leaves there
after the same. And what happens when the disk turns out to be corrupt.
"""

import contextlib
import errno
import fcntl
import os
import struct
import time

import cuts
import disks
import ext2disk
import writelog
import writers
from lowlevel import error_of
from runner import timeout
from test_twin import no_flusher

FIFREEZE = 0xC0045877
FITHAW = 0xC0045878
LARGE_FILE = 0x2  # of ro_compat
_MS_RDONLY = 1
_MS_SYNCHRONOUS = 16

_EXACT = ("state", "mnt_count", "max_mnt_count", "free_blocks", "free_inodes",
          "rev_level", "first_ino", "inode_size", "compat", "incompat",
          "ro_compat", "lastcheck", "blocks", "inodes")


class _Story:
    """One disk and what its superblock was after each step."""

    def __init__(self, ctx, image, fstype):
        self.disk = disks.Disk(ctx, image, fstype)
        self.start = ext2disk.superblock(self.disk.path)
        self.steps = []
        self.note("start")

    def note(self, what):
        """Exact fields, and whether times are those of the image or of now."""
        now = ext2disk.superblock(self.disk.path)
        fields = {name: now[name] for name in _EXACT}
        for name in ("mtime", "wtime"):
            fields[name] = "old" if now[name] == self.start[name] else "new"
            age = time.time() - now[name]
            assert fields[name] == "old" or -2 < age < 600, (what, name, age)
        self.steps.append((what, fields))


def _compare(ctx, image, tell):
    """The same story on C ext2 and on ours, step by step."""
    stories = []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        story = _Story(ctx, image, fstype)
        tell(story)
        stories.append(story.steps)
    trouble = []
    for (what, want), (_, got) in zip(*stories, strict=True):
        diff = {k: (want[k], got[k]) for k in want if want[k] != got[k]}
        if diff:
            trouble.append(f"{image}, {what}: (C, ours) {diff}")
    assert not trouble, "\n".join(trouble)
    return stories[1]


def _write(disk, name, size=3000):
    with open(disk.where(name), "wb") as file:
        file.write(b"w" * size)


def _mounts_and_remounts(story):
    disk = story.disk.mount()
    story.note("mounted")
    _write(disk, "one")
    disks.sync(disk.point)
    story.note("synced")
    disk.remount(_MS_RDONLY)
    story.note("remounted read-only")
    disk.remount(_MS_RDONLY, "minixdf")
    story.note("remounted read-only again")
    disk.remount()
    story.note("remounted read-write")
    _write(disk, "two")
    disk.remount(options="errors=continue")
    story.note("remounted read-write again")
    disk.umount()
    story.note("unmounted")


def _freezes(story):
    disk = story.disk.mount()
    fd = os.open(disk.point, os.O_RDONLY)
    try:
        _write(disk, "one")
        fcntl.ioctl(fd, FIFREEZE, 0)
        story.note("frozen")
        fcntl.ioctl(fd, FITHAW, 0)
        story.note("thawed")
        # A file without a name that is in use: not a whole filesystem.
        with open(disk.where("one"), "rb"):
            os.unlink(disk.where("one"))
            fcntl.ioctl(fd, FIFREEZE, 0)
            story.note("frozen with an unlinked file")
            fcntl.ioctl(fd, FITHAW, 0)
    finally:
        os.close(fd)
    disk.umount()
    story.note("unmounted")


def _reads(story):
    disk = story.disk
    point = disk._ctx.mount(disk.device, disk.fstype)  # pylint: disable=protected-access
    os.listdir(point)
    story.note("mounted read-only")
    disk._ctx.umount(point)  # pylint: disable=protected-access
    story.note("unmounted")


def test_states(ctx):
    """Mounting, syncing, remounting and unmounting, from every state."""
    for image in ("state-valid", "state-in-use", "state-errors", "state-never",
                  "state-rev0"):
        _compare(ctx, image, _mounts_and_remounts)


def test_freeze(ctx):
    """A frozen disk is valid, unless files without a name are in use."""
    for image in ("state-valid", "state-in-use", "state-errors"):
        _compare(ctx, image, _freezes)


def test_read_only(ctx):
    """Nothing is written."""
    for image in ("state-valid", "state-in-use"):
        steps = _compare(ctx, image, _reads)
        assert all(fields == steps[0][1] for _, fields in steps)


def test_mounted_sync(ctx):
    """With the option sync the bitmaps and counts are on disk at once."""
    def tell(story):
        disk = story.disk.mount(flags=_MS_SYNCHRONOUS)
        _write(disk, "one", 20000)
        groups = ext2disk.Groups(disk.path)
        bits = sum(byte.bit_count() for byte in groups.block_bitmaps[0])
        story.steps.append(("bitmap", {"used": bits}))
        disk.umount()
        story.note("unmounted")

    _compare(ctx, "state-valid", tell)


def test_large_file(ctx):
    """The first file of 2 GiB sets its feature, and the revision if it has none."""
    def tell(story):
        disk = story.disk.mount()
        with open(disk.where("large"), "wb") as file:
            file.truncate(2 ** 31 - 1)
            os.fsync(file.fileno())
            story.note("just too small")
            file.truncate(2 ** 31)
            os.fsync(file.fileno())
            story.note("large")
        os.unlink(disk.where("large"))
        disk.umount()
        story.note("unmounted")

    for image in ("state-valid", "state-rev0"):
        _compare(ctx, image, tell)
    ctx.allow_log(r"running e2fsck is recommended")


def _size_on_disk(path, number):
    """The size that the disk has for an inode, with its upper half."""
    with open(path, "rb") as file:
        at = ext2disk.inode_offset(path, number)
        file.seek(at)
        low, high = struct.unpack_from("<4xI100xI", file.read(128))  # i_size, i_size_high
    return high << 32 | low


def test_large_file_of_a_name(ctx):
    """A directory is synced with a name of a file that has grown to more than 2 GiB: the disk has
    no large file before its superblock says that there are."""
    ctx.allow_log(r"running e2fsck is recommended")
    disk = disks.Disk(ctx, "state-rev0")
    with no_flusher():
        disk.mount()
        os.mkdir(disk.where("d"))
        disks.sync(disk.point)
        assert not ext2disk.superblock(disk.path)["ro_compat"] & LARGE_FILE
        fd = os.open(disk.where("d/large"), os.O_CREAT | os.O_RDWR, 0o644)
        number = os.fstat(fd).st_ino
        os.ftruncate(fd, 3 << 30)
        directory = os.open(disk.where("d"), os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        says = ext2disk.superblock(disk.path)["ro_compat"] & LARGE_FILE
        size = _size_on_disk(disk.path, number)
        assert says or size < 1 << 31, f"{size} bytes, and no feature"
        os.fsync(fd)
        os.close(fd)
        assert ext2disk.superblock(disk.path)["ro_compat"] & LARGE_FILE
        assert _size_on_disk(disk.path, number) == 3 << 30
    disk.finish()


@timeout(120)
def test_large_file_at_every_write(ctx):
    """The same, of a file that is synced, whatever is lost of what was not flushed."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C leaves the order to e2fsck")
    ctx.allow_log(r"running e2fsck is recommended")
    disk = disks.Disk(ctx, "state-rev0")
    logged = writelog.Logged(ctx, disk)
    with no_flusher():
        disk.mount(device=logged.device.path)
        fd = os.open(disk.where("large"), os.O_CREAT | os.O_RDWR, 0o644)
        number = os.fstat(fd).st_ino
        os.fsync(fd)
        os.ftruncate(fd, 3 << 30)
        os.fsync(fd)
        os.close(fd)
        disk.umount()
    seen = set()
    for entry, path in cuts.each_write(ctx, logged.end()):
        size = _size_on_disk(path, number)
        seen.add(size)
        says = ext2disk.superblock(path)["ro_compat"] & LARGE_FILE
        assert says or size < 1 << 31, f"cut after entry {entry}: {size} bytes, and no feature"
    assert seen == {0, 3 << 30}, seen
    disk.check()


def test_warnings(ctx):
    """What the user should know is said when mounting for writing."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C says it in other words")
    for image, words in (("state-in-use", "not cleanly unmounted"),
                         ("state-errors", "errors were detected"),
                         ("state-valid", None)):
        disk = disks.Disk(ctx, image)
        before = len(ctx.kernel_log())
        disk.mount()
        disk.umount()
        said = [line for line in ctx.kernel_log()[before:] if "e2fsck" in line]
        assert bool(said) == bool(words), said
        assert not words or words in said[0], said


def test_errors(ctx):
    """A corrupt bitmap: reported, marked in the superblock, and then as `errors=`
    says; the same after the same as in C."""
    ctx.allow_log(r"error: ")

    def tell(story):
        disk = story.disk.mount()
        made = error_of(_write, disk, "new", 20000)[1]
        with contextlib.suppress(OSError):
            disks.sync(disk.point)
        shown = "ro" in disks.shown_options(disk.point)
        if shown and disks.is_at_once(ctx) and disk.fstype != disks.C_FSTYPE:
            # It has become read-only in the middle of the write, to which it gives no
            # more blocks then, which C does (ext2.rst).
            assert made == errno.EROFS, made
            made = 0
        again = error_of(_write, disk, "again")[1]
        info = ext2disk.superblock(disk.path)
        story.steps.append(("after", {
            "write": made, "read-only": shown, "again": again,
            "state": info["state"], "count": info["mnt_count"]}))
        disk.umount()
        info = ext2disk.superblock(disk.path)
        story.steps.append(("unmounted", {"state": info["state"]}))

    steps = _compare(ctx, "bitmap-hole", tell)
    assert steps[-2][1]["read-only"] and steps[-2][1]["again"] == errno.EROFS, steps
    assert steps[-1][1]["state"] & 2, steps
    steps = _compare(ctx, "bitmap-hole-continue", tell)
    assert not steps[-2][1]["read-only"] and not steps[-2][1]["again"], steps
    assert steps[-1][1]["state"] == 3, steps


def test_inode_table_is_not_given_out(ctx):
    """A block of the inode table that the bitmap calls free holds no data: with
    the disk filled to the last block, its inodes are as they were."""
    ctx.allow_log(r"error: ")
    disk = disks.Disk(ctx, "bitmap-hole-continue").mount()
    with contextlib.suppress(OSError), open(disk.where("fill"), "wb", 0) as file:
        while True:
            file.write(b"f" * 8192)
    disk.umount()
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1) and "multiply" not in text.lower(), text
    disk.mount()
    with open(disk.where("file"), "rb") as file:
        assert file.read() == b"x" * 5000
    disk.finish()


def _image(disk):
    with open(disk.path, "rb") as file:
        return file.read()


def test_sync_while_frozen(ctx):
    """sync(2) changes nothing on the device of a filesystem that is frozen, which a snapshot is
    taken of: the superblock says that it need not be checked. C says that it is in use."""
    disk = disks.Disk(ctx, "state-valid").mount()
    _write(disk, "one")
    fd = os.open(disk.point, os.O_RDONLY)
    fcntl.ioctl(fd, FIFREEZE, 0)
    try:
        frozen = _image(disk)
        os.sync()
        changed = _image(disk) != frozen
    finally:
        fcntl.ioctl(fd, FITHAW, 0)
        os.close(fd)
    assert disk.fstype == disks.C_FSTYPE or not changed
    disk.finish()


def _with_free_blocks(disk, count):
    """The block of group descriptors, and where it is, with another count of free blocks."""
    size = ext2disk.Groups(disk.path).size
    where = size if size > 1024 else 2 * size
    with open(disk.path, "rb") as file:
        file.seek(where)
        block = bytearray(file.read(size))
    block[12:14] = count.to_bytes(2, "little")
    return where, bytes(block)


def _put(path, place, data):
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, data, place)
    os.close(fd)


def _corrected_before_it_is_written_to(ctx, wrong):
    """e2fsck of a filesystem that is mounted read-only, as that of the root is, corrects how
    much is free; then it is written to. How many blocks went in, and how many were free."""
    disk = disks.Disk(ctx, "blank-1k")
    free = ext2disk.Groups(disk.path).counts[0][0]
    place, right = _with_free_blocks(disk, free)
    _put(disk.device, *_with_free_blocks(disk, wrong(free)))
    disk.point = ctx.mount(disk.device, disk.fstype, read_only=True)
    _put(disk.device, place, right)
    disk.remount()
    free = os.statvfs(disk.point).f_bfree
    fd = os.open(disk.where("file"), os.O_CREAT | os.O_WRONLY, 0o644)
    written = writers.fill(fd, (1 << 16, 1024))
    os.fsync(fd)
    os.close(fd)
    info = os.stat(disk.where("file"))
    left = os.statvfs(disk.point).f_bfree
    disk._drivers.add(disk.fstype)  # pylint: disable=protected-access
    disk.finish()
    return free, written // 1024, left, info.st_blocks // 2


def test_too_little_was_free(ctx):
    """Blocks that e2fsck has found before the remount can be used."""
    free, written, left, used = _corrected_before_it_is_written_to(ctx, lambda free: free // 8)
    assert left == 0 and used == free and written > free * 7 // 8, (free, written, left, used)


def test_too_much_was_free(ctx):
    """Blocks that are not there, as e2fsck has found, are promised to nobody."""
    free, written, left, used = _corrected_before_it_is_written_to(ctx, lambda free: free + 300)
    assert left == 0 and used == free and written < free, (free, written, left, used)
