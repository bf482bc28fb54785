# SPDX-License-Identifier: GPL-2.0
"""Files whose contents are known, and processes that write.

A file's bytes depend on its seed and on where they are, so that any part of it can
be checked, and a block of another file in it is noticed.
"""

import errno
import os
import select
import traceback

_STEP = 512  # a sector


def content(seed, offset, length):
    """Bytes of the file of a seed: each sector says whose and which, eight times."""
    first = offset // _STEP
    last = -(-(offset + length) // _STEP)
    text = b"".join(b"%08x:%-54d\n" % (seed & 0xFFFFFFFF, at) * 8
                    for at in range(first, last))
    start = offset - first * _STEP
    return text[start:start + length]


def ones(_offset, length):
    """Bytes that are no pointers to blocks."""
    return b"\xff" * length


def check(path, seed, length, offset=0, what=""):
    """The file has these bytes there, read from wherever they are now."""
    with open(path, "rb", buffering=0) as file:
        end = offset + length
        while offset < end:
            got = os.pread(file.fileno(), min(1 << 18, end - offset), offset)
            assert got, f"{what or path}: ends at {offset}, not {end}"
            want = content(seed, offset, len(got))
            if got != want:
                at = next(i for i, pair in enumerate(zip(got, want))
                          if pair[0] != pair[1])
                raise AssertionError(
                    f"{what or path}: at {offset + at} {got[at:at + 48]!r} "
                    f"in place of {want[at:at + 48]!r}")
            offset += len(got)


def make(path, seed, length, sync=True):
    """A new file with its content, on the disk if asked for."""
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    try:
        done = 0
        while done < length:
            done += os.pwrite(fd, content(seed, done, min(1 << 17, length - done)), done)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def fill(fd, sizes, data=ones, append=False):
    """Write to a file until nothing goes any more: pieces of the first size, then of the
    next for what is left. `data(offset, length)` says what. How many bytes went in."""
    total = 0
    for size in sizes:
        while True:
            piece = data(total, size)
            try:
                total += os.write(fd, piece) if append else os.pwrite(fd, piece, total)
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                break
    return total


def stain(disk, device=None):
    """Leave no free block of a disk, which is not mounted, with what could be pointers."""
    path = disk.mount(device=device).where("stain")
    with open(path, "wb", 0) as file:
        fill(file.fileno(), (1 << 20, 4096))
        os.fsync(file.fileno())
    os.unlink(path)
    disk.umount()


class Child:
    """A call in a process of its own: result() is what it returned, a text."""

    def __init__(self, call, *args):
        source, sink = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(sink)
            self._source = source
            return
        code = 1
        try:
            os.write(sink, f"{call(*args)}".encode()[:60000])
            code = 0
        except BaseException:  # pylint: disable=broad-exception-caught
            os.write(sink, traceback.format_exc().encode()[:60000])
        finally:
            os._exit(code)

    def ends_within(self, seconds):
        """Whether the call comes to an end in that time; result() is still to be asked."""
        return bool(select.select([self._source], [], [], seconds)[0])

    def wait(self):
        """(text, exit status or minus the signal)."""
        with open(self._source, "rb") as pipe:
            text = pipe.read().decode()
        _, status = os.waitpid(self.pid, 0)
        return text, os.waitstatus_to_exitcode(status)

    def result(self):
        """The text; AssertionError if the call failed."""
        text, code = self.wait()
        assert code == 0, text or f"a child ended with {code}"
        return text


def results(children):
    """What all of them returned; all are waited for, also if one failed."""
    ended = [child.wait() for child in children]
    for text, code in ended:
        assert code == 0, text or f"a child ended with {code}"
    return [text for text, _ in ended]
