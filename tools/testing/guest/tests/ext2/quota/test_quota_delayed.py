# SPDX-License-Identifier: GPL-2.0
"""Blocks that get their places late, with quota (E13, B11): they are reserved for their
owners when they are promised. Who is over a limit hears of it when he writes, and nobody
at writeback; what is reserved goes with the file to another owner, and comes back with
what is cut.

That C counts the same is seen by test_quota.py, where the same delays.
"""

import contextlib
import errno
import mmap
import os
import random
import time

import disks
import ext2disk
import pair
import quotas
import sysapi
import writers
from lowlevel import error_of
from quotas import GROUP, USER
from runner import parallel, timeout
from test_twin import no_flusher

WHO, TEAM, OTHER = 1000, 2000, 3000


def _free(disk):
    """How many blocks the bitmaps in memory say are free: those of promised ones are."""
    return sum(8 - byte.bit_count()
               for bitmap in ext2disk.Groups(disk.device).block_bitmaps for byte in bitmap)


def _size(disk, number=WHO, kind=USER):
    """How many bytes somebody is counted to have."""
    return quotas.get(disk, kind, number)[2][0]


def _bytes(path):
    """How many bytes on disk a file has, or will have."""
    return os.stat(path).st_blocks * 512


def _ready(ctx, image):
    """A disk with quota."""
    disks.delays(ctx)
    quotas.load(ctx)
    return _known(disks.Disk(ctx, image).mount(quotas.OPTIONS))


def _known(disk):
    """Turn quota on, with a place for everybody in its files."""
    os.chmod(disk.point, 0o777)
    quotas.turn_on(disk)
    for kind in quotas.KINDS:
        for number in (WHO, TEAM, OTHER):
            quotas.limit(disk, kind, number, blocks=(0, 1 << 30))
    disks.sync(disk.point)
    return disk


def _write(path, seed, length, at=0):
    """Write, and sync nothing."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        assert os.pwrite(fd, writers.content(seed, at, length), at) == length
    finally:
        os.close(fd)


@timeout(60)
def test_places_come_late(ctx):
    """With quota on, blocks are counted when they are written to and get their places
    later; what is counted does not change then. Files that are gone before took none."""
    for image in ("blank-1k", "blank-4k"):
        disk = _ready(ctx, image)
        with no_flusher():
            before = _free(disk)
            with pair.user(WHO):
                for number, length in enumerate((100, 50_000, 300_000, 2_000_000)):
                    _write(disk.where(f"file-{number}"), number, length)
            usage = quotas.usage(disk)
            quotas.check(disk)
            assert _free(disk) == before, "they have got places"
            os.unlink(disk.where("file-3"))
            gone = quotas.usage(disk)
            assert gone != usage and _free(disk) == before
            quotas.check(disk)
        disks.sync(disk.point)
        assert quotas.usage(disk) == gone
        taken = before - _free(disk)
        assert taken * os.statvfs(disk.point).f_bsize == _size(disk), taken
        quotas.check(disk)
        disk.finish()


def _until_refused(path, seed, piece):
    """Append until it is over a limit. How much there is."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o666)
    done = 0
    try:
        while True:
            count, number = error_of(os.write, fd, writers.content(seed, done, piece))
            if number:
                assert number == errno.EDQUOT, number
                return done
            done += count
    finally:
        os.close(fd)


@timeout(90)
def test_refused_when_it_is_written(ctx):
    """Promises up to the limit, of a user and of a group, in several files: one byte more
    is EDQUOT, and all that was promised gets its place."""
    chance = random.Random(ctx.seed(3))
    for image, kind in (("blank-1k", USER), ("blank-4k", GROUP), ("blank-4k", USER)):
        disk = _ready(ctx, image)
        block = os.statvfs(disk.point).f_bsize
        who = (WHO, TEAM)[kind]
        quotas.limit(disk, kind, who, blocks=(0, 600))
        with no_flusher(), pair.user(WHO, TEAM):
            paths = [disk.where(f"file-{number}") for number in range(3)]
            for number, path in enumerate(paths[:2]):
                _write(path, number, 100_000)
            size = _until_refused(paths[2], 2, chance.choice((500, 3000, 70_000)))
            # a page that could not be had as a whole, or what leads to one
            least = 600 * 1024 - block - mmap.PAGESIZE
            assert least <= _size(disk, who, kind) <= 600 * 1024
            # a hole behind an indirect block, which would have to be promised, too
            with open(paths[0], "r+b") as file:
                number = error_of(os.pwrite, file.fileno(), b"x" * 4096, 5 << 20)[1]
                assert number == errno.EDQUOT, number
                os.ftruncate(file.fileno(), 100_000)
        quotas.check(disk)
        counted = quotas.usage(disk)
        for path in paths:
            fd = os.open(path, os.O_RDWR)
            os.fsync(fd)
            os.close(fd)
        assert quotas.usage(disk) == counted
        for number, length in enumerate((100_000, 100_000, size)):
            writers.check(paths[number], number, length)
        disk.finish()


@timeout(60)
def test_refused_at_a_fault(ctx):
    """Stores to a mapped hole are promised, up to the limit: the next is a SIGBUS, and
    nothing that was stored is lost."""
    disk = _ready(ctx, "blank-4k")
    quotas.limit(disk, USER, WHO, blocks=(0, 100))
    path, pages = disk.where("holes"), 40
    with open(path, "wb") as file:
        file.truncate(pages * 4096)
    os.chown(path, WHO, WHO)
    with no_flusher():
        before = _free(disk)

        def store():
            os.setgroups([])
            os.setgid(WHO)
            os.setuid(WHO)
            fd = os.open(path, os.O_RDWR)
            with mmap.mmap(fd, pages * 4096) as area:
                for at in range(0, pages * 4096, 4096):
                    area[at:at + 8] = b"contents"

        assert writers.Child(store).wait()[1] == -7, "no SIGBUS"
        assert _free(disk) == before, "they have got places"
    counted = _size(disk)
    assert counted == _bytes(path) <= 100 * 1024
    disks.sync(disk.point)
    assert _size(disk) == counted
    with open(path, "rb") as file:
        kept = [file.read(4096)[:8] for _ in range(pages)]
    # one block is the array of pointers'
    assert kept == [b"contents"] * 24 + [bytes(8)] * (pages - 24), kept
    disk.finish()


@timeout(60)
def test_new_owners(ctx):
    """Files with promises get other owners: what is reserved goes with them, unless the
    new owner may not have it, and then all stays as it was."""
    for image in ("blank-1k", "blank-4k"):
        disk = _ready(ctx, image)
        with no_flusher():
            before = _free(disk)
            path = disk.where("file")
            _write(path, 1, 200_000)
            os.chown(path, WHO, TEAM)
            have = _bytes(path)
            assert have >= 200_000
            assert (_size(disk), _size(disk, TEAM, GROUP)) == (have, have)
            quotas.check(disk)
            quotas.limit(disk, USER, OTHER, blocks=(0, have // 1024 - 1))
            with pair.without(pair.SYS_RESOURCE):
                assert error_of(os.chown, path, OTHER, TEAM + 1)[1] == errno.EDQUOT
            assert (_size(disk), _size(disk, TEAM, GROUP)) == (have, have)
            quotas.check(disk)
            quotas.limit(disk, USER, OTHER, blocks=(0, have // 1024))
            with pair.without(pair.SYS_RESOURCE):
                os.chown(path, OTHER, TEAM)
            assert (_size(disk), _size(disk, OTHER)) == (0, have)
            # there is no more for him
            with pair.user(OTHER):
                number = error_of(_write, disk.where("more"), 2, 100)[1]
                assert number == errno.EDQUOT, number
            assert _free(disk) == before
        disks.sync(disk.point)
        assert (_size(disk), _size(disk, OTHER)) == (0, have)
        quotas.check(disk)
        writers.check(path, 1, 200_000)
        # some of it has a place, and some has not
        with no_flusher():
            _write(path, 1, 1)
            quotas.limit(disk, USER, OTHER)
            with open(path, "r+b") as file:
                os.pwrite(file.fileno(), b"y" * 30_000, 1 << 20)
            os.chown(path, WHO, WHO)
            quotas.check(disk)
            os.unlink(path)
            quotas.check(disk)
            assert (_size(disk), _size(disk, OTHER), _size(disk, WHO, GROUP)) == (0, 0, 0)
        disk.finish()


def _told(ctx, fstype):
    """[(what has been done, its answer, what is counted then)], of a file without arrays of
    pointers, for which ext4 reserves nothing."""
    disk = _known(disks.Disk(ctx, "blank-4k", fstype).mount("usrquota,grpquota"))
    path, told = disk.where("file"), []

    def note(call, *args, by=None):
        with by or contextlib.nullcontext():
            answer, number = error_of(call, *args)
        told.append((call.__name__, args[1:], answer, errno.errorcode.get(number),
                     _size(disk), _size(disk, OTHER), _size(disk, TEAM, GROUP)))

    with no_flusher():
        for turn in range(2):
            note(_write, path, 1, 13_000, by=pair.user(WHO, TEAM))
            quotas.limit(disk, USER, WHO, blocks=(0, 40))
            note(_until_refused, path, 1, 3000, by=pair.user(WHO, TEAM))
            note(_write, path, 1, 100, 11 * 4096, by=pair.user(WHO, TEAM))
            note(_write, path, 1, 5000, 2000, by=pair.user(WHO, TEAM))
            quotas.limit(disk, USER, OTHER, blocks=(0, 8 + 4 * turn))
            if turn:
                note(disks.sync, disk.point)
            note(os.truncate, path, 10_000)
            with pair.without(pair.SYS_RESOURCE):
                note(os.chown, path, OTHER, -1)
                quotas.limit(disk, USER, OTHER, blocks=(0, 12))
                note(os.chown, path, OTHER, -1)
                note(os.chown, path, -1, 0)
            note(disks.sync, disk.point)
            quotas.turn_off(disk)
            note(quotas.turn_on, disk)
            note(os.unlink, path)
            quotas.limit(disk, USER, WHO, blocks=(0, 1 << 30))
    disk.umount()
    return told


@timeout(60)
def test_beside_ext4(ctx):
    """What C ext4 says, which delays and reserves, too: the same to each question."""
    disks.delays(ctx)
    quotas.load(ctx)
    want, got = (_told(ctx, fstype) for fstype in ("ext4", ctx.fstype))
    for there, here in zip(want, got):
        assert there == here, f"in ext4 {there}, here {here}"
    refused = {step[0] for step in want if step[3] == "EDQUOT"}
    assert refused == {"_write", "chown"}, refused


@timeout(60)
def test_given_back(ctx):
    """Cut, deleted, written over in the cache: what is reserved is what is left, and
    somebody at the limit may have the rest at once."""
    disk = _ready(ctx, "blank-1k")
    quotas.limit(disk, USER, WHO, blocks=(0, 400))
    with no_flusher():
        before = _free(disk)
        path = disk.where("file")
        for turn in range(4):
            with pair.user(WHO):
                size = _until_refused(path, turn, 10_000)
            assert size > 350_000, size
            quotas.check(disk)
            _write(path, turn, 5000, 3000)
            quotas.check(disk)
            os.truncate(path, 20_500)
            quotas.check(disk)
            assert _size(disk) == _bytes(path) < 25_000
            # behind the array that is not needed any more
            os.truncate(path, 3 << 20)
            quotas.check(disk)
            if turn % 2:
                os.unlink(path)
            else:
                os.truncate(path, 0)
            quotas.check(disk)
            assert _size(disk) == 0
        # open, and gone
        with pair.user(WHO):
            fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
        os.write(fd, bytes(100_000))
        os.unlink(path)
        assert _size(disk) >= 100_000
        os.close(fd)
        assert _size(disk) == 0
        assert _free(disk) == before, "somebody has got a place"
    quotas.check(disk)
    disk.finish()


@timeout(60)
def test_turned_off_and_on(ctx):
    """Quota is turned off: what was reserved is counted in the files. It is turned on, also
    of one kind after the other, while a writer has promises: they are reserved, or are
    counted when they get their places."""
    disk = _ready(ctx, "blank-1k")
    with no_flusher():
        free = _free(disk)
        with pair.user(WHO):
            _write(disk.where("before"), 1, 100_000)
        counted = quotas.usage(disk)
        assert _free(disk) == free, "they have got places"
        quotas.turn_off(disk)
        assert _free(disk) < free, "they are promised still"
    quotas.turn_on(disk)
    assert quotas.usage(disk) == counted
    quotas.check(disk)
    for turn, kinds in enumerate(((USER, GROUP), (GROUP,), (USER,), (USER, GROUP))):
        with no_flusher():
            path = disk.where(f"file-{turn}")
            fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
            os.fchown(fd, WHO, TEAM)
            os.pwrite(fd, writers.content(turn, 0, 70_000), 0)
            quotas.turn_off(disk, kinds)
            quotas.turn_on(disk, kinds)
            os.pwrite(fd, writers.content(turn, 70_000, 70_000), 70_000)
            quotas.check(disk)
            os.fchown(fd, OTHER, TEAM)
            quotas.check(disk)
            if turn == 2:
                os.ftruncate(fd, 80_000)
            quotas.check(disk)
            os.fsync(fd)
            quotas.check(disk)
            os.close(fd)
    disk.finish()


@timeout(60)
def test_remounted(ctx):
    """Read-only with promises: they get their places, and what is on the disk counts them;
    nodelalloc and back; a filesystem that is unmounted."""
    disk = _ready(ctx, "blank-1k")
    for turn in range(3):
        with pair.user(WHO):
            _write(disk.where(f"file-{turn}"), turn, 300_000)
        counted = quotas.usage(disk)
        if turn == 2:
            disk.umount()
            disk.check()
            disk.mount(quotas.OPTIONS)
            quotas.turn_on(disk)
        else:
            disk.remount(sysapi.MS_RDONLY)
            disk.check()
            disk.remount()
        assert quotas.usage(disk) == counted, turn
        quotas.check(disk)
        writers.check(disk.where(f"file-{turn}"), turn, 300_000)
    with no_flusher():
        for turn, option in enumerate(("delalloc", "nodelalloc", "delalloc")):
            disk.remount(0, option)
            with pair.user(WHO):
                _write(disk.where("file-0"), turn, 100_000, 300_000 + turn * 100_000)
            quotas.check(disk)
    disk.finish()


def _append(path, seed):
    """As somebody with limits."""
    os.setgroups([])
    os.setgid(WHO)
    os.setuid(WHO)
    chance = random.Random(seed)
    refused = 0
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o644)
    while refused < 30:
        number = error_of(os.write, fd, bytes(chance.randrange(1, 20_000)))[1]
        if number:
            assert number == errno.EDQUOT, number
            refused += 1
            os.ftruncate(fd, chance.randrange(1, 40_000))
        if chance.random() < 0.1:
            os.fsync(fd)
    os.close(fd)
    return refused


@parallel
@timeout(120)
def test_several_at_the_limit(ctx):
    """Several write, cut and sync at the limit, while all that is dirty is written: no
    fsync fails, nobody has more, and in the end all is counted. (Blocks that are given back and
    promised again are counted twice in between, which is over when it is asked again.)"""
    disk = _ready(ctx, "blank-1k")
    quotas.limit(disk, USER, WHO, blocks=(0, 700))
    seed = ctx.seed(8)
    children = [writers.Child(_append, disk.where(f"file-{number}"), seed + number)
                for number in range(4)]
    most = 0
    while not all(child.ends_within(0) for child in children):
        disks.sync(disk.point)
        size = _size(disk)
        for _ in range(5):
            if size > 700 * 1024:
                time.sleep(0.02)
                size = min(size, _size(disk))
        most = max(most, size)
    writers.results(children)
    assert 500 * 1024 < most <= 700 * 1024, most
    quotas.check(disk)
    disks.sync(disk.point)
    quotas.check(disk)
    disk.finish()


@timeout(60)
def test_quota_files_have_their_places(ctx):
    """A quota file grows while nothing is synced: its blocks are there at once, and are
    nobody's to count."""
    disk = _ready(ctx, "blank-1k")
    with no_flusher():
        before = _free(disk)
        for number in range(40):
            quotas.limit(disk, USER, 1 + (number << 16), blocks=(0, 1000))
        grown = before - _free(disk)
        assert grown > 12, f"only {grown} blocks"
    quotas.check(disk)
    disk.finish()
