# SPDX-License-Identifier: GPL-2.0
"""Each format of quota files that the kernel knows, and times of grace (E13)."""

import errno
import os
import re
import struct
import time

import disks
import pair
import quotas
import writers
from lowlevel import error_of
from quotas import USER
from runner import parallel, timeout

WHO = 1000


def _usage(disk):
    """What the superuser and somebody have. The old format has no list of who is in it."""
    return {(USER, number): quotas.get(disk, USER, number)[2] for number in (0, WHO)}


def _check(disk):
    said, want = _usage(disk), quotas.counted(disk.point)
    want = {key: want.get(key, (0, 0)) for key in said}
    assert said == want, f"counted {said}, in the tree {want}"


def _round(disk, form):
    """A limit, what is refused for it, and what there is after a mount."""
    quotas.turn_on(disk, (USER,), form)
    os.chmod(disk.point, 0o777)
    quotas.limit(disk, USER, WHO, blocks=(0, 50), inodes=(0, 3))
    with pair.user(WHO):
        writers.make(disk.where("mine"), 1, 20_000)
        number = error_of(writers.make, disk.where("more"), 2, 60_000)[1]
        assert number == errno.EDQUOT, number
    _check(disk)
    # far behind the end of an old file
    quotas.limit(disk, USER, 3_000_000, blocks=(0, 7))
    quotas.turn_off(disk, (USER,))
    quotas.turn_on(disk, (USER,), form)
    _check(disk)
    assert quotas.get(disk, USER, WHO)[:2] == ((0, 50), (0, 3))
    assert quotas.get(disk, USER, 3_000_000)[0] == (0, 7)


@timeout(90)
def test_formats(ctx):
    """vfsv0, and vfsold where the kernel has it: as vfsv1, and C ext2 finds the same."""
    quotas.load(ctx)
    forms = [quotas.VFSV0]
    if error_of(ctx.load, "quota_v1")[1] == 0:
        forms.append(quotas.VFSOLD)
    for form in forms:
        disk = disks.Disk(ctx, "blank-1k").mount(quotas.OPTIONS)
        _round(disk, form)
        before = _usage(disk)
        disk.finish()
        for fstype in (disks.C_FSTYPE, ctx.fstype):
            disk.mount(quotas.OPTIONS, fstype=fstype)
            quotas.turn_on(disk, (USER,), form)
            assert _usage(disk) == before, f"{fstype}: {_usage(disk)}, not {before}"
            assert quotas.get(disk, USER, WHO)[:2] == ((0, 50), (0, 3))
            _check(disk)
            disk.finish()


def _load_old(ctx):
    if error_of(ctx.load, "quota_v1")[1]:
        ctx.skip("the kernel has no CONFIG_QFMT_V1")


def _old_entries(path):
    """{number: (KiB at most, KiB, inodes)} of a file of the oldest format."""
    with open(path, "rb") as file:
        data = file.read()
    entries = enumerate(struct.iter_unpack("<6I2Q", data))
    return {number: (most, blocks, inodes)
            for number, (most, _, blocks, _, _, inodes, *_) in entries
            if most or blocks or inodes}


@timeout(240)
def test_old_programs(ctx):
    """vfsold by Debian's programs: quotacheck makes the files, convertquota makes newer
    ones of them; what is counted, refused and reported is as with C ext2."""
    programs = {name: f"/usr/sbin/{name}" for name in
                ("quotacheck", "quotaon", "setquota", "repquota", "quotaoff", "convertquota")}
    if not all(map(os.path.exists, programs.values())):
        ctx.skip("there are no programs for quota: install quota (Debian)")
    _load_old(ctx)
    quotas.load(ctx)
    answers = []
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk = disks.Disk(ctx, "blank-1k", fstype).mount("usrquota")

        def run(program, *words, disk=disk):
            return ctx.run(programs[program], *words, disk.point)

        def reported(run=run):
            return [line.split()[:5] for line in run("repquota", "-nuv").splitlines()
                    if re.match(r"#\d+", line)]

        os.chmod(disk.point, 0o777)
        writers.make(disk.where("before"), 1, 20_000)
        os.chown(disk.where("before"), WHO, WHO)
        disks.sync(disk.point)
        told = []
        run("quotacheck", "-cum", "-F", "vfsold")
        run("quotaon", "-u", "-F", "vfsold")
        told.append(reported())
        # of which the last page is full, since C goes on to that
        run("setquota", "-u", "-F", "vfsold", str(WHO), "0", "62", "0", "9")
        with pair.user(WHO):
            told.append(error_of(writers.make, disk.where("mine"), 2, 100_000)[1])
        told.append(reported())
        run("quotaoff", "-u", "-F", "vfsold")
        told.append(_old_entries(disk.where("quota.user")).get(WHO))
        disk.finish()
        disk.mount("usrquota")
        run("convertquota", "-f", "vfsold,vfsv0", "-u")
        run("quotaon", "-u", "-F", "vfsv0")
        told.append(reported())
        assert quotas.get(disk, USER, WHO)[:2] == ((0, 62), (0, 9))
        run("quotaoff", "-u", "-F", "vfsv0")
        disk.finish()
        answers.append(told)
    assert answers[0] == answers[1], answers
    assert answers[0][1] == errno.EDQUOT, answers


@parallel
@timeout(150)
def test_old_side_by_side(ctx):
    """The kernel has no lock for a file of the oldest format: whose entries are written at
    the same time, in blocks that nobody has had yet, keep them all the same."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("for rust_ext2: C has no lock for it, either")
    _load_old(ctx)
    disk = disks.Disk(ctx, "blank-1k")
    writers.stain(disk)
    disk.mount("usrquota")
    quotas.turn_on(disk, (USER,), quotas.VFSOLD)
    numbers = range(5000, 6500)

    def limit(first):
        def work():
            for number in numbers[first::2]:
                quotas.limit(disk, USER, number, blocks=(0, number))
        return work

    writers.results([writers.Child(limit(first)) for first in (0, 1)])
    for _ in range(2):
        found = {number: quotas.get(disk, USER, number) for number in numbers}
        wrong = {number: is_ for number, is_ in found.items()
                 if is_ != ((0, number), (0, 0), (0, 0))}
        assert not wrong, f"{len(wrong)} of {len(found)}: {dict(list(wrong.items())[:9])}"
        quotas.turn_off(disk, (USER,))
        quotas.turn_on(disk, (USER,), quotas.VFSOLD)
    disk.finish()


@timeout(60)
def test_times_of_grace(ctx):
    """How long more than a soft limit may be had is kept in the file, and so is since when;
    when that is over nothing more may be had."""
    disk = quotas.ready(ctx, "blank-1k")
    quotas.set_grace(disk, USER, 3600, 7200)
    quotas.limit(disk, USER, WHO, blocks=(10, 100), inodes=(2, 20))
    with pair.user(WHO):
        writers.make(disk.where("first"), 1, 8000)
    assert quotas.ends_of_grace(disk, USER, WHO) == (0, 0)
    begin = int(time.time())
    with pair.user(WHO):
        for name in ("second", "third"):
            writers.make(disk.where(name), 2, 8000)
    ends = quotas.ends_of_grace(disk, USER, WHO)
    late = int(time.time()) - begin + 1
    assert 3600 <= ends[0] - begin <= 3600 + late, (begin, ends)
    assert 7200 <= ends[1] - begin <= 7200 + late, (begin, ends)
    for mount in (False, True):
        quotas.turn_off(disk)
        if mount:
            disk.finish()
            disk.mount(quotas.OPTIONS)
        quotas.turn_on(disk)
        assert quotas.grace(disk, USER) == (3600, 7200)
        assert quotas.ends_of_grace(disk, USER, WHO) == ends
    quotas.end_grace(disk, USER, WHO)
    with pair.user(WHO):
        assert error_of(os.truncate, disk.where("first"), 0)[1] == 0
        assert error_of(writers.make, disk.where("fourth"), 3, 100)[1] == errno.EDQUOT
        # below the limit again, and the time is forgotten
        os.truncate(disk.where("second"), 0)
        os.unlink(disk.where("third"))
        if os.path.exists(disk.where("fourth")):
            os.unlink(disk.where("fourth"))
    assert quotas.ends_of_grace(disk, USER, WHO) == (0, 0)
    quotas.check(disk)
    disk.finish()
