# SPDX-License-Identifier: GPL-2.0
"""rust_mpage_livepatch.ko puts mounted C filesystems on rust_mpage and back, with
I/O running: what is read and written stays right, and the counters say who did it.
"""

import contextlib
import hashlib
import os
import random
import sys
import time
import traceback

import disks
import dropin
import sysapi
from runner import parallel, timeout

MODULE = "rust_mpage_livepatch"
SYSFS = f"/sys/kernel/livepatch/{MODULE}"
PATIENCE = 60  # seconds; the kernel pushes tasks that do not move after 15
CYCLES = 2
FILES = 12


def _text(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _until(what, done):
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not after {PATIENCE} seconds")
        time.sleep(0.1)


def _enable(ctx):
    ctx.load(MODULE)
    _until("patched", lambda: _text(SYSFS + "/transition") == "0")
    assert _text(SYSFS + "/enabled") == "1"


def _disable():
    """Take the patch back, if it is there, and remove the module."""
    if os.path.exists(SYSFS):
        with open(SYSFS + "/enabled", "w", encoding="ascii") as file:
            file.write("0")
        _until("unpatched", lambda: not os.path.exists(SYSFS))
    if MODULE in sysapi.loaded_modules():
        _until("unloaded", _gone)


def _gone():
    with contextlib.suppress(OSError):
        sysapi.rmmod(MODULE)
    return MODULE not in sysapi.loaded_modules()


def _drop(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def _read_for_ever(point, sums, stop):
    """Read files cold and compare."""
    rng = random.Random(os.getpid())
    rounds = 0
    while not os.path.exists(stop):
        name = rng.choice(sorted(sums))
        path = os.path.join(point, name)
        _drop(path)
        with open(path, "rb", buffering=0) as file:
            got = hashlib.sha256(file.read()).hexdigest()
        assert got == sums[name], f"{path}: other bytes in round {rounds}"
        rounds += 1
    assert rounds, "nothing was read"


def _write_for_ever(point, stop):
    """Write a file here and there, down to the disk, and read it back cold."""
    rng = random.Random(os.getpid())
    path = os.path.join(point, "changing")
    have = bytearray()
    rounds = 0
    with open(path, "w+b", buffering=0) as file:
        while not os.path.exists(stop):
            at, data = rng.randrange(300_000), rng.randbytes(rng.randrange(1, 30_000))
            have += bytes(max(0, at - len(have)))
            have[at:at + len(data)] = data
            os.pwrite(file.fileno(), data, at)
            if rng.random() < 0.5:
                os.fsync(file.fileno())
                _drop(path)
            assert os.pread(file.fileno(), 400_000, 0) == have, f"{path}: other bytes"
            rounds += 1
    assert rounds, "nothing was written"


@contextlib.contextmanager
def _running(jobs, stop):
    """Children that work until they are told to stop; all have to end well."""
    pids = {}
    for call, *words in jobs:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                call(*words, stop)
                code = 0
            except BaseException:  # pylint: disable=broad-exception-caught
                traceback.print_exc(file=sys.stdout)
            finally:
                sys.stdout.flush()
                os._exit(code)
        pids[pid] = call.__name__
    try:
        yield
    finally:
        with open(stop, "w", encoding="ascii"):
            pass
        bad = [name for pid, name in pids.items() if os.waitpid(pid, 0)[1]]
    assert not bad, f"these failed, see the guest's output: {bad}"


def _fill(point):
    """Files of one piece and of many; their checksums."""
    rng, sums = random.Random(3), {}
    for number in range(FILES):
        data = rng.randbytes(rng.randrange(1, 200_000))
        name = f"file{number}"
        with open(os.path.join(point, name), "wb", buffering=0) as file:
            half = len(data) // 2
            if number % 3:
                file.write(data[:half])
                os.fsync(file.fileno())
            os.pwrite(file.fileno(), data[half:], half)
            os.pwrite(file.fileno(), data[:half], 0)
        sums[name] = hashlib.sha256(data).hexdigest()
    disks.sync(point)
    return sums


def _load_all(ctx, names):
    """Mount those filesystems with the kernel's own modules."""
    points, devices = [], []
    for name in names:
        spec = dropin.SPECS[name]
        point = ctx.mount(dropin.disk(ctx, spec), spec.fstype, spec.options,
                          read_only=False)
        points.append(point)
        devices.append((spec, ctx.device_of(point)))
    return points, devices


@parallel
@timeout(300)
def test_switching(ctx):
    """Load and unload, twice, under readers and writers of two filesystems."""
    names = ["ext2-1k", "fat32"]
    with contextlib.ExitStack() as undo:
        for name in names:
            undo.enter_context(dropin.loaded(ctx, dropin.SPECS[name], dropin.C))
        undo.callback(_disable)
        points, devices = _load_all(ctx, names)
        sums = [_fill(point) for point in points]
        jobs = [(_read_for_ever, point, table) for point, table in zip(points, sums)]
        jobs += [(_write_for_ever, point) for point in points]
        with _running(jobs, os.path.join(ctx.tmp, "stop")):
            for cycle in range(CYCLES):
                off = ctx.counters()["bios"]
                time.sleep(1)
                assert ctx.counters()["bios"] == off, f"cycle {cycle}: used when off"
                _enable(ctx)
                on = ctx.counters()["bios"]
                _until(f"cycle {cycle}: used when on",
                       lambda: ctx.counters()["bios"] > on + 20)
                _disable()
                # a call that was under way may end
                time.sleep(1)
        for point in points:
            ctx.umount(point)
        for spec, device in devices:
            dropin.check(ctx, spec, device)
