# SPDX-License-Identifier: GPL-2.0
"""Quota (E13): every block and inode is counted for its owners, beside C ext2; limits
hold wherever something is claimed, and who is over one has changed nothing.

What is counted is compared with what a walk through the tree finds.
"""

import errno
import fcntl
import mmap
import os
import random
import re
import signal
import stat
import struct

import disks
import pair
import quotas
import sysapi
import workload
import writers
from lowlevel import error_of
from quotas import GROUP, USER
from runner import pages_of_4k, timeout

WHO, TEAM = 1000, 2000
OPTIONS = quotas.OPTIONS + ",acl"
_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602
IN_USE = 0x90  # immutable, and no times of access
_DISK_WIDE = ("drop_caches", "remount", "mount_again", "compare")
_VALID = 1


def begin(ctx, image):
    quotas.load(ctx)
    twins = pair.Pair(ctx, image, OPTIONS)
    for disk in twins.disks:
        os.chmod(disk.point, 0o777)
        quotas.turn_on(disk)
    return twins


def _same_usage(twins):
    """Both count the same, and what is there."""
    one, two = (quotas.usage(disk) for disk in twins.disks)
    assert one == two, f"counted in C {one} and here {two}, after {twins.log[-15:]}"
    for disk in twins.disks:
        quotas.check(disk)


def finish(twins):
    """Unmount; each is right, and says the same to the driver of the other."""
    before = quotas.usage(twins.disks[0])
    for disk, actor in zip(twins.disks, twins.actors):
        actor.close()
        disk.umount()
        disk.check()
    one, two = twins.disks
    one.fstype, two.fstype = two.fstype, one.fstype
    for disk in twins.disks:
        disk.mount(OPTIONS)
        quotas.turn_on(disk)
        assert quotas.usage(disk) == before, f"{disk}: another usage after a mount"
        quotas.check(disk)
        disk.umount()


def _churn(ctx, image, size, seed, count):
    seed = ctx.seed(seed)
    with begin(ctx, image) as twins:
        work = workload.Workload(seed, size, workload.IOCTLS | workload.ATTRIBUTES)
        chance = random.Random(seed)
        for number in range(count):
            op = work.next()
            if op[0] in _DISK_WIDE:
                continue
            if op[0] != "sync":
                answer = twins.same(lambda actor, op=op: actor.do(op), op)
                if answer[1] == 0:
                    work.done(op, answer[0])
            if number % 6 == 0:
                name = chance.choice(sorted(os.listdir(twins.disks[0].point)))
                op = ("chown", name, chance.randrange(5), chance.randrange(5))
                twins.same(lambda actor, op=op: actor.do(op), op)
            if op[0] == "sync" or number % 40 == 0:
                for disk in twins.disks:
                    disks.sync(disk.point)
        for disk, actor in zip(twins.disks, twins.actors):
            actor.close()
            disks.sync(disk.point)
        _same_usage(twins)
        assert len(quotas.usage(twins.disks[1])) > 4, "nobody has anything"
        finish(twins)


@timeout(240)
def test_twins_1k(ctx):
    """A random workload with attributes, lists and changes of owners, 1 KiB blocks."""
    _churn(ctx, "blank-1k", 1024, 15, 300)


@timeout(240)
def test_twins_4k(ctx):
    """The same with 4 KiB blocks."""
    _churn(ctx, "blank-4k", 4096, 16, 300)


def limits(twins, kind, number, **limits):
    for disk in twins.disks:
        quotas.limit(disk, kind, number, **limits)


def refused(twins, *op):
    """An operation over a limit: EDQUOT, and nothing has changed."""
    before = quotas.usage(twins.disks[1])
    twins.fails("EDQUOT", *op)
    assert quotas.usage(twins.disks[1]) == before, f"{op} has left something counted"


def _fill(twins, name):
    """Append, block by block, until nothing goes any more. In C a write of several blocks
    of a page is done as a whole or not at all. How large the file is."""
    while twins.do("append", name, 1024, 2)[1] == 0:
        pass
    refused(twins, "append", name, 1024, 2)
    return os.path.getsize(twins.disks[1].where(name))


def _blocks(twins):
    """Everything that takes a block."""
    with pair.user(WHO):
        twins.ok("create", "file", 0o644)
        size = _fill(twins, "file")
        assert 40 * 1024 <= size <= 48 * 1024, size
        refused(twins, "mkdir", "folder", 0o755)
        refused(twins, "symlink", "long", "t" * 100)
        refused(twins, "set_attribute", "file", "user.name", 100, 1, 0)
        twins.ok("symlink", "short", "target")
        # what there was is written again
        twins.ok("write", "file", 0, 20_000, 3)
    _same_usage(twins)
    with pair.user(WHO):
        twins.ok("truncate", "file", 10 * 1024)
        twins.ok("mkdir", "folder", 0o755)
        twins.ok("symlink", "long", "t" * 100)
        # one block, which both have
        twins.ok("set_attribute", "file", "user.name", 100, 1, 0)
        twins.ok("set_attribute", "folder", "user.name", 100, 1, 0)
        _fill(twins, "file")
        for number in range(30):
            # a directory that has to grow
            if twins.do("link", "file", f"folder/{number:0200}")[1] == "EDQUOT":
                break
        else:
            raise AssertionError("a directory can grow beyond the limit")
        refused(twins, "link", "file", "folder/" + "x" * 200)
    _same_usage(twins)


def _pages(twins):
    """A write ends with the last page of which all may be had, whatever is left of the next."""
    for room in (10, 22, 23):
        size = quotas.get(twins.disks[1], USER, WHO)[2][0] // 1024
        limits(twins, USER, WHO, blocks=(0, size + room))
        with pair.user(WHO):
            twins.ok("create", "pages", 0o644)
            written = twins.ok("write", "pages", 0, 16 * mmap.PAGESIZE, 9)
            assert written and written % mmap.PAGESIZE == 0, written
            twins.ok("unlink", "pages")
    _same_usage(twins)


def _inodes(twins):
    """Everything that takes an inode."""
    with pair.user(WHO):
        twins.ok("create", "second", 0o644)
        refused(twins, "create", "third", 0o644)
        refused(twins, "mkdir", "third", 0o755)
        refused(twins, "symlink", "third", "target")
        refused(twins, "mknod", "third", stat.S_IFIFO | 0o644, 0)
        refused(twins, "tmpfile", "slot", "", 0o600)
        twins.ok("link", "second", "third")
        twins.ok("unlink", "second")
        twins.ok("unlink", "third")
        twins.ok("tmpfile", "slot", "", 0o600)
        refused(twins, "create", "third", 0o644)
        twins.ok("close", "slot")
        twins.ok("create", "third", 0o644)
    _same_usage(twins)


@pages_of_4k
@timeout(120)
def test_limits(ctx):
    """Limits of blocks and inodes, of users and groups, beside C ext2."""
    for image in ("blank-1k", "blank-4k"):
        with begin(ctx, image) as twins:
            limits(twins, USER, WHO, blocks=(0, 48))
            _blocks(twins)
            _pages(twins)
            have = quotas.get(twins.disks[1], USER, WHO)[2][1]
            limits(twins, USER, WHO, inodes=(0, have + 1))
            _inodes(twins)
            _owners(twins)
            _soft(twins)
            finish(twins)


def _owners(twins):
    """A file that gets another owner is counted for that one, if he may have it."""
    limits(twins, USER, WHO)
    twins.ok("create", "given", 0o644)
    twins.ok("write", "given", 0, 30_000, 5)
    twins.ok("chown", "given", WHO, 0)
    _same_usage(twins)
    limits(twins, GROUP, TEAM, blocks=(0, 16))
    with pair.user(WHO, TEAM):
        refused(twins, "chown", "given", -1, TEAM)
    with pair.without(pair.SYS_RESOURCE):
        # the user may, the group may not: neither is changed
        refused(twins, "chown", "given", WHO + 1, TEAM)
        refused(twins, "chown", "given", 0, TEAM)
    with pair.user(WHO, TEAM):
        twins.ok("truncate", "given", 5000)
        twins.ok("chown", "given", -1, TEAM)
    limits(twins, GROUP, TEAM, inodes=(0, 1))
    with pair.user(WHO):
        twins.ok("create", "other", 0o644)
    with pair.user(WHO, TEAM):
        refused(twins, "chown", "other", -1, TEAM)
    # who may use more than there is may give it, too
    twins.ok("chown", "other", WHO, TEAM)
    _same_usage(twins)


def _soft(twins):
    """More than the soft limit may be had until the time is over."""
    size = quotas.get(twins.disks[1], USER, WHO)[2][0] // 1024
    limits(twins, USER, WHO, blocks=(size + 12, size + 100))
    with pair.user(WHO):
        twins.ok("create", "soft", 0o644)
        assert twins.ok("write", "soft", 0, 40 * 1024, 6) == 40 * 1024
    for disk in twins.disks:
        quotas.end_grace(disk, USER, WHO)
    with pair.user(WHO):
        refused(twins, "append", "soft", 4096, 7)
        twins.ok("truncate", "soft", 0)
        twins.ok("append", "soft", 5000, 8)
    _same_usage(twins)


def _store(path, length):
    """Store to each page of a file, as somebody with limits."""
    os.setgroups([])
    os.setgid(WHO)
    os.setuid(WHO)
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, length) as area:
        for at in range(0, length, mmap.PAGESIZE):
            area[at:at + 8] = b"contents"
        area.flush()
    return 0


@timeout(60)
def test_faults(ctx):
    """A store to a hole that is over the limit is a SIGBUS, and not lost later (B10);
    C ext2 has no blocks counted at the fault."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("for rust_ext2: C finds out at writeback")
    limit = 15 * mmap.PAGESIZE // 1024
    for image in ("blank-1k", "blank-4k"):
        disk = quotas.ready(ctx, image)
        path, length = disk.where("holes"), 64 * mmap.PAGESIZE
        with open(path, "wb") as file:
            file.truncate(length)
        os.chown(path, WHO, WHO)
        quotas.limit(disk, USER, WHO, blocks=(0, limit))
        text, code = writers.Child(_store, path, length).wait()
        assert code == -signal.SIGBUS, f"no SIGBUS: {code} {text}"
        assert quotas.get(disk, USER, WHO)[2][0] <= limit * 1024
        quotas.check(disk)
        with open(path, "rb") as file:
            pages = [file.read(mmap.PAGESIZE)[:8] for _ in range(64)]
        kept = pages.index(bytes(8))
        assert 8 < kept < 16, f"{kept} pages"
        assert not any(any(page) for page in pages[kept:])
        quotas.limit(disk, USER, WHO)
        writers.Child(_store, path, length).result()
        quotas.check(disk)
        disk.finish()


def _state(disk):
    """s_state on the disk."""
    with open(disk.path, "rb") as file:
        return struct.unpack_from("<H", file.read(2048), 1024 + 58)[0]


def flags(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return struct.unpack("<i", fcntl.ioctl(fd, _GETFLAGS, bytes(4)))[0]
    finally:
        os.close(fd)


@timeout(90)
def test_remount(ctx):
    """Suspended while the filesystem is read-only, which is a whole one on the disk then:
    C ext2 leaves it marked as in use. Resumed afterwards, with all limits."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("for rust_ext2: C leaves the filesystem marked as in use")
    disk = quotas.ready(ctx, "blank-1k")
    file = disk.where(quotas.FILES[USER])
    quotas.limit(disk, USER, WHO, blocks=(0, 30), inodes=(0, 3))
    with pair.user(WHO):
        writers.make(disk.where("mine"), 1, 10_000, sync=False)
    before = quotas.usage(disk)
    assert flags(file) & IN_USE == IN_USE and _state(disk) != _VALID
    for last in (False, True):
        disk.remount(sysapi.MS_RDONLY)
        assert _state(disk) == _VALID, "marked as in use, and read-only"
        assert error_of(quotas.get, disk, USER, WHO)[1] == errno.ESRCH
        assert flags(file) & IN_USE == 0
        disk.check()
        if last:
            break
        disk.remount()
        assert quotas.usage(disk) == before
        assert quotas.get(disk, USER, WHO)[:2] == ((0, 30), (0, 3))
        assert flags(file) & IN_USE == IN_USE
        with pair.user(WHO):
            number = error_of(writers.make, disk.where("more"), 2, 50_000)[1]
            assert number == errno.EDQUOT, number
        os.unlink(disk.where("more"))
        quotas.check(disk)
    disk.umount()
    assert _state(disk) == _VALID, "unmounting has written to it"
    disk.check()
    disk.mount(quotas.OPTIONS)
    quotas.turn_on(disk)
    assert quotas.usage(disk) == before
    disk.finish()


@timeout(60)
def test_refused(ctx):
    """What cannot be had: projects, what is on already, other files than regular ones of
    the filesystem; and a quota file is nobody's to change."""
    disk = quotas.ready(ctx, "blank-1k")
    file = disk.where(quotas.FILES[USER])

    def turned_on(kind, path, form=quotas.VFSV1):
        return error_of(quotas.call, quotas.Q_ON, kind, disk.device, form,
                        path.encode())[1]

    assert turned_on(2, file) == errno.EINVAL
    assert turned_on(USER, file) == errno.EBUSY
    for call, *args in ((os.unlink, file), (os.truncate, file, 0),
                        (os.rename, file, file + "2"), (os.chown, file, WHO, WHO)):
        assert error_of(call, *args)[1] == errno.EPERM, call
    fd = os.open(file, os.O_RDONLY)
    assert error_of(fcntl.ioctl, fd, _SETFLAGS, bytes(8))[1] == errno.EPERM
    os.close(fd)
    before = quotas.usage(disk)
    quotas.turn_off(disk)
    assert flags(file) & IN_USE == 0
    assert turned_on(USER, disk.point) == errno.EACCES
    assert turned_on(USER, "/proc/version") == errno.EXDEV
    assert turned_on(USER, file, 1234) == errno.ESRCH
    # the files of one another
    assert turned_on(GROUP, file) == errno.EINVAL
    assert flags(file) & IN_USE == 0
    # as any other file, and what is written to it counts
    with open(file, "rb") as old:
        data = old.read()
    os.unlink(file)
    with open(file, "wb") as new:
        new.write(data)
    quotas.turn_on(disk)
    assert quotas.usage(disk) == before
    disk.finish()
    disk.mount(fstype=disks.C_FSTYPE)
    assert flags(disk.where(quotas.FILES[USER])) & IN_USE == 0
    disk.umount()


@timeout(120)
def test_tools(ctx):
    """Debian's quotacheck, quotaon, setquota, repquota, quotaoff."""
    for program in ("quotacheck", "quotaon", "setquota", "repquota", "quotaoff"):
        if not os.path.exists(f"/usr/sbin/{program}"):
            ctx.skip("there are no programs for quota: install quota (Debian)")
    quotas.load(ctx)
    disk = disks.Disk(ctx, "blank-4k").mount(quotas.OPTIONS)

    def run(program, *words):
        return ctx.run(f"/usr/sbin/{program}", *words, disk.point)

    def reported():
        found = {}
        for kind, option in ((USER, "-u"), (GROUP, "-g")):
            for line in run("repquota", "-nvO", "csv", option).splitlines():
                fields = line.split(",")
                if re.fullmatch(r"#\d+", fields[0]):
                    number = int(fields[0][1:])
                    found[kind, number] = int(fields[3]) * 1024, int(fields[7])
        return {key: value for key, value in found.items() if any(value)}

    def agree():
        want = quotas.counted(disk.point)
        assert reported() == want, f"repquota: {reported()}, in the tree: {want}"

    os.chmod(disk.point, 0o777)
    writers.make(disk.where("before"), 1, 20_000)
    os.chown(disk.where("before"), WHO, TEAM)
    # of a filesystem called ext2 it looks at the device
    disks.sync(disk.point)
    run("quotacheck", "-cugm", "-F", "vfsv1")
    run("quotaon", "-ug")
    agree()
    run("setquota", "-u", str(WHO), "0", "60", "0", "0")
    with pair.user(WHO):
        number = error_of(writers.make, disk.where("mine"), 2, 100_000)[1]
    assert number == errno.EDQUOT, number
    agree()
    disk.umount()
    disk.check()
    disk.mount(quotas.OPTIONS)
    run("quotaon", "-ug")
    agree()
    assert quotas.get(disk, USER, WHO)[0] == (0, 60)
    run("quotaoff", "-ug")
    before = [open(disk.where(name), "rb").read() for name in quotas.FILES]
    disks.sync(disk.point)
    run("quotacheck", "-ugm", "-F", "vfsv1")
    run("quotaon", "-ug")
    agree()
    assert quotas.get(disk, USER, WHO)[0] == (0, 60)
    run("quotaoff", "-ug")
    assert all(before)
    disk.finish()


def _entries(data):
    """The entries of a quota file: {number: (offset, hard limit of blocks)}."""
    found = {}
    for block in range(2 * 1024, len(data), 1024):
        for at in range(block + 16, block + 1024 - 71, 72):
            number, _, inodes, _, _, hard = struct.unpack_from("<II4Q", data, at)
            if number and hard and not inodes:
                found[number] = at, hard
    return found


@timeout(60)
def test_edited(ctx):
    """A quota file that is edited while quota is off is read anew, also if something else
    is kept in memory of the same page of the device."""
    disk = quotas.ready(ctx, "blank-1k")
    numbers = [1 + (number << 16) for number in range(12)]
    kept = []
    for number in numbers:
        quotas.limit(disk, USER, number, blocks=(0, 100))
        # whose block of pointers is kept
        kept.append(os.open(disk.where(f"kept-{number}"), os.O_CREAT | os.O_RDWR, 0o644))
        os.pwrite(kept[-1], bytes(14 * 1024), 0)
    disks.sync(disk.point)
    quotas.turn_off(disk, (USER,))
    with open(disk.where(quotas.FILES[USER]), "r+b", buffering=0) as file:
        found = _entries(file.read())
        assert set(numbers) <= set(found), found
        for number in numbers:
            at, hard = found[number]
            assert hard == 100, hard
            os.pwrite(file.fileno(), struct.pack("<Q", 500), at + 32)
    quotas.turn_on(disk, (USER,))
    limits = {number: quotas.get(disk, USER, number)[0] for number in numbers}
    assert limits == dict.fromkeys(numbers, (0, 500)), limits
    for fd in kept:
        os.close(fd)
    disk.finish()
