# SPDX-License-Identifier: GPL-2.0
"""Devices that fail (R9, R11) and devices that end in the middle of a page (R12):
the reader gets EIO, others do not, and a device that works again is read again.
"""

import errno
import fcntl
import mmap
import os
import random
import re
import signal

import faults
import layout
import sides
from lowlevel import error_of
from runner import timeout

_LOOP_SET_CAPACITY = 0x4C07
SHAPES = ("contiguous", "fragmented", "block-holes", "page-holes", "double", "tail",
          "size-1")


def _files(ctx, image):
    table = sides.manifest(ctx, image)
    return {name: layout.File(entry, table["block_size"])
            for name, entry in table["files"].items()}


def _forget(side, name):
    with open(side.path(name), "rb", buffering=0) as handle:
        side.forget(handle.fileno())


def _pread(side, name, length, offset):
    with open(side.path(name), "rb", buffering=0) as handle:
        return os.pread(handle.fileno(), length, offset)


def _pages(side, name, file):
    """(bytes, errno) of every page of the parts of a file, read by itself."""
    with open(side.path(name), "rb", buffering=0) as handle:
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        return {
            at: error_of(os.pread, handle.fileno(), layout.PAGE, at)
            for offset, length in file.parts
            for at in range(offset // layout.PAGE * layout.PAGE, offset + length,
                            layout.PAGE)
        }


def _lost(file, at, cut):
    """Whether the page at byte `at` needs a block from `cut` on."""
    per_page = layout.PAGE // file.block_size
    first = at // file.block_size
    for block in range(first, min(first + per_page, -(-file.size // file.block_size))):
        if file.data.get(block, 0) >= cut:
            return True
        for way in file.way(block):
            if way not in file.indirect:
                break
            if file.indirect[way] >= cut:
                return True
    return False


def _check_pages(side, name, file, raw, cut):
    for at, (data, number) in _pages(side, name, file).items():
        what = f"{side.fstype}, {name} at {at}"
        if _lost(file, at, cut):
            assert number == errno.EIO, f"{what}: errno {number} instead of EIO"
        else:
            assert number == 0, f"{what}: errno {number}"
            assert data == file.bytes_of(raw, at, layout.PAGE), f"{what}: other bytes"


def _share(side, files):
    """All files for the filesystem under test; one to see that C answers so, too."""
    return [(name, file) for name, file in files.items()
            if not side.is_c or name == "contiguous"]


@timeout(300)
def test_lost_tail(ctx):
    """The end of the device goes away and comes back, under both drivers."""
    for image in ("layout-1k", "layout-4k"):
        files = {name: file for name, file in _files(ctx, image).items()
                 if name in SHAPES}
        bs = next(iter(files.values())).block_size
        # in the middle of a file, so that it is half there
        used = sorted(files["contiguous"].data.values())
        cut = used[len(used) // 2]
        pair = sides.both(ctx, image)
        path = pair[0].image
        with open(path, "rb") as source:
            raw = source.read()
        for side in pair:
            for name in files:
                os.stat(side.path(name))
        os.truncate(path, cut * bs)
        for side in pair:
            for name, file in _share(side, files):
                _forget(side, name)
                _check_pages(side, name, file, raw, cut)
            # readahead over the edge: what is there is read, then the error
            _forget(side, "contiguous")
            with open(side.path("contiguous"), "rb", buffering=0) as handle:
                got, number = b"", 0
                while not number and len(got) < files["contiguous"].size:
                    more, number = error_of(os.read, handle.fileno(), 65536)
                    got += more or b""
            assert number == errno.EIO, f"{side.fstype}: {number}"
            assert got == files["contiguous"].bytes_of(raw, 0, len(got)) and got
        with open(path, "r+b") as target:
            target.seek(cut * bs)
            target.write(raw[cut * bs:])
        for side in pair:
            # nothing is forgotten: what failed must not be taken for read
            for name, file in _share(side, files):
                _check_pages(side, name, file, raw, 1 << 40)
            side.umount()


def _touch(side, name, page):
    """Whether a page can be read through a mapping; another process asks."""
    pid = os.fork()
    if pid == 0:
        with open(side.path(name), "rb") as handle, \
                mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ) as pages:
            os._exit(0 if pages[page * layout.PAGE] >= 0 else 1)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGBUS), f"{name}, page {page}: status {status}"
    return status == 0


@timeout(300)
def test_lost_tail_of_large_folios(ctx):
    """B4: the end of the device is gone. What readahead brought in large folios
    is lost from the first bad page on and no sooner, for reads and mappings."""
    for image in ("layout-1k", "layout-4k"):
        file = _files(ctx, image)["contiguous"]
        used = sorted(file.data.values())
        cut = used[len(used) * 2 // 3]
        pair = sides.both(ctx, image)
        os.truncate(pair[0].image, cut * file.block_size)
        pages = -(-file.size // layout.PAGE)
        lost = [_lost(file, page * layout.PAGE, cut) for page in range(pages)]
        first = lost.index(True)
        # what a folio of up to 16 pages would take with it
        near = [page for page in (first + step for step in (-20, -15, -8, -4, -2, -1,
                                                            0, 1, 3))
                if 0 <= page < pages]
        answers = []
        for side in pair:
            _forget(side, "contiguous")
            with open(side.path("contiguous"), "rb", buffering=0) as handle:
                done, number = 0, 0
                while not number:
                    data, number = error_of(os.read, handle.fileno(), 1 << 20)
                    done += len(data or b"")
            assert number == errno.EIO, f"{side.fstype}: errno {number}"
            assert done // layout.PAGE == first, f"{side.fstype}: {done} bytes"
            answers.append([_touch(side, "contiguous", page) for page in near])
            assert answers[-1] == [not lost[page] for page in near], side.fstype
        assert answers[0] == answers[1]
        for side in pair:
            side.umount()


def test_every_request_fails(ctx):
    """Data, indirect blocks, directories, inodes: EIO, and then they are back."""
    files = _files(ctx, "layout-1k")
    pair = sides.both(ctx, "layout-1k")
    other = sides.Side(ctx, ctx.fstype, ctx.copy("small-1k"))
    side = pair[1]
    with open(side.image, "rb") as source:
        raw = source.read()
    names = ("contiguous", "fragmented", "double", "size-1")
    for name in names:
        os.stat(side.path(name))
        _forget(side, name)
    with faults.requests_fail(ctx, side.device, 100):
        for name in names:
            for at, (_, number) in _pages(side, name, files[name]).items():
                data = any(block in files[name].data for block in range(
                    at // 1024, at // 1024 + 4))
                if data:
                    assert number == errno.EIO, f"{name} at {at}: {number}"
        ctx.drop_caches()
        assert error_of(os.listdir, side.point)[1] == errno.EIO
        assert error_of(os.stat, side.path("tail"))[1] == errno.EIO
        with open(other.path("file"), "rb") as file:
            assert file.read() == b"read me\n" * 1000
        assert error_of(ctx.mount, side.device, ctx.fstype)[1] in (0, errno.EIO)
    assert sorted(os.listdir(side.point)) == sorted(os.listdir(pair[0].point))
    for name in names:
        _check_pages(side, name, files[name], raw, 1 << 40)
    device = os.path.basename(side.device)
    said = [line for line in ctx.kernel_log() if re.search(
        rf"{ctx.fstype} \({device}\)|EXT2-fs \({device}\)", line)]
    assert said, "no message about the directory that could not be read"


def test_mount_of_a_failing_device(ctx):
    """No superblock, no mount: EIO, where C says EINVAL."""
    side = sides.both(ctx, "small-1k")[1]
    device = side.device
    side.umount()
    with faults.requests_fail(ctx, side.device, 100):
        number = error_of(ctx.mount, device, ctx.fstype)[1]
    want = errno.EINVAL if side.is_c else errno.EIO
    assert number == want, number
    point = ctx.mount(device, ctx.fstype)
    assert "file" in os.listdir(point)


@timeout(300)
def test_some_requests_fail(ctx):
    """A flaky device: each read is right, or EIO; never something else."""
    files = _files(ctx, "layout-1k")
    side = sides.both(ctx, "layout-1k")[1]
    with open(side.image, "rb") as source:
        raw = source.read()
    rng = random.Random(1)
    failed = right = 0
    for name in files:
        os.stat(side.path(name))
    with faults.requests_fail(ctx, side.device, 30):
        for _ in range(150):
            name = rng.choice(sorted(files))
            file = files[name]
            offset, length = rng.choice(file.parts)
            if not length:
                continue
            _forget(side, name)
            at = offset + rng.randrange(length)
            data, number = error_of(_pread, side, name, 30_000, at)
            assert number in (0, errno.EIO), f"{name} at {at}: {number}"
            if number:
                failed += 1
            else:
                right += 1
                want = file.bytes_of(raw, at, 30_000)
                # a read that fails later gives what came before
                assert data == want[:len(data)] and (data or not want), f"{name} at {at}"
    assert failed > 10 and right > 10, (failed, right)
    for name, file in files.items():
        _check_pages(side, name, file, raw, 1 << 40)


def test_odd_device(ctx):
    """R12: a device that ends in the middle of a page, read to its last block."""
    files = _files(ctx, "odd-1k")
    for side in sides.both(ctx, "odd-1k"):
        with open(side.image, "rb") as source:
            raw = source.read()
        for name, file in files.items():
            got = _pread(side, name, file.size, 0)
            assert got == file.bytes_of(raw, 0, file.size), f"{side.fstype}, {name}"


def test_shrunk_device(ctx):
    """R12: blocks that a device has no more. A bio over the end is trimmed, one
    behind it fails, as in C."""
    files = _files(ctx, "odd-1k")
    answers = []
    pair = sides.both(ctx, "odd-1k")
    first = min(files["end"].data.values())
    for side in pair:
        for name in files:
            os.stat(side.path(name))
    # five of the eight blocks of "end" and half of the sixth are left
    os.truncate(pair[0].image, (first + 5) * 1024 + 512)
    for side in pair:
        fd = os.open(side.device, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _LOOP_SET_CAPACITY)
        finally:
            os.close(fd)
        for name in files:
            _forget(side, name)
        answers.append({
            (name, at): error_of(_pread, side, name, layout.PAGE, at)
            for name, at in (("end", 0), ("end", 4096), ("last", 0))
        })
    for key, (data, number) in answers[0].items():
        got, error = answers[1][key]
        assert error == number, f"{key}: errno {error}, in C {number}"
        assert got == data, f"{key}: other bytes than in C"
    assert answers[1]["end", 0][1] == 0 and answers[1]["last", 0][1] == errno.EIO
