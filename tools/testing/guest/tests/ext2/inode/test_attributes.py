# SPDX-License-Identifier: GPL-2.0
"""Extended attributes in inodes, as ext4 has them, which are not supported (E9): ignoring
access control lists widens no access.
"""

import contextlib
import errno
import os
import struct

import disks
import ext2disk
import sides
from lowlevel import error_of
from runner import timeout
from test_write_errors import Faulty
from workload import acl

OWNER, USER, GROUP_OWNER, MASK, OTHER = 1, 2, 4, 16, 32
MAGIC = 0xEA020000


def _rust_only(ctx):
    if ctx.fstype == sides.C_FSTYPE:
        ctx.skip("for rust_ext2: C heeds the lists")


def _shown(disk, names):
    return {name: os.stat(disk.where(name)).st_mode & 0o7777 for name in names}


@contextlib.contextmanager
def _umask(mask):
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def _put_in_inode(path, ino, kind, name, value):
    """An attribute where ext4 has it: behind the fields of the inode."""
    start = ext2disk.inode_offset(path, ino) + 128
    entry = struct.pack("<BBHIII", len(name), kind, 96 - len(value), 0, len(value), 0)
    text = struct.pack("<HH", 28, 0) + bytes(24) + struct.pack("<I", MAGIC)
    room = 96 - len(value)
    text += (entry + name)[:room].ljust(room, b"\0") + value
    assert len(text) == 128
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(text)


@timeout(60)
def test_lists_in_inodes(ctx):
    """ext4 keeps attributes in the inode, if they fit there: a list counts, a label
    of a security module does not."""
    _rust_only(ctx)
    disk = disks.Disk(ctx, "blank-1k").mount(fstype=sides.C_FSTYPE)
    numbers = {}
    for name in ("list", "label", "nonsense", "default"):
        path = disk.where(name)
        if name == "default":
            os.mkdir(path)
        else:
            open(path, "wb").close()
        os.chmod(path, 0o770)
        numbers[name] = os.stat(path).st_ino
    disk.umount()
    access = struct.pack("<IHHHHIHHHHHH", 1, OWNER, 7, USER, 7, 1000, GROUP_OWNER, 0,
                         MASK, 7, OTHER, 0)
    default = struct.pack("<IHHHHHH", 1, OWNER, 7, GROUP_OWNER, 4, OTHER, 4)
    _put_in_inode(disk.path, numbers["list"], 2, b"", access)
    _put_in_inode(disk.path, numbers["label"], 6, b"selinux", b"label_t\0")
    _put_in_inode(disk.path, numbers["nonsense"], 6, b"s" * 90, b"")
    _put_in_inode(disk.path, numbers["default"], 3, b"", default)
    disk.mount(fstype=ctx.fstype)
    shown = _shown(disk, numbers)
    assert shown == {"list": 0o700, "label": 0o770, "nonsense": 0o700,
                     "default": 0o770}, shown
    with _umask(0):
        os.close(os.open(disk.where("default/f"), os.O_CREAT, 0o666))
    assert os.stat(disk.where("default/f")).st_mode & 0o777 == 0o644
    os.chmod(disk.where("label"), 0o710)
    disk.umount()
    disk.mount(fstype=sides.C_FSTYPE)
    assert _shown(disk, ("list", "label")) == {"list": 0o770, "label": 0o710}
    disk.umount()


@timeout(60)
def test_list_that_cannot_be_set(ctx):
    """A list that says no more than a mode is to replace one in the inode, and the block of
    attributes cannot be read. On the disk the mode is as before."""
    _rust_only(ctx)
    ctx.allow_log("I/O error|rust_ext2 .*cannot read")
    faulty = Faulty(ctx, "blank-1k")
    disk = faulty.disk
    disk.mount("user_xattr", fstype=sides.C_FSTYPE, device=faulty.device.path)
    path = disk.where("list")
    open(path, "wb").close()
    os.chmod(path, 0o770)
    os.setxattr(path, "user.name", b"value")
    number = os.stat(path).st_ino
    disk.umount()
    _put_in_inode(disk.path, number, 2, b"", struct.pack(
        "<IHHHHIHHHHHH", 1, OWNER, 7, USER, 7, 1000, GROUP_OWNER, 0, MASK, 7, OTHER, 0))
    with open(disk.path, "rb") as file:
        file.seek(ext2disk.inode_offset(disk.path, number) + 104)
        block, = struct.unpack("<I", file.read(4))
    disk.mount("acl", fstype=ctx.fstype, device=faulty.device.path)
    faulty.bad(block)
    assert _shown(disk, ("list",)) == {"list": 0o700}
    wanted = acl((OWNER, 7), (GROUP_OWNER, 6), (OTHER, 0))
    error = error_of(os.setxattr, disk.where("list"), "system.posix_acl_access", wanted)[1]
    assert error == errno.EIO, error
    assert _shown(disk, ("list",)) == {"list": 0o700}
    faulty.good()
    faulty.end()
    found = ext2disk.inode_mode(disk.path, number)
    assert found & 0o7777 == 0o770, f"{found:o}"
