# SPDX-License-Identifier: GPL-2.0
"""B16: what is behind the end of a file never becomes its contents when it grows,
however it got there and however the file grows. xfstests generic/363 asks the same
of other filesystems.

C ext2 fails here: with 4 KiB blocks it zeroes nothing, with smaller ones only what
is in memory.

What is free on the disk is full of garbage before each test, so that holes and blocks
that were not filled are seen, too.
"""

import ctypes
import errno
import mmap
import os
import random
import threading
import time

import disks
import dm
import mapped
import writers
from contents import stained
from lowlevel import error_of, fibmap
from runner import timeout
from sysapi import libc

FAR = 5 * mapped.SIZE  # in front of which a file of _SIZES ends
_SIZES = (1000, 1024, 3000, 4096 + 1500, 4096 + 3072)


def _forget(fd):
    """No page of the file stays in the cache, unless it is mapped."""
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _stored(_disk, fd):
    """Store to the last page, as far as it goes."""
    size = os.fstat(fd).st_size
    with mapped.Page(fd, size // mapped.SIZE) as page:
        page.store(size % mapped.SIZE, b"S" * (mapped.SIZE - size % mapped.SIZE))


def _stale(disk, fd):
    """The rest of the last block on the disk is not zero, and not in memory."""
    size = os.fstat(fd).st_size
    block_size = os.fstatvfs(fd).f_bsize
    _forget(fd)
    rest = -size % block_size
    if rest:
        block = fibmap(fd, size // block_size)
        assert block, "the file has its last block"
        with open(disk.path, "r+b") as raw:
            raw.seek(block * block_size + size % block_size)
            raw.write(b"s" * rest)


def _stale_and_read(disk, fd):
    """The same, and in memory."""
    _stale(disk, fd)
    size = os.fstat(fd).st_size
    with mapped.Page(fd, size // mapped.SIZE) as page:
        if size % os.fstatvfs(fd).f_bsize:
            start = size % mapped.SIZE
            assert page.load(start, start + 1) == b"s", "what is on the disk is read"


def _append(disk, fd, want):
    path = os.readlink(f"/proc/self/fd/{fd}")
    other = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(other, b"appended")
    os.close(other)
    want += b"appended"
    return _truncate_far(disk, fd, want)


def _write_near(_disk, fd, want):
    """In the same page, if there is room."""
    os.pwrite(fd, b"near", len(want) + 500)
    return want + bytes(500) + b"near"


def _write_far(_disk, fd, want):
    os.pwrite(fd, b"f", FAR + 700)
    return want.ljust(FAR + 700, b"\0") + b"f"


def _write_direct(_disk, fd, want):
    path = os.readlink(f"/proc/self/fd/{fd}")
    with mmap.mmap(-1, mapped.SIZE) as area:
        area[:] = b"d" * mapped.SIZE
        other = os.open(path, os.O_WRONLY | os.O_DIRECT)
        os.pwrite(other, area, FAR)
        os.close(other)
    return want.ljust(FAR, b"\0") + b"d" * mapped.SIZE


def _truncate_near(_disk, fd, want):
    os.ftruncate(fd, len(want) + 20)
    return want + bytes(20)


def _truncate_far(_disk, fd, want):
    os.ftruncate(fd, FAR)
    return want.ljust(FAR, b"\0")


def _splice(_disk, fd, want):
    left, right = os.pipe()
    os.write(right, b"from a pipe")
    os.splice(left, fd, 11, offset_dst=FAR)
    for end in (left, right):
        os.close(end)
    return want.ljust(FAR, b"\0") + b"from a pipe"


def _copy(_disk, fd, want):
    """copy_file_range from the file itself."""
    os.copy_file_range(fd, fd, 100, 0, FAR + 5)
    return want.ljust(FAR + 5, b"\0") + want[:100]


def _store(_disk, fd, want):
    """To a page that the file has by truncation."""
    os.ftruncate(fd, FAR)
    want = want.ljust(FAR, b"\0")
    for at in (len(want) - 50, 4096 + 3500):
        with mapped.Page(fd, at // mapped.SIZE) as page:
            page.store(at % mapped.SIZE, b"store")
        want = want[:at] + b"store" + want[at + 5:]
    return want


_SPOILT = (_stored, _stale, _stale_and_read)
_GROWN = (_append, _write_near, _write_far, _write_direct, _truncate_near,
          _truncate_far, _splice, _copy, _store)


def _differ(what, got, want):
    """A line that says where, or None."""
    if got == want:
        return None
    if len(got) != len(want):
        return f"{what}: {len(got)} bytes, not {len(want)}"
    at = [number for number, pair in enumerate(zip(got, want)) if pair[0] != pair[1]]
    return f"{what}: {len(at)} other bytes from {at[0]} to {at[-1]}: {got[at[0]:][:4]}"


def _every_way(ctx, image):
    disk = stained(ctx, image)
    wanted, wrong = {}, []
    for size in _SIZES:
        for spoil in _SPOILT:
            for grow in _GROWN:
                name = f"{size}{spoil.__name__}{grow.__name__}"
                fd = os.open(disk.where(name), os.O_RDWR | os.O_CREAT, 0o644)
                want = bytes(1 + number % 100 for number in range(size))
                os.pwrite(fd, want, 0)
                spoil(disk, fd)
                want = grow(disk, fd, want)
                wrong.append(_differ(name, os.pread(fd, len(want) + 1, 0), want))
                os.close(fd)
                wanted[name] = want
    disk.umount()
    disk.check()
    disk.mount()
    for name, want in wanted.items():
        with open(disk.where(name), "rb") as file:
            wrong.append(_differ(f"{name}, read again", file.read(), want))
    wrong = [line for line in wrong if line]
    disk.finish()
    assert not wrong, f"{len(wrong)} wrong\n" + "\n".join(wrong[:20])


@timeout(200)
def test_every_way_1k(ctx):
    """1 KiB blocks: behind the last one there may be pages without blocks."""
    _every_way(ctx, "blank-1k")


@timeout(200)
def test_every_way_2k(ctx):
    """2 KiB blocks."""
    _every_way(ctx, "blank-2k")


@timeout(200)
def test_every_way_4k(ctx):
    """4 KiB blocks: C zeroes nothing."""
    _every_way(ctx, "blank-4k")


def test_last_block_is_a_hole(ctx):
    """A file that ends in a hole takes no block for it when it grows."""
    disk = stained(ctx, "blank-1k")
    for grow in (_write_far, _truncate_far):
        fd = os.open(disk.where(f"hole{grow.__name__}"), os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(fd, 1500)
        want = grow(disk, fd, bytes(1500))
        _forget(fd)
        assert os.pread(fd, len(want) + 1, 0) == want
        assert not any(fibmap(fd, block) for block in range(4)), "a block for a hole"
        os.close(fd)
    disk.finish()


class _Model:
    """A file, and what should be in it."""

    def __init__(self, fd, rng):
        self.fd, self.rng = fd, rng
        self.want = b""
        self.pages = {}

    def _page(self, index):
        if index not in self.pages:
            self.pages[index] = mapped.Page(self.fd, index)
        return self.pages[index]

    def unmap(self):
        for page in self.pages.values():
            page.close()
        self.pages = {}

    def spoil(self):
        """Store behind the end."""
        index, start = divmod(len(self.want), mapped.SIZE)
        if start:
            start += self.rng.randrange(mapped.SIZE - start)
            length = self.rng.randint(1, mapped.SIZE - start)
            self._page(index).store(start, b"#" * length)

    def write(self):
        at = self.rng.randrange(len(self.want) + 9000)
        self._put(at, self.rng.randbytes(self.rng.randint(1, 3000)))
        os.pwrite(self.fd, self.want[at:at + self._length], at)

    def append(self):
        at = len(self.want)
        self._put(at, self.rng.randbytes(self.rng.randint(1, 1500)))
        os.pwrite(self.fd, self.want[at:], at)

    def _put(self, at, data):
        self._length = len(data)
        self.want = self.want[:at].ljust(at, b"\0") + data + self.want[at + len(data):]

    def truncate(self):
        size = self.rng.randrange(40_000)
        os.ftruncate(self.fd, size)
        self.want = self.want[:size].ljust(size, b"\0")

    def store(self):
        if self.want:
            at = self.rng.randrange(len(self.want))
            index, start = divmod(at, mapped.SIZE)
            length = min(mapped.SIZE - start, len(self.want) - at,
                         self.rng.randint(1, 2000))
            self._put(at, self.rng.randbytes(length))
            self._page(index).store(start, self.want[at:at + length])

    def forget(self):
        if self.rng.random() < 0.5:
            self.unmap()
        _forget(self.fd)

    def sync(self):
        os.fsync(self.fd)


def _at_random(ctx, image, steps=250):
    disk = stained(ctx, image)
    seed = ctx.seed(363)
    rng = random.Random(seed)
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
    model = _Model(fd, rng)
    weights = {model.write: 6, model.append: 2, model.truncate: 3, model.store: 3,
               model.forget: 1, model.sync: 1}
    for step in range(steps):
        if len(model.want) > 60_000:
            os.ftruncate(fd, 0)
            model.want = b""
        if rng.random() < 0.7:
            model.spoil()
        operation = rng.choices(list(weights), list(weights.values()))[0]
        operation()
        wrong = _differ(f"seed {seed}, step {step}, {operation.__name__}",
                        os.pread(fd, 100_000, 0), model.want)
        assert not wrong, wrong
    model.unmap()
    os.close(fd)
    disk.umount()
    disk.check()
    disk.mount()
    with open(disk.where("file"), "rb") as file:
        wrong = _differ(f"seed {seed}, read again", file.read(), model.want)
    assert not wrong, wrong
    disk.finish()


def test_at_random_1k(ctx):
    """As generic/363 does it: behind the end there is always something."""
    _at_random(ctx, "blank-1k")


def test_at_random_2k(ctx):
    """2 KiB blocks."""
    _at_random(ctx, "blank-2k")


def test_at_random_4k(ctx):
    """4 KiB blocks."""
    _at_random(ctx, "blank-4k")


def test_large_folios(ctx):
    """Pages that were brought in large folios, when the filesystem was read-only."""
    for image in ("blank-1k", "blank-4k"):
        disk = stained(ctx, image)
        # readahead makes no folio that is longer than the file
        size = (1 << 20) - 3000
        want = (bytes(range(1, 252)) * 4200)[:size]
        names = [f"{spoil.__name__}{grow.__name__}"
                 for spoil in (_stored, _stale) for grow in (_write_near, _truncate_near)]
        for name in names:
            with open(disk.where(name), "wb") as file:
                file.write(want)
                os.fsync(file.fileno())
                if name.startswith("_stale"):
                    fd = os.open(disk.where(name), os.O_RDONLY)
                    _stale(disk, fd)
                    os.close(fd)
        disk.umount()
        disk.point = ctx.mount(disk.device)
        opened = [os.open(disk.where(name), os.O_RDONLY) for name in names]
        for fd in opened:
            # in steps: each makes readahead take larger folios
            for at in range(0, size, 16384):
                assert os.pread(fd, 16384, at) == want[at:at + 16384]
        disk.remount()
        for name, old in zip(names, opened):
            fd = os.open(disk.where(name), os.O_RDWR)
            with mapped.Page(fd, size // mapped.SIZE) as page:
                page.load(0, 1)
                assert page.is_in_large_folio(), "no large folio"
            if name.startswith("_stored"):
                _stored(disk, fd)
            grow = _write_near if name.endswith("write_near") else _truncate_near
            grown = grow(disk, fd, want)
            wrong = _differ(f"{image}, {name}", os.pread(fd, 2 * size, 0), grown)
            assert not wrong, wrong
            for descriptor in (fd, old):
                os.close(descriptor)
        disk.finish()


def test_nothing_written(ctx):
    """A write behind the end whose bytes cannot be had leaves the file as it is. In
    C it grows."""
    disk = stained(ctx, "blank-4k")
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, b"x" * 1000, 0)
    _stored(disk, fd)
    for at in (3000, FAR):
        got = libc.pwrite(fd, ctypes.c_void_p(8), ctypes.c_size_t(100), ctypes.c_long(at))
        assert (got, ctypes.get_errno()) == (-1, errno.EFAULT)
        assert os.fstat(fd).st_size == 1000
    os.ftruncate(fd, 9000)
    assert os.pread(fd, 10000, 0) == b"x" * 1000 + bytes(8000)
    os.close(fd)
    disk.finish()


def _waits(thread):
    """Whether a thread of this process sleeps and cannot be woken."""
    with open(f"/proc/self/task/{thread.native_id}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "D"


def test_store_while_a_write_waits(ctx):
    """A write behind the end waits for the page that it copies from; what is stored
    meanwhile is behind the end still, and not in the file later."""
    ctx.load("dm-mod")
    disk = stained(ctx, "blank-4k")
    source = disks.Disk(ctx, "blank-4k", disks.C_FSTYPE)
    device = dm.Device(f"source-{os.getpid()}", [
        (0, dm.sectors(source.device), "linear", f"{source.device} 0")])
    ctx.afterwards(device.remove)
    source.mount(device=device.path)
    from_fd = os.open(source.where("source"), os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(from_fd, b"late" * 25, 0)
    for at in (3000, FAR):
        fd = os.open(disk.where(f"file{at}"), os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, b"x" * 1000, 0)
        _forget(from_fd)
        with mmap.mmap(from_fd, 100) as area, mapped.Page(fd, 0) as page:
            writer = threading.Thread(target=os.pwrite, args=(fd, area, at))
            with device.suspended():
                writer.start()
                # longer than a lock takes
                seen, end = 0, time.monotonic() + 60
                while seen < 30 and time.monotonic() < end:
                    seen = seen + 1 if _waits(writer) else 0
                    time.sleep(0.01)
                assert seen == 30, "the write does not wait"
                assert os.fstat(fd).st_size == 1000
                page.store(1000, b"S" * 3000)
            writer.join()
        want = (b"x" * 1000).ljust(at, b"\0") + b"late" * 25
        wrong = _differ(f"at {at}", os.pread(fd, len(want) + 1, 0), want)
        assert not wrong, wrong
        os.close(fd)
    os.close(from_fd)
    source.umount()
    device.remove()
    disk.finish()


def test_bad_last_block(ctx):
    """A last block that cannot be read: the file does not grow over what nobody
    knows, and does when the device is well again."""
    ctx.load("dm-mod")
    disk = disks.Disk(ctx, "blank-4k")
    writers.stain(disk)
    sectors = dm.sectors(disk.device)
    linear = [(0, sectors, "linear", f"{disk.device} 0")]
    device = dm.Device(f"bad-{os.getpid()}", linear)
    ctx.afterwards(device.remove)
    disk.mount(device=device.path)
    fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
    os.pwrite(fd, b"x" * 1000, 0)
    _stale(disk, fd)
    first = fibmap(fd, 0) * 8
    device.change([(0, first, "linear", f"{disk.device} 0"), (first, 8, "error", ""),
                   (first + 8, sectors - first - 8, "linear",
                    f"{disk.device} {first + 8}")])
    for call, *args in ((os.pwrite, fd, b"far", FAR), (os.pwrite, fd, b"near", 2000),
                        (os.ftruncate, fd, FAR)):
        assert error_of(call, *args)[1] == errno.EIO, f"{call} {args}"
        assert os.fstat(fd).st_size == 1000
    device.change(linear)
    os.pwrite(fd, b"far", FAR)
    assert os.pread(fd, FAR + 4, 0) == (b"x" * 1000).ljust(FAR, b"\0") + b"far"
    os.close(fd)
    disk.umount()
    device.remove()
    disk.check()
