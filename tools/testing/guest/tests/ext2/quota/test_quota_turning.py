# SPDX-License-Identifier: GPL-2.0
"""Turning quota on and off while something else happens (E13): a filesystem that has
become read-only or is being frozen, a quota file that has become bad, and who changes
such a file.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import pathlib
import signal
import struct
import time
import types

import attributes
import directly
import disks
import mapped
import pair
import quotas
import sysapi
import waiting
import writers
from lowlevel import error_of, fibmap
from quotas import GROUP, USER
from runner import timeout
from test_quota import IN_USE, WHO, flags
from test_state import FIFREEZE, FITHAW
from test_twin import no_flusher

OTHER = 3000


def _ours(ctx, why):
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip(f"for rust_ext2: {why}")


def _block_of(path, index):
    fd = os.open(path, os.O_RDONLY)
    try:
        return fibmap(fd, index)
    finally:
        os.close(fd)


@timeout(60)
def test_off_after_an_error(ctx):
    """A filesystem that an error has made read-only has suspended nothing: quota can be
    turned off, and its files are as any other then, on the disk, too."""
    _ours(ctx, "C has no such error")
    ctx.allow_log(r"rust_ext2 .*error: ")
    disk = quotas.ready(ctx, "blank-1k")
    for name in ("bad-1", "bad-2"):
        writers.make(disk.where(name), 1, 100)
    numbers = [os.stat(disk.where(name)).st_ino for name in ("bad-1", "bad-2")]
    disk.umount()
    pointers = [attributes.pointer_at(disk.path, number) for number in numbers]

    def point(to):
        with open(disk.path, "r+b") as file:
            for at in pointers:
                file.seek(at)
                file.write(struct.pack("<I", to))

    point(0xFFFFFFFF)
    for number, by_user in ((1, True), (2, False)):
        disk.mount(quotas.OPTIONS + ",errors=remount-ro")
        quotas.turn_on(disk)
        file = disk.where(quotas.FILES[USER])
        assert flags(file) & IN_USE == IN_USE
        disks.sync(disk.point)
        assert error_of(os.stat, disk.where(f"bad-{number}"))[1] == errno.EUCLEAN
        assert error_of(os.mkdir, disk.where("folder"))[1] == errno.EROFS
        if by_user:
            quotas.turn_off(disk)
            assert flags(file) & IN_USE == 0, "still marked as in use"
        disk.umount()
        disk.mount(quotas.OPTIONS)
        marks = flags(disk.where(quotas.FILES[USER]))
        assert marks & IN_USE == 0, f"marked as in use on the disk: {by_user}"
        disk.umount()
    point(0)
    # which takes the note of the error away
    status, text = disks.fsck(ctx, disk.path, "-fy")
    assert status in (0, 1) and "Fix" not in text, text
    status, text = disks.fsck(ctx, disk.path, "-fn")
    assert status == 0, text


@timeout(60)
def test_one_kind_cannot_go_on(ctx):
    """Quota of users cannot be resumed, of groups it is: the log says so. C tells nobody."""
    _ours(ctx, "C tells nobody")
    ctx.allow_log(r"rust_ext2 .*error: quota of (users|groups) cannot")
    disk = quotas.ready(ctx, "blank-4k")
    with pair.user(WHO):
        writers.make(disk.where("mine"), 1, 10_000, sync=False)
    for kind, whose in ((USER, "users"), (GROUP, "groups")):
        other = 1 - kind
        path = disk.where(quotas.FILES[kind])
        before = quotas.usage(disk, (other,))
        at = _block_of(path, 0) * 4096
        disk.remount(sysapi.MS_RDONLY)
        with open(disk.path, "r+b", buffering=0) as file:
            good = os.pread(file.fileno(), 8, at)
            os.pwrite(file.fileno(), b"no magic", at)
        log = len(ctx.kernel_log())
        disk.remount()
        said = [line for line in ctx.kernel_log()[log:] if "cannot be turned on" in line]
        assert len(said) == 1 and f"quota of {whose}" in said[0], said
        assert error_of(quotas.get, disk, kind, WHO)[1] == errno.ESRCH
        assert flags(path) & IN_USE == 0
        assert flags(disk.where(quotas.FILES[other])) & IN_USE == IN_USE
        assert quotas.usage(disk, (other,)) == before
        # it is anybody's, and shows what the kernel has written: repaired
        with open(path, "r+b") as file:
            file.write(good)
        quotas.turn_on(disk, (kind,))
        quotas.check(disk)
    disk.finish()


@timeout(60)
def test_nobody_changes_the_file_meanwhile(ctx):
    """While a file is made ready to be a quota file nobody else changes it: its blocks
    stay its own, and are its owner's. Who wanted to cut it, or to give it to somebody, is
    refused when it is one."""
    _ours(ctx, "C looks at no block")
    disk, device = waiting.held_up(ctx, "blank-1k")
    quotas.load(ctx)
    disk.mount(quotas.OPTIONS, device=device.path)
    disk.device = device.path
    path = disk.where(quotas.FILES[USER])
    quotas.make_file(path, USER)
    disks.sync(disk.point)
    with no_flusher():
        with open(path, "r+b") as file:
            file.write(struct.pack("<I", 0xD9C01F11))
        with device.suspended():
            turning = waiting.Task(quotas.turn_on, disk, (USER,))
            assert turning.falls_asleep(), turning
            changing = waiting.Task(os.truncate, path, 0)
            assert changing.falls_asleep(), changing
            mode = waiting.Task(os.chmod, path, 0o600)
            assert mode.falls_asleep(), mode
            owner = waiting.Task(os.chown, path, WHO, WHO)
            assert owner.falls_asleep(), owner
    turning.result()
    assert error_of(changing.result)[1] == errno.EPERM
    assert error_of(owner.result)[1] == errno.EPERM
    error_of(mode.result)
    quotas.limit(disk, USER, WHO, blocks=(0, 77))
    quotas.turn_off(disk, (USER,))
    quotas.turn_on(disk, (USER,))
    assert quotas.get(disk, USER, WHO)[0] == (0, 77)
    disk.finish()


@contextlib.contextmanager
def _opened(path, flags=os.O_RDWR):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


@timeout(60)
def test_a_device_stores_to_the_file(ctx):
    """A device reads into a mapped page of the file when it is to be a quota file: what it
    stores would go over what is counted. Quota is turned on when it is done."""
    _ours(ctx, "in C the page is written over what is counted")
    disk = quotas.ready(ctx, "blank-4k")
    quotas.turn_off(disk, (USER,))
    _, device = waiting.held_up(ctx, "blank-1k")
    with _opened(device.path, os.O_RDONLY | os.O_DIRECT) as raw, \
            _opened(disk.where(quotas.FILES[USER])) as fd, mmap.mmap(fd, 4096) as area, \
            memoryview(area)[2048:3072] as part:
        before = bytes(part)
        with device.suspended():
            reading = waiting.Task(os.preadv, raw, [part], 0)
            assert reading.falls_asleep(), reading
            assert error_of(quotas.turn_on, disk, (USER,))[1] == errno.EBUSY
        reading.result()
        part[:] = before
        quotas.turn_on(disk, (USER,))
        with pair.user(WHO):
            writers.make(disk.where("mine"), 1, 10_000, sync=False)
        disks.sync(disk.point)
    quotas.check(disk)
    disk.finish()
    device.remove()


@timeout(60)
def test_who_has_the_file_open(ctx):
    """Who has opened and mapped a file before it is a quota file in use can change nothing
    of it, be it by write(2), directly, or by a store: what is counted is in it. When quota
    is turned off he can again."""
    _ours(ctx, "in C he can, and what is counted is lost")
    for image in ("blank-1k", "blank-4k"):
        disk = quotas.ready(ctx, image)
        quotas.turn_off(disk, (USER,))
        path = disk.where(quotas.FILES[USER])
        with _opened(path) as fd, _opened(path, os.O_RDWR | os.O_DIRECT) as direct, \
                mapped.Page(fd, 0) as page:
            head = page.load(0, 8)
            page.store(0, head)
            quotas.turn_on(disk, (USER,))
            assert error_of(os.pwrite, fd, bytes(100), 0)[1] == errno.EPERM
            assert error_of(directly.write, direct, 0, bytes(4096))[1] == errno.EPERM
            assert error_of(os.pwrite, fd, b"behind the end", 1 << 20)[1] == errno.EPERM
            changed = os.fstat(fd).st_mtime_ns
            text, code = writers.Child(page.store, 0, bytes(8)).wait()
            assert code == -signal.SIGBUS, f"no SIGBUS: {code} {text}"
            assert os.fstat(fd).st_mtime_ns == changed, "a store that was refused changes its time"
            quotas.limit(disk, USER, WHO, blocks=(0, 77))
            with pair.user(WHO):
                writers.make(disk.where("mine"), 1, 10_000, sync=False)
            for _ in range(2):
                disks.sync(disk.point)
                quotas.check(disk)
                quotas.turn_off(disk, (USER,))
                quotas.turn_on(disk, (USER,))
                assert quotas.get(disk, USER, WHO)[0] == (0, 77)
            quotas.turn_off(disk, (USER,))
            assert os.pwrite(fd, head, 0) == len(head)
            page.store(0, head)
            assert directly.write(direct, 4096, directly.read(direct, 4096, 1024))
        quotas.turn_on(disk, (USER,))
        quotas.check(disk)
        disk.finish()


@timeout(60)
def test_one_file_of_two_kinds(ctx):
    """A quota file in use cannot be that of another kind, too, and stays what it is."""
    _ours(ctx, "in C it is nobody's then, and in use")
    disk = quotas.ready(ctx, "blank-1k")
    quotas.turn_off(disk)
    path = disk.where(quotas.FILES[USER])
    with _opened(path) as fd:
        quotas.turn_on(disk, (USER,))
        for kind in (GROUP, USER):
            assert error_of(quotas.call, quotas.Q_ON, kind, disk.device, quotas.VFSV1,
                            path.encode())[1] == errno.EBUSY
            assert error_of(os.pwrite, fd, bytes(100), 0)[1] == errno.EPERM
    quotas.turn_on(disk, (GROUP,))
    other = disk.where("other")
    with _opened(other, os.O_RDWR | os.O_CREAT) as fd:
        assert error_of(quotas.call, quotas.Q_ON, USER, disk.device, quotas.VFSV1,
                        other.encode())[1] == errno.EBUSY
        os.pwrite(fd, b"anything", 0)
    quotas.check(disk)
    disk.finish()


@timeout(60)
def test_a_store_while_it_is_turned_on(ctx):
    """A store to a hole of a file that is about to be a quota file waits until it is one,
    and is a SIGBUS. Else a block would be reserved for who has the file, and nobody would
    give that back."""
    _ours(ctx, "C reserves nothing")
    disks.delays(ctx)
    disk, device = waiting.held_up(ctx, "blank-1k")
    quotas.load(ctx)
    disk.mount(quotas.OPTIONS, device=device.path)
    disk.device = device.path
    quotas.turn_on(disk, (USER,))
    path = disk.where(quotas.FILES[GROUP])
    quotas.make_file(path, GROUP)
    os.truncate(path, 3 * mmap.PAGESIZE)
    os.chown(path, OTHER, 0)
    disks.sync(disk.point)
    with no_flusher(), _opened(path) as fd, mapped.Page(fd, 2) as page:
        assert page.load(0, 8) == bytes(8)
        os.pwrite(fd, os.pread(fd, 4, 0), 0)
        with device.suspended():
            turning = waiting.Task(quotas.turn_on, disk, (GROUP,))
            assert turning.falls_asleep(), turning
            child = writers.Child(page.store, 0, b"stored")
            child.ends_within(1)
        turning.result()
        text, code = child.wait()
    disks.sync(disk.point)
    quotas.turn_off(disk, (GROUP,))
    os.unlink(path)
    left = quotas.usage(disk, (USER,)).get((USER, OTHER))
    assert left is None, f"he has nothing, and is counted to have {left}"
    assert code == -signal.SIGBUS, f"no SIGBUS: {code} {text}"
    disk.finish()


@timeout(120)
def test_deleted_beside_a_freeze(ctx):
    """A file without a name is closed while the filesystem is being frozen: on the disk it
    is not counted either, when that says that it need not be checked, and nothing changes
    there until the filesystem is not frozen any more."""
    _ours(ctx, "C writes it when the filesystem is frozen")
    disk, device = waiting.held_up(ctx, "blank-1k")
    quotas.load(ctx)
    disk.mount(quotas.OPTIONS, device=device.path)
    disk.device = device.path
    quotas.turn_on(disk)
    with no_flusher():
        fd = os.open(disk.where("file"), os.O_CREAT | os.O_RDWR, 0o644)
        os.fchown(fd, WHO, WHO)
        # an indirect block for each, which are to be read one after the other
        for number in range(1, 60):
            os.pwrite(fd, b"f" * 1024, (12 + 256 * number) * 1024)
        os.unlink(disk.where("file"))
        disks.sync(disk.point)
        point = os.open(disk.point, os.O_RDONLY)
        ctx.drop_caches()
        with device.suspended():
            closing = waiting.Task(os.close, fd)
            assert closing.falls_asleep(), closing
            freezing = waiting.Task(fcntl.ioctl, point, FIFREEZE, 0)
            assert freezing.falls_asleep(), freezing
            # times on the disk are in seconds
            time.sleep(1.5)
        closing.result()
        freezing.result()
        copies = [os.path.join(ctx.tmp, name) for name in ("frozen", "later")]
        _copy(disk, copies[0])
        os.sync()
        _copy(disk, copies[1])
        fcntl.ioctl(point, FITHAW, 0)
        os.close(point)
        quotas.check(disk)
        disk.finish()
    before, after = [pathlib.Path(path).read_bytes() for path in copies]
    _check_copy(ctx, copies[0])
    changed = [at // 1024 for at in range(0, len(before), 1024)
               if before[at:at + 1024] != after[at:at + 1024]]
    assert not changed, f"blocks {changed} have changed"


def _copy(disk, path):
    """What is on the disk now."""
    with open(disk.path, "rb") as source, open(path, "wb") as target:
        target.write(source.read())


def _check_copy(ctx, path):
    """It need not be checked, and counts what there is."""
    status, text = disks.fsck(ctx, path, "-fn")
    assert status == 0, text
    loop = ctx.loop(path, read_only=False)
    where = ctx.mount(loop, ctx.fstype, quotas.OPTIONS, read_only=False)
    copy = types.SimpleNamespace(device=loop, point=where,
                                 where=lambda name: os.path.join(where, name))
    quotas.turn_on(copy)
    quotas.check(copy)
    ctx.umount(where)
