# SPDX-License-Identifier: GPL-2.0
"""What is counted where something goes wrong (E13, B8): memory, or places that cannot be
written or had, for blocks that have been reserved when they were promised. Whatever becomes
of a write, its owner is counted to have what the file has, and nothing when it is gone.
"""

import errno
import functools
import os
import types

import attributes
import disks
import pair
import quotas
import test_quota
from contents import stained
from lowlevel import error_of
from quotas import GROUP, KINDS, USER
from runner import timeout
from test_bad_places import _FREED, _SIZE, _THERE, _arrays, _begin, _freed, _write
from test_delayed_limits import FAILURES, _can_fail, _fail_each, _new
from test_delayed_limits import _write as _write_at
from test_twin import no_flusher

WHO, TEAM, OTHER = 1000, 2000, 3000
PAGE = 4096


def _counted(disk, fd, who=(WHO, TEAM), what=""):
    """The owners have what the file has, and nobody else has anything of it."""
    have = os.fstat(fd).st_blocks * 512
    said = [quotas.get(disk, kind, number)[2][0] for kind, number in zip(KINDS, who)]
    assert said == [have, have], f"{what}: counted {said}, and {have} bytes are there"


def _known(disk):
    """Turn quota on, with a place for everybody in its files."""
    quotas.turn_on(disk)
    for kind in KINDS:
        for number in (WHO, TEAM, OTHER):
            quotas.limit(disk, kind, number, blocks=(0, 1 << 30))


@timeout(300)
def test_memory(ctx):
    """Writes, a sync and a change of owners, of which one allocation after the other fails, or all
    from one on."""
    disks.delays(ctx)
    _can_fail(ctx)
    quotas.load(ctx)
    data = b"m" * (3 * PAGE - 100)
    for image in ("blank-1k", "blank-4k"):
        disk = stained(ctx, image, quotas.OPTIONS)
        _known(disk)
        disks.sync(disk.point)

        def fails(number, failing):
            """Whether it came to that."""
            came = []
            fd = _new(disk, f"f{number}")
            os.fchown(fd, WHO, TEAM)
            os.pwrite(fd, b"b" * 1024, 299 * 1024)
            for at in (300 * 1024, 10 * PAGE):
                with failing(number) as now:
                    _write_at(fd, at, data)
                came += now
                _counted(disk, fd, what=(number, at))
            with failing(number) as now:
                changed = error_of(os.fchown, fd, OTHER, -1)[1] == 0
            came += now
            who = (OTHER if changed else WHO, TEAM)
            _counted(disk, fd, who, (number, changed))
            with failing(number) as now:
                error_of(os.fdatasync, fd)
            came += now
            _counted(disk, fd, who, (number, "failing sync"))
            error_of(os.fsync, fd)
            os.fsync(fd)
            _counted(disk, fd, who, (number, "sync"))
            os.ftruncate(fd, 300 * 1024 + 100)
            _counted(disk, fd, who, (number, "cut"))
            os.unlink(disk.where(f"f{number}"))
            os.close(fd)
            for kind, whose in ((USER, WHO), (USER, OTHER), (GROUP, TEAM)):
                have = quotas.get(disk, kind, whose)[2]
                assert have == (0, 0), (number, kind, whose, have)
            return any(came)

        with no_flusher():
            for failing in FAILURES.values():
                _fail_each(ctx, functools.partial(fails, failing=failing))
        quotas.check(disk)
        disk.finish()


def _quota_calls(faulty):
    """What the quota calls take for a disk that can fail, while it is mounted."""
    return types.SimpleNamespace(device=faulty.device.path, point=faulty.disk.point,
                                 where=faulty.disk.where)


def ready(ctx, options):
    """A disk that can fail, with quota, and what the quota calls take for it."""
    quotas.load(ctx)
    faulty = _begin(ctx, quotas.OPTIONS + options)
    disk = _quota_calls(faulty)
    _known(disk)
    return faulty, disk


def _begun(ctx, options):
    """What is on a disk with quota and the beginning of a file: where the next blocks of the
    file go depends on nothing else then."""
    faulty, disk = ready(ctx, options)
    fd = _new(disk, "f")
    os.fchown(fd, WHO, TEAM)
    _write(fd, 0, _THERE)
    os.fsync(fd)
    os.close(fd)
    quotas.turn_off(disk)
    faulty.end()
    with open(faulty.disk.path, "rb") as file:
        return file.read()


def _grown(ctx, options, begun, bad=()):
    """A file grows by some arrays of pointers, and these blocks are bad: the arrays."""
    faulty = _begin(ctx, options)
    faulty.disk.umount()
    with open(faulty.disk.path, "r+b") as file:
        file.write(begun)
    faulty.disk.mount(quotas.OPTIONS + options, device=faulty.device.path)
    disk = _quota_calls(faulty)
    quotas.turn_on(disk)
    fd = os.open(disk.where("f"), os.O_RDWR)
    with no_flusher():
        _counted(disk, fd)
        faulty.bad(*bad)
        _write(fd, _THERE, _SIZE)
        _counted(disk, fd, what=bad)
        os.fsync(fd)
        _counted(disk, fd, what=bad)
        found = _arrays(faulty.disk, os.fstat(fd).st_ino)
        assert not set(found) & set(bad), (found, bad)
        os.ftruncate(fd, _THERE + 100)
        _counted(disk, fd, what=bad)
        os.unlink(disk.where("f"))
        os.close(fd)
    assert quotas.get(disk, USER, WHO)[2] == (0, 0)
    assert quotas.get(disk, GROUP, TEAM)[2] == (0, 0)
    faulty.good()
    quotas.check(disk)
    faulty.end()
    return found[1:]


@timeout(180)
def test_bad_places(ctx):
    """Arrays of pointers get other places than those that they would have: what is given up
    is nobody's."""
    for options in (",delalloc", ",nodelalloc"):
        begun = _begun(ctx, options)
        places = _grown(ctx, options, begun)
        _grown(ctx, options, begun, [places[0]])
        _grown(ctx, options, begun, [places[0], places[0] + 1])


@timeout(120)
def test_nothing_can_be_written(ctx):
    """No place can be written: what was reserved is still, or is counted, and when the device
    works again it gets its place."""
    faulty, disk = ready(ctx, ",delalloc")
    fd = _new(disk, "f")
    os.fchown(fd, WHO, TEAM)
    with no_flusher():
        _write(fd, 0, _THERE)
        os.fsync(fd)
        disks.sync(disk.point)
        _write(fd, _THERE, _SIZE)
        _counted(disk, fd)
        faulty.all_bad()
        assert error_of(os.fsync, fd)[1] == errno.EIO
        _counted(disk, fd, what="while it fails")
        faulty.good()
        error_of(os.fsync, fd)
        error_of(disks.sync, disk.point)
        _counted(disk, fd, what="when it works again")
        _write(fd, _THERE, _SIZE)
        os.fsync(fd)
        _counted(disk, fd)
        os.unlink(disk.where("f"))
        os.close(fd)
    assert quotas.get(disk, USER, WHO)[2] == (0, 0)
    quotas.check(disk)
    faulty.end()


@timeout(180)
def test_freed_by_another(ctx):
    """Places that the disk says are another's are passed over, and are not counted."""
    quotas.load(ctx)
    for options in (",delalloc", ",delalloc,noreservation"):
        with no_flusher():
            faulty, _ = _freed(ctx, quotas.OPTIONS + options, False)
            disk = _quota_calls(faulty)
            before = os.statvfs(disk.point).f_bfree
            fd = _new(disk, "writer")
            os.fchown(fd, WHO, TEAM)
            _known(disk)
            size = min(before - 1200, 4000) * 1024
            with pair.without(pair.SYS_RESOURCE):
                _write(fd, 0, size)
            _counted(disk, fd, what=options)
            assert error_of(os.fsync, fd)[1] in (0, errno.EIO), options
            os.fsync(fd)
            _counted(disk, fd, what=options)
            # some of these places may have been wanted for the quota files
            paths = ["writer", *(quotas.FILES[kind] for kind in KINDS)]
            got = sum(os.stat(disk.where(path)).st_blocks // 2 for path in paths)
            lost = before - os.statvfs(disk.point).f_bfree - got
            assert 0 < lost <= _FREED, f"{options}: {lost} blocks are lost"
            os.unlink(disk.where("writer"))
            os.close(fd)
            assert quotas.get(disk, USER, WHO)[2] == (0, 0), options
            faulty.good()
        faulty.end()


@timeout(90)
def test_full_and_over(ctx):
    """Who may not have more, on a disk that has no more, hears of quota."""
    with test_quota.begin(ctx, "blank-1k") as twins:
        with pair.user(WHO):
            twins.ok("create", "file", 0o644)
            twins.ok("append", "file", 1024, 2)
        have = quotas.get(twins.disks[1], USER, WHO)[2][0] // 1024
        for disk in twins.disks:
            attributes.fill(disk.where("filler"))
        test_quota.limits(twins, USER, WHO, blocks=(0, have))
        with pair.user(WHO):
            test_quota.refused(twins, "append", "file", 1024, 2)
            test_quota.refused(twins, "mkdir", "folder", 0o755)
            test_quota.refused(twins, "symlink", "long", "t" * 100)
            test_quota.refused(twins, "set_attribute", "file", "user.name", 100, 1, 0)
        test_quota.finish(twins)
