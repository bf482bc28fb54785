# SPDX-License-Identifier: GPL-2.0
"""Extended attributes (E9): what can be set and what not, beside C ext2; blocks that
files share; Debian's programs; capabilities.
"""

import collections
import errno
import os
import struct

import attributes
import disks
import pair
import programs
import sides
from lowlevel import error_of
from runner import timeout

ACLS = "acl,user_xattr"
NOT_SUPPORTED = errno.errorcode[errno.EOPNOTSUPP]  # it has two names


def _script(both, block):
    """What the limits are, on files of each kind."""
    both.ok("create", "f", 0o644)
    both.ok("mkdir", "d", 0o755)
    both.ok("symlink", "s", "f" * 20)
    both.ok("symlink", "slow", "f" * 200)
    both.ok("mknod", "n", 0o020644, 0x103)
    for name in ("f", "d"):
        both.ok("set_attribute", name, "user.a", 5, 1)
        both.ok("get_attribute", name, "user.a")
    for name in ("f", "d", "s", "slow", "n"):
        both.ok("set_attribute", name, "trusted.t", 9, 2)
        both.ok("set_attribute", name, "security.x", 0, 2)
        both.ok("list_attributes", name)
        both.ok("readlink", "s")
    for name in ("s", "slow", "n"):
        both.fails("EPERM", "set_attribute", name, "user.a", 5, 1)
    both.fails("ENODATA", "get_attribute", "f", "user.b")
    both.fails("ENODATA", "remove_attribute", "f", "user.b")
    both.fails("ENODATA", "set_attribute", "f", "user.b", 3, 1, os.XATTR_REPLACE)
    both.fails("EEXIST", "set_attribute", "f", "user.a", 3, 1, os.XATTR_CREATE)
    both.ok("set_attribute", "f", "user.a", 3, 1, os.XATTR_REPLACE)
    both.ok("set_attribute", "f", "user.b", 3, 1, os.XATTR_CREATE)
    both.fails(NOT_SUPPORTED, "set_attribute", "f", "other.a", 3, 1)
    both.fails("EINVAL", "set_attribute", "f", "user.", 3, 1)
    both.ok("set_attribute", "d", "user." + "n" * 250, 3, 1)
    both.fails("ERANGE", "set_attribute", "d", "user." + "n" * 251, 3, 1)
    # to the last byte of a block: header, end of the list, names
    room = block - 32 - 4 - 16 - 4
    both.ok("create", "full", 0o644)
    both.fails("ENOSPC", "set_attribute", "full", "user.name", room + 1, 1)
    both.ok("set_attribute", "full", "user.name", room, 1)
    both.fails("ENOSPC", "set_attribute", "full", "user.x", 0, 1)
    both.ok("set_attribute", "full", "user.name", room, 2)
    both.fails("ENOSPC", "set_attribute", "full", "user.name", block, 1)
    both.fails("ERANGE", "set_attribute", "full", "user.name", block + 1, 1)
    both.fails("E2BIG", "set_attribute", "full", "user.name", 65537, 1)
    both.ok("remove_attribute", "full", "user.name")
    both.ok("list_attributes", "full")


@timeout(120)
def test_limits(ctx):
    """Names and values of all lengths, on inodes of each kind; what is there stays when
    something fails, and both read it from the disk."""
    for image, block in (("blank-1k", 1024), ("blank-4k", 4096)):
        with pair.Pair(ctx, image, ACLS) as both:
            _script(both, block)
            both.counts()
            both.mount_again()
            for name in ("f", "d", "s", "slow", "n", "full"):
                both.do("list_attributes", name)
                both.do("unlink" if name != "d" else "rmdir", name)
            both.counts()
            both.finish()


@timeout(60)
def test_nouser_xattr(ctx):
    """Users' attributes can be switched off, also by a remount, and are there again
    afterwards; the others stay."""
    with pair.Pair(ctx, "blank-1k", "user_xattr") as both:
        both.ok("create", "f", 0o644)
        both.ok("set_attribute", "f", "user.a", 5, 1)
        both.ok("set_attribute", "f", "trusted.a", 5, 1)
        for disk in both.disks:
            disk.remount(0, "nouser_xattr")
        both.fails(NOT_SUPPORTED, "get_attribute", "f", "user.a")
        both.fails(NOT_SUPPORTED, "set_attribute", "f", "user.a", 5, 2)
        both.fails(NOT_SUPPORTED, "remove_attribute", "f", "user.a")
        assert both.ok("list_attributes", "f") == ["trusted.a"]
        for disk in both.disks:
            disk.remount(0, "user_xattr")
        assert both.ok("list_attributes", "f") == ["trusted.a", "user.a"]
        both.ok("get_attribute", "f", "user.a")
        with pair.user(1000):
            assert both.same(lambda actor: sorted(os.listxattr(actor.path("f"))),
                             "list as a user") == ["user.a"]
        both.finish()


def _owners(disk, names):
    """{block of attributes: (owners in it, names that have it)} of an unmounted disk."""
    found = collections.defaultdict(list)
    for name, ino in names.items():
        found[attributes.block_of(disk.path, ino)].append(name)
    return {block: (attributes.owners(disk.path, block), sorted(files))
            for block, files in found.items() if block}


@timeout(120)
def test_the_cache_holds_the_module(ctx):
    """What knows which blocks have the same attributes is called when memory is short: the
    module stays as long as that is there, and not only as long as it is mounted."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("C leaves that to who unmounts")

    def references():
        with open(f"/sys/module/{ctx.fstype}/refcnt", encoding="ascii") as file:
            return int(file.read())
    disk = disks.Disk(ctx, "blank-1k")
    before = references()
    disk.mount()
    mounted = references() - before
    disk.umount()
    assert mounted == 2, f"{mounted} references: one is the mount's"
    assert references() == before, "the module cannot go any more"
    disk.check()


def test_sharing(ctx):
    """Files with the same attributes have one block, which counts them; who changes his
    gets his own, and who has one alone keeps it. debugfs and e2fsck agree."""
    disk = disks.Disk(ctx, "blank-1k").mount("user_xattr")
    names = {}
    for number in range(6):
        path = disk.where(f"f{number}")
        open(path, "wb").close()
        names[f"f{number}"] = os.stat(path).st_ino
        os.setxattr(path, "user.x", b"same")
        os.setxattr(path, "user.y", b"too")
    free = os.statvfs(disk.point).f_bfree
    os.setxattr(disk.where("f0"), "user.x", b"other")
    assert os.statvfs(disk.point).f_bfree == free - 1
    os.setxattr(disk.where("f0"), "user.x", b"again")
    os.removexattr(disk.where("f1"), "user.x")
    os.removexattr(disk.where("f1"), "user.y")
    assert os.statvfs(disk.point).f_bfree == free - 1
    os.unlink(disk.where("f2"))
    del names["f2"]
    assert os.stat(disk.where("f1")).st_blocks == 0
    assert os.stat(disk.where("f3")).st_blocks == 2
    assert os.getxattr(disk.where("f3"), "user.x") == b"same"
    disk.finish()
    found = _owners(disk, names)
    assert sorted(found.values()) == [(1, ["f0"]), (3, ["f3", "f4", "f5"])], found
    shared = next(block for block, (count, _) in found.items() if count == 3)
    debugfs = programs.local(ctx, "debugfs")
    told = ctx.run(*debugfs, "-R", "stat f4", disk.path)
    assert f"File ACL: {shared}" in told, told
    told = ctx.run(*debugfs, "-R", "ea_get f4 user.x", disk.path)
    assert "same" in told, told

    disk.mount("user_xattr")
    # from three to one: the block is changed where it is
    free = os.statvfs(disk.point).f_bfree
    for name in ("f3", "f4"):
        os.removexattr(disk.where(name), "user.x")
        os.removexattr(disk.where(name), "user.y")
    os.setxattr(disk.where("f5"), "user.x", b"alone")
    assert os.statvfs(disk.point).f_bfree == free
    # and back to what another has, which has been looked at since
    assert len(os.listxattr(disk.where("f0"))) == 2
    os.setxattr(disk.where("f5"), "user.x", b"again")
    assert os.statvfs(disk.point).f_bfree == free + 1
    disk.finish()
    found = _owners(disk, names)
    assert sorted(found.values()) == [(2, ["f0", "f5"])], found


@timeout(60)
def test_most_owners(ctx):
    """A block that 1025 have is not shared by more, as in C."""
    with pair.Pair(ctx, "blank-1k", "user_xattr") as both:
        def make(actor, number):
            path = actor.path(f"f{number}")
            open(path, "wb").close()
            os.setxattr(path, "user.x", b"same")

        both.same(lambda actor: make(actor, 0), "the first")
        numbers = [os.stat(actor.path("f0")).st_ino for actor in both.actors]
        for disk, ino in zip(both.disks, numbers):
            disk.umount()
            with open(disk.path, "r+b") as file:
                file.seek(attributes.offset_of(disk.path, attributes.block_of(disk.path, ino)) + 4)
                file.write(struct.pack("<I", 1023))
            disk.mount("user_xattr")
        for actor, disk in zip(both.actors, both.disks):
            actor.root = disk.point
            os.listxattr(actor.path("f0"))
        blocks = []
        for number in range(1, 5):
            both.same(lambda actor, number=number: make(actor, number), f"number {number}")
            blocks.append(both.counts()["f_bfree"])
        assert [one - blocks[0] for one in blocks] == [0, 0, -1, -1], blocks
        for disk in both.disks:
            disk.umount()


@timeout(60)
def test_capabilities(ctx):
    """A file's capabilities go when it is written to, truncated or given away."""
    value = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
    with pair.Pair(ctx, "blank-1k", "user_xattr") as both:
        for step in (("write", "f", 0, 10, 1), ("truncate", "f", 5), ("append", "f", 5, 1),
                     ("map_write", "f", 0, 3, 1, "sync"), ("chown", "f", 1, 1),
                     # where there are blocks, and behind the end, where it is not directly
                     ("write_direct", "f", 0, 1024, 3), ("write_direct", "f", 8192, 1024, 3)):
            both.do("create", "f", 0o755)
            both.ok("write", "f", 0, 2048, 2)
            both.ok("set_list", "f", "security.capability", value)
            both.ok(*step)
            both.do("get_attribute", "f", "security.capability")
        for way in ("write", "write_direct"):
            both.do("create", "g", 0o755)
            both.ok("write", "g", 0, 2048, 2)
            both.ok("set_list", "g", "security.capability", value)
            both.ok("get_attribute", "g", "security.capability")
            both.ok(way, "g", 0, 1024, 1)
            both.fails("ENODATA", "get_attribute", "g", "security.capability")
        both.finish()


@timeout(120)
def test_programs(ctx):
    """setfattr and getfattr of Debian; each driver tells what was set with the other."""
    setfattr, getfattr = ctx.tool("setfattr"), ctx.tool("getfattr")
    disk = disks.Disk(ctx, "blank-1k")
    told = []
    for driver, other in ((ctx.fstype, sides.C_FSTYPE), (sides.C_FSTYPE, ctx.fstype)):
        disk.mount("user_xattr", driver)
        path = disk.where(f"of-{driver}")
        os.mkdir(path)
        ctx.run(setfattr, "-n", "user.comment", "-v", "a comment", path)
        ctx.run(setfattr, "-n", "trusted.t", "-v", "0x0001ff", path)
        ctx.run(setfattr, "-n", "user.gone", path)
        ctx.run(setfattr, "-x", "user.gone", path)
        disk.umount()
        disk.mount("user_xattr", other)
        text = ctx.run(getfattr, "-d", "-m", "-", "--absolute-names", disk.where(f"of-{driver}"))
        told.append(sorted(text.split("\n")[1:]))
        disk.umount()
    assert told[0] == told[1] == ["", "", "trusted.t=0sAAH/", 'user.comment="a comment"'], told
    disk.check()


@timeout(120)
def test_full_disk(ctx):
    """No block for attributes: ENOSPC, and all is as before; one that is there can be
    changed and shared."""
    with pair.Pair(ctx, "tiny-1k", "user_xattr") as both:
        for name in ("alone", "shared1", "shared2", "none"):
            both.ok("create", name, 0o644)
            if name != "none":
                both.ok("set_attribute", name, "user.a", 10, 1 if name == "alone" else 2)
        for disk in both.disks:
            attributes.fill(disk.where("rest"))
        both.fails("ENOSPC", "set_attribute", "none", "user.a", 10, 3)
        both.fails("ENOSPC", "set_attribute", "shared1", "user.a", 10, 3)
        both.ok("set_attribute", "alone", "user.a", 20, 3)
        both.ok("set_attribute", "none", "user.a", 10, 2)
        for name in ("alone", "shared1", "shared2", "none"):
            both.ok("get_attribute", name, "user.a")
        for disk in both.disks:
            os.unlink(disk.where("rest"))
        both.finish()


@timeout(60)
def test_old_revision(ctx):
    """The first attribute sets the feature, which takes a revision with features."""
    disk = disks.Disk(ctx, "blank-old").mount("user_xattr")
    open(disk.where("f"), "wb").close()
    os.setxattr(disk.where("f"), "user.a", b"1")
    disk.finish()
    info = attributes.superblock(disk.path)
    assert info["rev_level"] == 1 and info["compat"] & 8, info


@timeout(60)
def test_read_only(ctx):
    """Attributes can be read and not set."""
    disk = disks.Disk(ctx, "blank-1k").mount("user_xattr")
    open(disk.where("f"), "wb").close()
    os.setxattr(disk.where("f"), "user.a", b"1")
    disk.umount()
    point = ctx.mount(disk.device, ctx.fstype, "user_xattr")
    path = os.path.join(point, "f")
    assert os.getxattr(path, "user.a") == b"1"
    for call in ((os.setxattr, path, "user.a", b"2"), (os.removexattr, path, "user.a")):
        assert error_of(*call)[1] == errno.EROFS
    ctx.umount(point)


@timeout(60)
def test_the_same_again(ctx):
    """Two files have the same in a block each, since nothing was known of the one when the
    other got it. Who has it set again shares that of the other, as in C."""
    with pair.Pair(ctx, "blank-1k", ACLS) as both:
        for name in ("one", "two"):
            both.ok("create", name, 0o644)
            both.ok("set_attribute", name, "user.a", 60, 1)
            both.forget()
        free = both.counts()["f_bfree"]
        for name in ("one", "two"):
            both.ok("get_attribute", name, "user.a")
        both.ok("set_attribute", "two", "user.a", 60, 1)
        assert both.counts()["f_bfree"] == free + 1, "C does not share it either"
        # and one that nobody else has stays where it is
        both.ok("set_attribute", "two", "user.a", 60, 2)
        both.ok("set_attribute", "two", "user.a", 60, 2)
        assert both.counts()["f_bfree"] == free
        both.finish()
