# SPDX-License-Identifier: GPL-2.0
"""Access control lists (E9): who may do what, what new files get, and what chmod(2)
makes of them, beside C ext2; Debian's programs.
"""

import contextlib
import errno
import os
import struct

import disks
import ext2disk
import pair
import sides
import writers
from lowlevel import error_of
from runner import timeout
from test_twin import no_flusher
from workload import acl

OWNER, USER, GROUP_OWNER, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
TEAM, OTHERS = 500, 501
KEPT = 1024  # links, with which they are given up
NOT_SUPPORTED = errno.errorcode[errno.EOPNOTSUPP]  # it has two names


@contextlib.contextmanager
def _umask(mask):
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def _stored_while_waiting(ctx, change, before=lambda path: None):
    """The mode that the disk has, and whether it has a list, of a file of mode 0660, or what before(path) has made of it, whose
    image is stored while a block of attributes waits for the disk: change(path) has made it, and
    links are given up."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 keeps no links")
    with no_flusher():
        disk = disks.Disk(ctx, "blank-4k").mount("user_xattr,acl")
        path, beside = disk.where("file"), disk.where("beside")
        for name in (path, beside):
            os.close(os.open(name, os.O_CREAT, 0o600))
        os.chmod(path, 0o660)
        before(path)
        number = os.stat(path).st_ino
        names = [disk.where(f"link{index}") for index in range(KEPT)]
        for name in names:
            os.link(path, name)
        disks.sync(disk.point)
        for name in names:
            os.unlink(name)
        change(path)
        os.mkdir(disk.where("now"))  # who changes a name sees to so many links
        fd = os.open(beside, os.O_WRONLY)
        os.fchmod(fd, 0o640)
        os.fsync(fd)  # which writes the block of the table that has both
        os.close(fd)
        assert ext2disk.inode_links(disk.path, number) == 1, "they have not been given up"
        found = ext2disk.inode_mode(disk.path, number) & 0o7777
        has_list = _has_list(disk.path, number)
        whole = os.stat(path).st_mode & 0o7777
        disks.sync(disk.point)
        assert ext2disk.inode_mode(disk.path, number) & 0o7777 == whole, "it stays so"
    disk.finish()
    return found, has_list


@timeout(100)
def test_mode_of_who_has_no_list(ctx):
    """Nobody has given the file a list: its group has what it had."""
    def change(path):
        os.setxattr(path, "user.name", b"value")

    found, _ = _stored_while_waiting(ctx, change)
    assert found == 0o660, f"{found:o}"


@timeout(100)
def test_mode_of_who_gets_a_list(ctx):
    """The mode is what it was, but it is a mask now, and the group is another."""
    def change(path):
        os.chmod(path, 0o600)
        os.chown(path, -1, OTHERS)
        os.setxattr(path, ACCESS, acl((OWNER, 6), (USER, 6, 1000), (GROUP_OWNER, 0), (MASK, 6),
                                      (OTHER, 0)))
        assert os.stat(path).st_mode & 0o7777 == 0o660

    found, has_list = _stored_while_waiting(ctx, change)
    assert not has_list and found == 0o600, f"{found:o}"


@timeout(100)
def test_list_comes_with_the_mode(ctx):
    """A list comes to other attributes, in a block that the disk has: the mode is not there before
    it."""
    def before(path):
        os.chmod(path, 0o600)
        os.setxattr(path, "user.name", b"value")

    def change(path):
        os.setxattr(path, ACCESS, acl((OWNER, 6), (USER, 6, 1000), (GROUP_OWNER, 0), (MASK, 6),
                                      (OTHER, 0)))

    found, has_list = _stored_while_waiting(ctx, change, before)
    assert has_list or not found & 0o070, f"{found:o}, without a list"


def _has_list(path, number):
    """Whether the disk has an access control list of an inode, in blocks of 4 KiB."""
    with open(path, "rb") as file:
        file.seek(ext2disk.inode_offset(path, number) + 104)
        block, = struct.unpack("<I", file.read(4))
        file.seek(block * 4096)
        raw = file.read(4096)
    at, kinds = 32, []
    while block and raw[at] | raw[at + 1]:
        kinds.append(raw[at + 1])
        at += 16 + -(-raw[at] // 4) * 4
    return 2 in kinds


def _list_goes(ctx, full):
    """Blocks of attributes are written, and inodes are not, when a list has gone: the disk has it
    as long as the mode is its mask."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 changes the block in place")
    with no_flusher():
        disk = disks.Disk(ctx, "blank-4k").mount("user_xattr,acl")
        path = disk.where("file")
        os.close(os.open(path, os.O_CREAT, 0o600))
        number = os.stat(path).st_ino
        os.setxattr(path, ACCESS, acl((OWNER, 6), (USER, 6, 1000), (GROUP_OWNER, 0), (MASK, 6),
                                      (OTHER, 0)))
        os.setxattr(path, "user.name", b"value")
        if full:
            fd = os.open(disk.where("filler"), os.O_WRONLY | os.O_CREAT, 0o600)
            for _ in range(2):
                writers.fill(fd, (1 << 20, 4096), append=True)
                disks.sync(disk.point)
            os.close(fd)
            assert error_of(os.mkdir, disk.where("folder"))[1] == errno.ENOSPC
        disks.sync(disk.point)
        assert _has_list(disk.path, number)
        os.setxattr(path, ACCESS, acl((OWNER, 6), (GROUP_OWNER, 0), (OTHER, 0)))
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert os.listxattr(path) == ["user.name"]
        fd = os.open(disk.device, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        found = ext2disk.inode_mode(disk.path, number)
        assert _has_list(disk.path, number) or not found & 0o070, f"{found:o}, without a list"
        disks.sync(disk.point)
        found = ext2disk.inode_mode(disk.path, number)
        assert not _has_list(disk.path, number) and found & 0o777 == 0o600, f"{found:o}"
    disk.finish()


@timeout(100)
def test_device_that_is_deleted(ctx):
    """A FIFO has a list, and its name is on the disk when it has gone from memory: the mask is
    not the group's."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 keeps no links")
    with no_flusher():
        disk = disks.Disk(ctx, "blank-4k").mount("acl")
        path, beside = disk.where("fifo"), disk.where("beside")
        os.mkfifo(path, 0o640)
        os.close(os.open(beside, os.O_CREAT, 0o600))
        number = os.stat(path).st_ino
        disks.sync(disk.point)
        os.setxattr(path, ACCESS, acl((OWNER, 6), (USER, 6, 1000), (GROUP_OWNER, 4), (MASK, 6),
                                      (OTHER, 0)))
        os.unlink(path)
        fd = os.open(disk.device, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
        found = ext2disk.inode_mode(disk.path, number)
        assert ext2disk.inode_links(disk.path, number) == 1, "it has gone from the disk"
        assert _has_list(disk.path, number) or not found & 0o020, f"{found:o}"
    disk.finish()


@timeout(100)
def test_list_goes_with_the_mode(ctx):
    """It goes with the old block."""
    _list_goes(ctx, False)


@timeout(100)
def test_list_goes_on_a_full_disk(ctx):
    """There is no room for another block: the mode is brought to the disk first."""
    _list_goes(ctx, True)


def _opens(path):
    """What a user may do with a file: errno of reading and of writing."""
    found = []
    for flags in (os.O_RDONLY, os.O_WRONLY):
        fd, number = error_of(os.open, path, flags)
        if not number:
            os.close(fd)
        found.append(number)
    return found


_LISTS = {
    "reader": acl((OWNER, 6), (USER, 4, 1000), (GROUP_OWNER, 0), (MASK, 4), (OTHER, 0)),
    "masked": acl((OWNER, 6), (USER, 7, 1000), (GROUP_OWNER, 7), (MASK, 4), (OTHER, 0)),
    "less": acl((OWNER, 6), (USER, 0, 1000), (GROUP_OWNER, 6), (MASK, 6), (OTHER, 6)),
    "group": acl((OWNER, 6), (GROUP_OWNER, 0), (GROUP, 6, OTHERS), (MASK, 6), (OTHER, 0)),
    "equal": acl((OWNER, 6), (GROUP_OWNER, 4), (OTHER, 4)),
}


@timeout(120)
def test_access(ctx):
    """Named users and groups, the mask, and what the mode is then, as C has it; the
    lists are on the disk for either driver."""
    with pair.Pair(ctx, "blank-1k", "acl") as both:
        for disk in both.disks:
            os.chmod(disk.point, 0o777)
        for name, value in _LISTS.items():
            both.ok("create", name, 0o600)
            both.ok("write", name, 0, 10, 1)
            both.ok("chown", name, 1, TEAM)
            both.ok("set_list", name, ACCESS, value)
            both.do("get_attribute", name, ACCESS)
            both.ok("list_attributes", name)
        both.mount_again()
        for uid, gid in ((1000, 1000), (1001, TEAM), (1001, OTHERS), (1, 1)):
            with pair.user(uid, gid):
                for name in _LISTS:
                    both.same(lambda actor, name=name: _opens(actor.path(name)),
                              f"{uid}, {gid} opens {name}")
        with pair.user(1000):
            allowed = {name: _opens(both.actors[1].path(name)) for name in _LISTS}
        assert allowed == {"reader": [0, errno.EACCES], "masked": [0, errno.EACCES],
                           "less": [errno.EACCES] * 2, "group": [errno.EACCES] * 2,
                           "equal": [0, errno.EACCES]}, allowed
        # one that says no more than a mode is none
        both.fails("ENODATA", "get_attribute", "equal", ACCESS)
        both.finish()


@timeout(60)
def test_mode_is_waited_for(ctx):
    """A list that says no more than a mode, of a file that had none: on a synchronous mount the
    disk has the mode when the call returns."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C leaves it to the flusher")
    disk = disks.Disk(ctx, "blank-1k")
    with no_flusher():
        disk.mount("acl,sync")
        fd = os.open(disk.where("file"), os.O_CREAT | os.O_RDWR, 0o600)
        os.fsync(fd)
        number = os.fstat(fd).st_ino
        os.setxattr(fd, ACCESS, _LISTS["equal"])
        assert os.fstat(fd).st_mode & 0o777 == 0o644
        mode = ext2disk.inode_mode(disk.path, number) & 0o777
        assert mode == 0o644, f"{mode:o} on the disk"
        os.close(fd)
    disk.finish()


@timeout(120)
def test_chmod(ctx):
    """The mask follows the mode, and the mode the list; without a list, too."""
    with pair.Pair(ctx, "blank-1k", "acl") as both:
        for name in ("masked", "group"):
            both.ok("create", name, 0o644)
            both.ok("set_list", name, ACCESS, _LISTS[name])
            for mode in (0o660, 0o4711, 0o606, 0o777):
                both.ok("chmod", name, mode)
                both.ok("get_attribute", name, ACCESS)
        both.ok("create", "plain", 0o644)
        both.ok("chmod", "plain", 0o640)
        both.ok("remove_attribute", "masked", ACCESS)
        both.ok("chmod", "masked", 0o640)
        both.do("list_attributes", "masked")
        both.ok("remove_attribute", "plain", ACCESS)
        both.fails("EINVAL", "set_list", "plain", ACCESS, acl((OWNER, 7)))
        both.fails(NOT_SUPPORTED, "set_list", "plain", ACCESS, b"nonsense")
        both.fails("EACCES", "set_list", "plain", DEFAULT, _LISTS["equal"])
        with pair.user(1000):
            both.fails("EPERM", "set_list", "plain", ACCESS, _LISTS["reader"])
        # a write takes away the set-user-ID bit, and the list stays
        both.ok("chown", "group", 1000, TEAM)
        both.ok("chmod", "group", 0o6777)
        with pair.user(1001, OTHERS):
            both.ok("append", "group", 5, 1)
        both.ok("get_attribute", "group", ACCESS)
        both.finish()


@timeout(120)
def test_inheritance(ctx):
    """What is made in a directory with a default list, with a umask that counts only
    where there is none; a file without a name, too."""
    lists = {
        "closed": acl((OWNER, 7), (GROUP_OWNER, 5), (OTHER, 0)),
        "named": acl((OWNER, 6), (USER, 4, 1000), (GROUP_OWNER, 7), (MASK, 7), (OTHER, 6)),
        "none": None,
    }
    with pair.Pair(ctx, "blank-1k", "acl,user_xattr") as both:
        for folder, value in lists.items():
            both.ok("mkdir", folder, 0o755)
            if value:
                both.ok("set_list", folder, DEFAULT, value)
            both.ok("set_attribute", folder, "user.x", 3, 1)
        for mask in (0, 0o027):
            with _umask(mask):
                for folder in lists:
                    names = [f"{folder}/{kind}{mask}" for kind in "fdpsl"]
                    both.ok("create", names[0], 0o666)
                    both.ok("mkdir", names[1], 0o1777)
                    both.ok("mknod", names[2], 0o010622, 0)
                    both.ok("symlink", names[3], "target")
                    both.ok("tmpfile", 1, folder, 0o666)
                    both.ok("slot_link", 1, names[4])
                    both.ok("create", f"{names[1]}/below", 0o666)
                    for name in (*names, f"{names[1]}/below"):
                        both.do("get_attribute", name, ACCESS)
                        both.do("get_attribute", name, DEFAULT)
                        both.do("list_attributes", name)
        both.counts()
        both.mount_again()
        both.finish()


@timeout(60)
def test_noacl(ctx):
    """Without the option lists are neither heeded nor told, as in C, and are there when
    it is back."""
    with pair.Pair(ctx, "blank-1k", "acl") as both:
        both.ok("mkdir", "d", 0o700)
        both.ok("set_list", "d", ACCESS, _LISTS["masked"])
        both.ok("set_list", "d", DEFAULT, _LISTS["masked"])
        for disk in both.disks:
            disk.remount(0, "noacl")
        both.fails(NOT_SUPPORTED, "get_attribute", "d", ACCESS)
        both.fails(NOT_SUPPORTED, "set_list", "d", ACCESS, _LISTS["less"])
        assert both.ok("list_attributes", "d") == []
        with _umask(0o027):
            both.ok("create", "d/f", 0o666)
        for disk in both.disks:
            disk.remount(0, "acl")
        both.ok("get_attribute", "d", ACCESS)
        both.ok("list_attributes", "d")
        both.ok("create", "d/g", 0o666)
        both.finish()


@timeout(120)
def test_programs(ctx):
    """setfacl and getfacl of Debian; each driver heeds what was set with the other."""
    setfacl, getfacl = ctx.tool("setfacl"), ctx.tool("getfacl")
    disk = disks.Disk(ctx, "blank-1k")
    for driver, other in ((ctx.fstype, sides.C_FSTYPE), (sides.C_FSTYPE, ctx.fstype)):
        disk.mount("acl", driver)
        folder = f"of-{driver}"
        os.mkdir(disk.where(folder))
        ctx.run(setfacl, "-m", "u:1000:rx,d:u:1000:rwx,d:o::-", disk.where(folder))
        disk.umount()
        disk.mount("acl", other)
        with open(disk.where(f"{folder}/f"), "wb"):
            pass
        told = ctx.run(getfacl, "-cn", "--absolute-names", disk.where(f"{folder}/f"))
        assert told.split() == ["user::rw-", "user:1000:rwx", "#effective:rw-",
                                "group::r-x", "#effective:r--", "mask::rw-",
                                "other::---"], told
        told = ctx.run(getfacl, "-cn", "--absolute-names", disk.where(folder))
        assert told.split() == [
            "user::rwx", "user:1000:r-x", "group::r-x", "mask::r-x", "other::r-x",
            "default:user::rwx", "default:user:1000:rwx", "default:group::r-x",
            "default:mask::rwx", "default:other::---"], told
        disk.umount()
    disk.check()
