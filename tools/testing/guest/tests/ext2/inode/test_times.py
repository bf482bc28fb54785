# SPDX-License-Identifier: GPL-2.0
"""When a time of access is kept, and when it reaches the disk: the same as in C
ext2, for every mount option that changes it.
"""

import os
import time

import directly
import disks
import ext2disk
from runner import timeout

NOATIME, NODIRATIME, RELATIME = 1 << 10, 1 << 11, 1 << 21
STRICTATIME, LAZYTIME = 1 << 24, 1 << 25
PAST = 10 ** 9  # seconds
MODES = {
    "relatime": RELATIME, "strictatime": STRICTATIME, "noatime": NOATIME,
    "nodiratime": STRICTATIME | NODIRATIME,
}
READS = {
    "file": lambda path: open(path, "rb", 0).read(1),
    "folder": os.listdir, "fast": os.readlink, "slow": os.readlink,
}


def _read_directly(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        assert directly.read(fd, 0, 512) == b"contents"
    finally:
        os.close(fd)


def _fill(disk):
    with open(disk.where("file"), "wb") as file:
        file.write(b"contents")
    os.mkdir(disk.where("folder"))
    os.symlink("x", disk.where("fast"))
    os.symlink("x" * 300, disk.where("slow"))


def _updated(disk, name, atime, read=None):
    """Whether an access changes a time of access that was set before."""
    path = disk.where(name)
    os.utime(path, (atime, PAST), follow_symlinks=False)
    (read or READS[name])(path)
    return int(os.lstat(path).st_atime) != atime


def _rules(disk):
    """{(mode, name, time of access): whether it is updated}."""
    found = {}
    future = int(time.time()) + 10_000  # later than the changes of the inode
    for mode, flags in MODES.items():
        disk.mount(flags=flags)
        if not found:
            _fill(disk)
        for name in READS:
            found[mode, name, "past"] = _updated(disk, name, PAST)
            found[mode, name, "future"] = _updated(disk, name, future)
        disk.finish()
    return found


@timeout(200)
def test_rules(ctx):
    """relatime, strictatime, noatime, nodiratime, on each kind of file."""
    found = [_rules(disks.Disk(ctx, "blank-4k", fstype))
             for fstype in (ctx.fstype, disks.C_FSTYPE)]
    assert found[0] == found[1], [
        (key, found[0][key], found[1][key]) for key in found[0]
        if found[0][key] != found[1][key]]
    assert found[0]["relatime", "file", "past"]
    assert not found[0]["relatime", "file", "future"]
    assert found[0]["strictatime", "folder", "future"]
    assert not found[0]["nodiratime", "folder", "past"]
    assert not any(told for key, told in found[0].items() if key[0] == "noatime")


def _direct_rules(disk):
    """The same of a file that is read directly."""
    found = {}
    for mode, flags in MODES.items():
        disk.mount(flags=flags)
        _fill(disk)
        for when, atime in (("past", PAST), ("future", int(time.time()) + 10_000)):
            found[mode, when] = _updated(disk, "file", atime, _read_directly)
        for name in READS:
            (os.rmdir if name == "folder" else os.unlink)(disk.where(name))
        disk.finish()
    return found


@timeout(200)
def test_direct_reads(ctx):
    """The same rules hold for direct reads, as in ext4. In C there is no time of those."""
    found = {fstype: _direct_rules(disks.Disk(ctx, "blank-4k", fstype))
             for fstype in {ctx.fstype, "ext4", disks.C_FSTYPE}}
    assert not any(found[disks.C_FSTYPE].values()), found[disks.C_FSTYPE]
    if ctx.fstype != disks.C_FSTYPE:
        assert found[ctx.fstype] == found["ext4"], found
    assert found["ext4"]["relatime", "past"] and found["ext4"]["strictatime", "future"]
    assert not found["ext4"]["relatime", "future"] and not found["ext4"]["noatime", "past"]


def _on_disk(disk, ino):
    return ext2disk.inode_times(disk.path, ino)[0]


def _aged(disk, fd):
    """The file with a time of access in the past, on disk, too; then it is read."""
    os.utime(fd, (PAST, PAST))
    os.fsync(fd)
    assert _on_disk(disk, os.fstat(fd).st_ino) == PAST
    os.pread(fd, 1, 0)
    assert os.fstat(fd).st_atime > PAST


def _lazy_story(disk, flags):
    """[(what was done, whether the disk has the new time)]."""
    disk.mount(flags=STRICTATIME | flags)
    _fill(disk)
    told = [("lazytime", "lazytime" in disks.shown_options(disk.point))]
    fd = os.open(disk.where("file"), os.O_RDWR)
    ino = os.fstat(fd).st_ino

    def tell(what):
        told.append((what, _on_disk(disk, ino) != PAST))

    _aged(disk, fd)
    tell("read")
    os.fdatasync(fd)
    tell("fdatasync")
    os.fsync(fd)
    tell("fsync")
    _aged(disk, fd)
    disks.sync(disk.point)
    tell("syncfs")
    _aged(disk, fd)
    os.close(fd)
    os.chmod(disk.where("file"), 0o600)
    tell("chmod")
    disk.finish()
    tell("umount")
    return told


@timeout(200)
def test_lazytime(ctx):
    """With lazytime a time of access is written when somebody insists."""
    for flags in (0, LAZYTIME):
        ours, of_c = (_lazy_story(disks.Disk(ctx, "blank-1k", fstype), flags)
                      for fstype in (ctx.fstype, disks.C_FSTYPE))
        assert ours == of_c, f"{ours}\nin C: {of_c}"
        told = dict(ours)
        assert told["lazytime"] == bool(flags) and told["fsync"] and told["umount"], told
