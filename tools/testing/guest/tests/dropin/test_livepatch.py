# SPDX-License-Identifier: GPL-2.0
"""rust_mpage_livepatch.ko puts mounted C filesystems on rust_mpage and back, with
I/O running: what is read and written stays right, and the counters say who did it.
A task that sleeps in one of its functions keeps it, and rust_mpage.ko, where it is.
"""

import contextlib
import glob
import hashlib
import mmap
import os
import random
import sys
import time
import traceback

import disks
import dm
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


def _begin_to_disable():
    if _text(SYSFS + "/enabled") == "1":
        with open(SYSFS + "/enabled", "w", encoding="ascii") as file:
            file.write("0")


def _disable():
    """Take the patch back, if it is there, and remove the module."""
    if os.path.exists(SYSFS):
        with contextlib.suppress(FileNotFoundError):
            _begin_to_disable()
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


_FAR = 40 << 10  # behind the direct blocks: an indirect block has to be read
_PIECE = 20 << 10


def _behind_indirect(point):
    """A file with data and one with a hole, both with an indirect block."""
    with open(os.path.join(point, "data"), "wb") as file:
        file.write(b"d" * 2 * _FAR)
    with open(os.path.join(point, "hole"), "wb") as file:
        file.write(b"h" * _PIECE)
        file.truncate(2 * _FAR)
    disks.sync(point)


def _reader(point):
    """Asleep in readahead."""
    fd = os.open(os.path.join(point, "data"), os.O_RDONLY)
    assert os.pread(fd, 4096, _FAR) == b"d" * 4096


def _fault(point):
    """Asleep in read_folio: a fault that reads nothing ahead."""
    with open(os.path.join(point, "data"), "rb") as file, mmap.mmap(
            file.fileno(), 0, prot=mmap.PROT_READ) as pages:
        pages.madvise(mmap.MADV_RANDOM)
        assert pages[_FAR + 4096] == ord("d")


def _syncer(point):
    """Asleep in writepages: a page that was stored to has no block yet."""
    fd = os.open(os.path.join(point, "hole"), os.O_RDWR)
    os.fsync(fd)


def _child(call, *words):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            call(*words)
            code = 0
        except BaseException:  # pylint: disable=broad-exception-caught
            traceback.print_exc(file=sys.stdout)
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def _asleep(pid):
    """In the filesystem's mapper, on the disk."""
    state = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]
    return state == "D" and "ext2_get_block" in _text(f"/proc/{pid}/stack")


def _patched():
    """The tasks that have not moved from the patch yet."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/task/[0-9]*/patch_state"):
        # a task may end meanwhile
        with contextlib.suppress(OSError):
            if _text(path) == "1":
                found.add(int(path.split("/")[4]))
    return found


@timeout(240)
def test_asleep_in_it(ctx):
    """C5: tasks that sleep in the mapper, on a disk that does not answer, have the
    patch on their stacks: nothing is unloaded until they are back."""
    spec = dropin.SPECS["ext2-1k"]
    ctx.load("dm-mod")
    with contextlib.ExitStack() as undo:
        undo.enter_context(dropin.loaded(ctx, spec, dropin.C))
        undo.callback(_disable)
        loop = ctx.loop(dropin.disk(ctx, spec), read_only=False)
        device = dm.Device(f"asleep-{os.getpid()}",
                           [(0, dm.sectors(loop), "linear", f"{loop} 0")])
        ctx.afterwards(device.remove)
        point = ctx.mount(device.path, spec.fstype, read_only=False)
        _behind_indirect(point)
        _enable(ctx)
        with open(os.path.join(point, "hole"), "r+b") as file, \
                mmap.mmap(file.fileno(), 0) as pages:
            pages[_FAR] = ord("s")
            # what is clean goes, indirect blocks among it
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
                drop.write("1")
            with device.suspended():
                pids = {_child(call, point): call.__name__
                        for call in (_reader, _fault, _syncer)}
                for pid, name in pids.items():
                    _until(f"{name}: asleep", lambda pid=pid: _asleep(pid))
                _pending(pids)
            bad = [name for pid, name in pids.items() if os.waitpid(pid, 0)[1]]
            assert not bad, f"these failed, see the guest's output: {bad}"
        _disable()
        ctx.umount(point)
        dropin.check(ctx, spec, loop)


def _pending(pids):
    """Take the patch back while they sleep: every other task moves, they do not."""
    _begin_to_disable()
    _until("all others", lambda: not _patched() - set(pids))
    # the kernel looks once a second
    time.sleep(3)
    gone = [name for pid, name in pids.items() if pid not in _patched()]
    assert not gone, f"asleep in the patch, and not waited for: {gone}"
    assert _text(SYSFS + "/transition") == "1"
    assert not _gone(), "the module is gone under those who sleep in it"
