# SPDX-License-Identifier: GPL-2.0
"""Blocks of attributes that make no sense (E9, E14): EUCLEAN, named in the log, and
never read past; the rest of the filesystem is as it was.
"""

import errno
import os
import re
import struct

import attributes
import disks
import ext2disk
import programs
import writers
from lowlevel import error_of, fibmap
from runner import timeout
from test_metadata_lost import table_block
from test_write_errors import Faulty
from workload import acl

_VALUE = b"v" * 40
_SIZE = 1024


def _entry(at, **fields):
    """(offset, bytes) of fields of the entry at `at`."""
    places = {"name_len": (0, "B"), "kind": (1, "B"), "offset": (2, "<H"),
              "block": (4, "<I"), "size": (8, "<I")}
    return [(at + places[name][0], struct.pack(places[name][1], value))
            for name, value in fields.items()]


_FIRST, _SECOND = 32, 32 + 20
# what is overwritten in a block with user.a and user.bb, and what the log says
_CASES = {
    "magic": ([(0, b"none")], "is none"),
    "zeros": ([(0, bytes(_SIZE))], "is none"),
    "two blocks": ([(8, b"\2")], "not one block"),
    "no owner": ([(4, bytes(4))], "nobody has it"),
    "order": (_entry(_FIRST, kind=4), "out of order"),
    "twice": ([*_entry(_SECOND, name_len=1), (_SECOND + 16, b"a\0")], "out of order"),
    "long name": (_entry(_SECOND, name_len=255), "over each other|outside|NUL"),
    "value outside": (_entry(_FIRST, offset=_SIZE - 4), "outside"),
    "value far outside": (_entry(_FIRST, size=0xFFFFFFFF), "outside"),
    "value in another block": (_entry(_FIRST, block=100), "outside"),
    "value over names": (_entry(_FIRST, offset=_FIRST), "over"),
    "NUL": ([(_FIRST + 16, b"\0")], "NUL"),
    "no end": ([(_SECOND + 20 + step * 16, struct.pack("<BBHIII", 0, 7 + step, 0, 0, 0, 0))
                for step in range((_SIZE - _SECOND - 20) // 16)], "outside|over"),
}


def _make(ctx):
    disk = disks.Disk(ctx, "blank-1k").mount("acl,user_xattr")
    numbers = {}
    for number, case in enumerate([*_CASES, "pointers"]):
        path = disk.where(f"f{number}")
        open(path, "wb").close()
        os.setxattr(path, "user.a", _VALUE)
        os.setxattr(path, "user.bb", f"of {case}".encode())
        numbers[case] = path, os.stat(path).st_ino
    open(disk.where("good"), "wb").close()
    os.setxattr(disk.where("good"), "user.a", _VALUE)
    disk.umount()
    return disk, numbers


def _refused(path, what):
    """Everything about the attributes is EUCLEAN."""
    calls = {"get": (os.getxattr, path, "user.a"), "list": (os.listxattr, path),
             "set": (os.setxattr, path, "user.a", b"1"),
             "remove": (os.removexattr, path, "user.a"),
             "acl": (os.getxattr, path, "system.posix_acl_access")}
    for name, call in calls.items():
        number = error_of(*call)[1]
        assert number == errno.EUCLEAN, f"{what}: {name}: {number}"


def _said_of(lines, ino):
    """What the log has of the block of attributes of an inode."""
    return [line for line in lines
            if f"inode {ino}: the block of its extended attributes" in line]


@timeout(150)
def test_corrupt_blocks(ctx):
    """Each field, one after the other, on a mount of its own: the messages of one are limited
    in rate."""
    disk, numbers = _make(ctx)
    with open(disk.path, "r+b") as file:
        for case, (patches, _) in _CASES.items():
            block = attributes.block_of(disk.path, numbers[case][1])
            for at, data in patches:
                file.seek(attributes.offset_of(disk.path, block) + at)
                file.write(data)
    for case, (_, says) in _CASES.items():
        path, ino = numbers[case]
        disk.mount("acl,user_xattr,errors=continue")
        path = disk.where(os.path.basename(path))
        log = len(ctx.kernel_log())
        _refused(path, case)
        lines = _said_of(ctx.kernel_log()[log:], ino)
        assert lines, f"{case}: the log says nothing: {ctx.kernel_log()[log:]}"
        assert all(any(text in line for text in says.split("|")) for line in lines), \
            f"{case}: {lines}"
        # the file itself is all right
        with open(path, "ab") as file:
            file.write(b"1")
        os.unlink(path)
        disk.umount()
    disk.mount("acl,user_xattr,errors=continue")
    assert os.getxattr(disk.where("good"), "user.a") == _VALUE
    os.setxattr(disk.where("good"), "user.b", b"1")
    disk.umount()


@timeout(60)
def test_said_in_the_log(ctx):
    """What is wrong, and where; the superblock is marked."""
    disk, numbers = _make(ctx)
    path, ino = numbers["order"]
    block = attributes.block_of(disk.path, ino)
    with open(disk.path, "r+b") as file:
        file.seek(attributes.offset_of(disk.path, block) + _FIRST + 1)
        file.write(b"\4")
    disk.mount("user_xattr,errors=continue")
    _, number = error_of(os.listxattr, disk.where(os.path.basename(path)))
    assert number == errno.EUCLEAN
    text = (f"inode {ino}: the block of its extended attributes, {block}, "
            "has names out of order")
    assert any(text in line for line in ctx.kernel_log()), ctx.kernel_log()
    disk.umount()
    assert attributes.superblock(disk.path)["state"] & 2


def _point(disk, ino, block):
    """Has an inode of an unmounted disk say that this is its block of attributes."""
    with open(disk.path, "r+b") as file:
        file.seek(attributes.pointer_at(disk.path, ino))
        file.write(struct.pack("<I", block))


def _only_lost(ctx, disk, ino, block):
    """e2fsck finds a block that nobody has, which a deleted inode had, and nothing else."""
    _point(disk, ino, 0)
    status, text = disks.fsck(ctx, disk.path, "-fn")
    found = re.search(r"Block bitmap differences: (.*)", text)
    assert status == 4 and found and found[1].split() == [f"-{block}"], text


@timeout(60)
def test_pointers(ctx):
    """A block of attributes outside, or one of the filesystem's own: not read, and not
    freed with the file."""
    disk, numbers = _make(ctx)
    name, ino = os.path.basename(numbers["pointers"][0]), numbers["pointers"][1]
    kept = attributes.block_of(disk.path, ino)
    table = _first_table(disk.path)
    for block in (0xFFFFFFFF, attributes.superblock(disk.path)["blocks"], 1, 2, table):
        _point(disk, ino, block)
        disk.mount("acl,user_xattr,errors=continue")
        _refused(disk.where(name), f"block {block}")
        disk.umount()
    disk.mount("user_xattr,errors=continue")
    os.unlink(disk.where(name))
    disk.umount()
    _only_lost(ctx, disk, ino, kept)


_LONG = 20_000  # bytes of a file, so that it has an indirect block


def _own_blocks(ctx, disk, name):
    """{what: its number} of the first block of a file's data, and its indirect block."""
    debugfs = programs.local(ctx, "debugfs")
    text = ctx.run(*debugfs, "-R", f"stat {name}", disk.path)
    found = {"data": int(ctx.run(*debugfs, "-R", f"bmap {name} 0", disk.path)),
             "indirect": int(re.search(r"\(IND\):(\d+)", text)[1])}
    assert all(found.values()), text
    return found


@timeout(90)
def test_loops(ctx):
    """A block of attributes that is the file's own, of its data or the indirect one: named,
    not written to, and not freed twice with the file."""
    disk, numbers = _make(ctx)
    name, ino = os.path.basename(numbers["pointers"][0]), numbers["pointers"][1]
    kept = attributes.block_of(disk.path, ino)
    disk.mount()
    with open(disk.where(name), "wb") as file:
        file.write(writers.content(3, 0, _LONG))
    disk.umount()
    for what, block in _own_blocks(ctx, disk, name).items():
        _point(disk, ino, block)
        with open(disk.path, "rb") as file:
            file.seek(attributes.offset_of(disk.path, block))
            before = file.read(_SIZE)
        disk.mount("acl,user_xattr,errors=continue")
        log = len(ctx.kernel_log())
        _refused(disk.where(name), what)
        lines = _said_of(ctx.kernel_log()[log:], ino)
        assert lines and all(f", {block}, is none" in line for line in lines), (what, lines)
        writers.check(disk.where(name), 3, _LONG)
        disk.umount()
        with open(disk.path, "rb") as file:
            file.seek(attributes.offset_of(disk.path, block))
            assert file.read(_SIZE) == before, f"{what}: block {block} was written to"
    disk.mount("user_xattr,errors=continue")
    os.unlink(disk.where(name))
    disk.umount()
    _only_lost(ctx, disk, ino, kept)


@timeout(90)
def test_loop_that_makes_sense(ctx):
    """The same, where the data is a block of attributes: read as such, until one of the two
    frees it. That the other finds it free is said, and no block is freed but that."""
    disk, numbers = _make(ctx)
    name, ino = os.path.basename(numbers["pointers"][0]), numbers["pointers"][1]
    kept = attributes.block_of(disk.path, ino)
    with open(disk.path, "rb") as file:
        file.seek(attributes.offset_of(disk.path, kept))
        data = file.read(_SIZE)
    disk.mount()
    with open(disk.where(name), "wb") as file:
        file.write(data + writers.content(3, _SIZE, _LONG))
    disk.umount()
    block = _own_blocks(ctx, disk, name)["data"]
    _point(disk, ino, block)
    disk.mount("user_xattr,errors=continue")
    assert os.getxattr(disk.where(name), "user.a") == _VALUE
    log = len(ctx.kernel_log())
    os.unlink(disk.where(name))
    disks.sync(disk.point)
    said = ctx.kernel_log()[log:]
    assert any("rust_ext2" in line and "error" in line and str(block) in line
               for line in said), said
    with open(disk.where("good"), "ab") as file:
        file.write(b"1")
    disk.umount()
    _only_lost(ctx, disk, ino, kept)


def _set_owners(path, block, count):
    with open(path, "r+b") as file:
        file.seek(attributes.offset_of(path, block) + 4)
        file.write(struct.pack("<I", count))


@timeout(60)
def test_wrong_counts(ctx):
    """A block whose count of owners is too low is freed while somebody has it: what its
    next owner has there is neither read as attributes nor freed with them. One whose count
    is too high stays."""
    disk = disks.Disk(ctx, "blank-1k").mount("user_xattr")
    for name in ("low-1", "low-2", "high-1", "high-2"):
        open(disk.where(name), "wb").close()
        os.setxattr(disk.where(name), "user.a", name[:3].encode() * 9)
    numbers = {name: os.stat(disk.where(name)).st_ino for name in ("low-1", "high-1")}
    disk.umount()
    low, high = (attributes.block_of(disk.path, ino) for ino in numbers.values())
    assert low != high and attributes.owners(disk.path, low) == 2
    _set_owners(disk.path, low, 1)
    _set_owners(disk.path, high, 3)
    ctx.allow_log(r"rust_ext2 .*error: ")
    disk.mount("user_xattr,errors=continue")
    os.unlink(disk.where("low-1"))
    disks.sync(disk.point)
    attributes.fill(disk.where("filler"))
    with open(disk.where("filler"), "rb") as file:
        before = file.read()
    disk.umount()
    disk.mount("user_xattr,errors=continue")
    if ctx.fstype != disks.C_FSTYPE:
        assert error_of(os.getxattr, disk.where("low-2"), "user.a")[1] == errno.EUCLEAN
    os.unlink(disk.where("low-2"))
    for name in ("high-1", "high-2"):
        os.unlink(disk.where(name))
    disks.sync(disk.point)
    # there is not one free block that the filler has
    error_of(attributes.fill, disk.where("more"))
    with open(disk.where("filler"), "rb") as file:
        assert file.read() == before, "what the next owner has was given out again"
    disk.umount()
    assert attributes.owners(disk.path, high) == 1
    status, text = disks.fsck(ctx, disk.path, "-fn")
    assert status == 4 and f"-{high}" in text, text


def _first_table(path):
    """The first block of the first inode table."""
    info = attributes.superblock(path)
    return attributes.ext2disk.inode_offset(path, 1) // (1024 << info["log_block_size"])


@timeout(60)
def test_bad_lists(ctx):
    """An access control list that is none cannot be read, and in a directory with such a
    default list nothing is made."""
    disk = disks.Disk(ctx, "blank-1k").mount("acl")
    good = acl((1, 7), (2, 5, 1000), (4, 5), (16, 5), (32, 5))
    os.mkdir(disk.where("d"))
    open(disk.where("f"), "wb").close()
    os.setxattr(disk.where("d"), "system.posix_acl_default", good)
    os.setxattr(disk.where("f"), "system.posix_acl_access", good)
    numbers = [os.stat(disk.where(name)).st_ino for name in "df"]
    disk.umount()
    for ino in numbers:
        block = attributes.block_of(disk.path, ino)
        with open(disk.path, "r+b") as file:
            at = attributes.offset_of(disk.path, block)
            file.seek(at)
            data = file.read(_SIZE)
            value, = struct.unpack_from("<H", data, 32 + 2)
            file.seek(at + value + 4)
            file.write(struct.pack("<H", 0x40))
    disk.mount("acl,errors=continue")
    assert error_of(os.mkdir, disk.where("d/x"))[1] == errno.EUCLEAN
    assert error_of(os.getxattr, disk.where("f"), "system.posix_acl_access")[1] == \
        errno.EUCLEAN
    assert any("bad access control list" in line for line in ctx.kernel_log())
    os.mkdir(disk.where("x"))
    disk.umount()


def _target_that_is_a_block(path, blocks):
    """A target of a symbolic link, which is also the number of a block of the file."""
    with open(path, "rb") as file:
        numbers = (struct.pack("<H", fibmap(file.fileno(), block)) for block in range(blocks))
        return next(text for text in numbers if not set(text) & {0, ord("/")})


@timeout(60)
def test_target_is_no_block(ctx):
    """A symbolic link with its target in the inode stays one when its block of attributes
    cannot be freed, as the disk says that it is free: what its target is read as is not freed
    with the link, and after another mount it leads where it did."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 counts the block as one of a target")
    ctx.allow_log(r"rust_ext2 .*error: ")
    disk = disks.Disk(ctx, "blank-1k").mount("user_xattr")
    victim, names = disk.where("victim"), ("kept", "removed")
    length = 1000 * _SIZE
    with open(victim, "wb") as file:
        file.write(writers.content(4, 0, length))
        os.fsync(file.fileno())
    target = _target_that_is_a_block(victim, length // _SIZE)
    for name in names:
        os.symlink(target, disk.where(name))
        os.setxattr(disk.where(name), "trusted.x", name.encode(), follow_symlinks=False)
    numbers = [os.lstat(disk.where(name)).st_ino for name in names]
    disk.umount()
    for number in numbers:
        block = attributes.block_of(disk.path, number)
        ctx.run(*programs.local(ctx, "debugfs"), "-w", "-R", f"freeb {block}", disk.path)
    disk.mount("user_xattr,errors=continue")
    log = len(ctx.kernel_log())
    for name in names:
        os.removexattr(disk.where(name), "trusted.x", follow_symlinks=False)
    assert sum("was free before" in line for line in ctx.kernel_log()[log:]) == 2
    blocks = [os.lstat(disk.where(name)).st_blocks for name in names]
    os.unlink(disk.where("removed"))
    disk.umount()
    disk.mount()
    assert os.fsencode(os.readlink(disk.where("kept"))) == target
    writers.check(disk.where("victim"), 4, length)
    disk.umount()
    _, text = disks.fsck(ctx, disk.path, "-fn")
    assert "differences" not in text and "i_blocks" not in text, text
    assert blocks == [0, 0], blocks


@timeout(120)
def test_freed_by_another(ctx):
    """A file gets a block for its attributes that the disk says is another's. What tells it that
    it is not is written at the second try: the block is the file's then, and none is lost."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C ext2 does not tell the disk before")
    ctx.allow_log("I/O error|Buffer I/O error|lost (a|)sync page write|rust_ext2 .*error")
    faulty = Faulty(ctx, "blank-1k")
    disk = faulty.disk
    disk.mount(device=faulty.device.path)
    victim, own = disk.where("victim"), disk.where("own")
    for path in (victim, own):
        open(path, "wb").close()
    number, own_number = os.stat(victim).st_ino, os.stat(own).st_ino
    os.setxattr(victim, "user.a", _VALUE)
    disks.sync(disk.point)
    block = attributes.block_of(disk.path, number)
    guard = table_block(disk.path, ext2disk.Groups(disk.path), number)
    # nobody has the last block of the disk
    last = os.path.getsize(disk.path) // _SIZE - 1
    assert block and block != last
    os.removexattr(victim, "user.a")
    with faulty.fails(guard, 1, last):
        os.setxattr(own, "user.b", _VALUE)
    faulty.good()
    error_of(disks.sync, disk.point)
    faulty.end()
    assert attributes.block_of(disk.path, own_number) == block
    assert not attributes.block_of(disk.path, number)
    status, text = disks.fsck(ctx, disk.path, "-fn")
    assert status == 0, text
