# SPDX-License-Identifier: GPL-2.0
"""Names on a device that does not take writes (E5): with dirsync each change of a
directory is written out, so each fails; afterwards the names, the counts of links and the free
counts are what they were, and when the device works again, so does the call, and
e2fsck has nothing to say. C ext2 leaves half of it done.

Without dirsync a page fails later on, when its call has long returned: it stays in memory
until it is written.
"""

import contextlib
import os

import compare
import disks
import dm
import lowlevel
import ops
from runner import timeout
from test_twin import no_flusher

DIR, FILE = 0o755, 0o644


class FailingDevice:
    """A disk behind a device that can be told to fail writes."""

    def __init__(self, ctx, image, options="dirsync"):
        for name in ("dm-mod", "dm-flakey"):
            ctx.load(name)
        self.disk = disks.Disk(ctx, image)
        self._sectors = dm.sectors(self.disk.device)
        self._mapped = dm.Device(f"names-{os.getpid()}", self._table("linear", "0"))
        ctx.afterwards(self._mapped.remove)
        self.path = self._mapped.path
        self.disk.mount(options, device=self.path)

    def _table(self, target, words):
        return [(0, self._sectors, target, f"{self.disk.device} {words}")]

    def fail(self):
        self._mapped.change(self._table("flakey", "0 0 86400 1 error_writes"))

    def work(self):
        self._mapped.change(self._table("linear", "0"))

    def end(self):
        self.disk.umount()
        self._mapped.remove()
        self.disk.check()


def _state(root):
    """All names with their order and inodes, and counts."""
    found = {"statfs": compare.statfs(root)}
    for folder, _, _ in os.walk(root):
        found[folder] = [(entry.name, entry.ino, entry.kind)
                         for entry in lowlevel.list_directory(folder)]
        for entry in lowlevel.list_directory(folder):
            path = os.path.join(folder, os.fsdecode(entry.name))
            found[path + "."] = compare.describe(os.lstat(path))
    return found


SCRIPT = (
    ("create", "d/new", FILE), ("mkdir", "d/dir", DIR), ("symlink", "d/fast", "x"),
    ("symlink", "d/slow", "x" * 200), ("mknod", "d/fifo", 0o10644, 0),
    ("link", "d/f", "e/hard"), ("unlink", "d/g"), ("rmdir", "d/empty"),
    ("rename", "d/f", "d/f2"), ("rename", "d/h", "e/h"), ("rename", "d/i", "e/over"),
    ("rename", "d/sub", "e/sub"), ("rename", "d/sub2", "e/empty"),
)


def _fails(ctx, image, more=0):
    """Each change of the script fails, in directories with so many names more."""
    ctx.allow_log("I/O error|lost async page write|rust_ext2 .*error")
    device = FailingDevice(ctx, image)
    root = device.disk.point
    actor = ops.Actor(root)
    for op in (("mkdir", "d", DIR), ("mkdir", "e", DIR), ("mkdir", "d/empty", DIR),
               ("mkdir", "e/empty", DIR), ("mkdir", "d/sub", DIR),
               ("mkdir", "d/sub2", DIR), ("create", "d/sub/x", FILE),
               *(("create", f"d/{name}", FILE) for name in "fghi"),
               *(("link", "d/f", f"{where}/{number:0100}")
                 for where in "de" for number in range(more)),
               ("create", "e/over", FILE), ("write", "e/over", 0, 5000, 1)):
        assert actor.do(op)[1] == 0, op
    with no_flusher():
        for op in SCRIPT:
            with contextlib.suppress(OSError):
                disks.sync(root)  # what failed is told once more
            disks.sync(root)
            before = _state(root)
            device.fail()
            answer = actor.do(op)
            after = _state(root)
            device.work()
            assert answer == (None, "EIO"), (op, answer)
            # blocks that a directory has grown by stay with it
            assert after == before, (op, _difference(before, after))
            assert actor.do(op)[1] == 0, op
    with contextlib.suppress(OSError):
        disks.sync(root)
    disks.sync(root)
    device.end()


def _forget(root):
    """Has the machine take back what memory it can, and looks at all names again."""
    with contextlib.suppress(OSError):
        disks.sync(root)
    for _ in range(2):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
    return {entry.name for folder in ("d", "removed")
            for entry in lowlevel.list_directory(os.path.join(root, folder))}


@timeout(120)
def test_page_stays_until_it_is_written(ctx):
    """A page of a directory that could not be written once is in memory until it is: a
    name that was removed does not come back, and one that was made is not lost when fsync
    says that it is there."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 reads the page from the disk again")
    ctx.allow_log("I/O error|lost async page write|rust_ext2 .*error")
    device = FailingDevice(ctx, "blank-4k", "")
    root = device.disk.point
    path = os.path.join(root, "d")
    # where nothing but a removal is to be written, which waits for no inode: so it is tried,
    # and the page is clean then
    removed = os.path.join(root, "removed")
    for folder, names in ((path, ("gone", "kept")), (removed, ("lost", "left"))):
        os.mkdir(folder)
        for name in names:
            with open(os.path.join(folder, name), "wb"):
                pass
    with no_flusher():
        disks.sync(root)
        device.fail()
        os.unlink(os.path.join(path, "gone"))
        os.unlink(os.path.join(removed, "lost"))
        fd = os.open(os.path.join(path, "new"), os.O_CREAT | os.O_WRONLY, FILE)
        found = _forget(root)
        device.work()
        assert not found & {b"gone", b"lost"} and {b"kept", b"left", b"new"} <= found, found
        with contextlib.suppress(OSError):
            os.fsync(fd)  # it may tell of the write that failed
        os.fsync(fd)
        os.close(fd)
        with contextlib.suppress(OSError):
            disks.sync(root)
        disks.sync(root)
        assert _forget(root) == found, "it was not written"
        # numbers of what is gone are given to others now
        for number in range(20):
            with open(os.path.join(path, f"more{number}"), "wb"):
                pass
        assert not os.path.exists(os.path.join(path, "gone"))
        assert not os.path.exists(os.path.join(removed, "lost"))
    device.end()


@timeout(60)
def test_page_of_a_link_does_not_stay(ctx):
    """The target of a symbolic link that could not be written: nobody writes it once more, so
    that its page is not kept; it is read from the device when it is wanted."""
    ctx.allow_log("I/O error|lost async page write|rust_ext2 .*error")
    device = FailingDevice(ctx, "blank-4k", "")
    path = os.path.join(device.disk.point, "link")
    with no_flusher():
        os.symlink("t" * 300, path)
        link = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        device.fail()
        for _ in range(3):
            with contextlib.suppress(OSError):
                disks.sync(device.disk.point)
        device.work()
        for _ in range(2):
            with contextlib.suppress(OSError):
                disks.sync(device.disk.point)
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("1")
        before = disks.done(device.disk.device).reads
        with contextlib.suppress(OSError):
            os.readlink("", dir_fd=link)
        assert disks.done(device.disk.device).reads > before, "it is in memory still"
        os.close(link)
        os.unlink(path)
        for _ in range(2):
            with contextlib.suppress(OSError):
                disks.sync(device.disk.point)
    device.disk.umount()


def _difference(before, after):
    return {key: (before.get(key), after.get(key)) for key in {*before, *after}
            if before.get(key) != after.get(key)}


@timeout(200)
def test_writes_fail_1k(ctx):
    """1 KiB blocks."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 keeps what it has done")
    _fails(ctx, "blank-1k")


@timeout(200)
def test_writes_fail_4k(ctx):
    """4 KiB blocks."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 keeps what it has done")
    _fails(ctx, "blank-4k")


@timeout(200)
def test_known_names_1k(ctx):
    """In directories of several blocks, of which rust_ext2 knows the names."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 keeps what it has done")
    _fails(ctx, "blank-1k", 20)
