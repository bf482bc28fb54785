# SPDX-License-Identifier: GPL-2.0
"""The tracepoints of direct I/O: as those of C ext2, with the same fields in the same format,
one after the other as there.
"""

import contextlib
import os
import re

import aio
import directly
import disks
import waiting
from lowlevel import error_of
from runner import timeout

TRACEFS = "/sys/kernel/tracing"
INSTANCE = TRACEFS + "/instances/direct_traced"
EVENTS = ("read_begin", "read_end", "write_begin", "write_endio", "write_buff_end", "write_end")
QUEUED = -529

_LINE = re.compile(r": (?P<name>\w+): dev \d+:\d+ ino 0x[0-9a-f]+ (?P<fields>isize .*)$")
_FIELDS = re.compile(r"isize (?P<isize>\S+) pos (?P<pos>\S+) len (?P<len>\S+) "
                     r"flags (?P<flags>\S*) aio (?P<aio>\S+) ret (?P<ret>\S+)")


def _put(name, text):
    with open(os.path.join(INSTANCE, name), "w", encoding="ascii") as file:
        file.write(text)


def _name(fstype, event):
    return f"events/{fstype}/{fstype}_dio_{event}"


class _Traced:
    """A context manager; take() gives the events of a disk since the last one, as pairs of
    their name and a dictionary of their fields, but for those that say which file it is."""

    def __init__(self, disk):
        self._fstype = disk.fstype
        number = os.stat(disk.point).st_dev
        self._dev = (os.major(number) << 20) | os.minor(number)
        self._lines = None

    def _enable(self, value):
        for event in EVENTS:
            _put(f"{_name(self._fstype, event)}/enable", value)

    def __enter__(self):
        if not os.path.exists(INSTANCE):
            os.mkdir(INSTANCE)
        for event in EVENTS:
            _put(f"{_name(self._fstype, event)}/filter", f"dev == {self._dev}")
        self._enable("1")
        self._lines = os.open(f"{INSTANCE}/trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        self.take()
        return self

    def __exit__(self, *_):
        os.close(self._lines)
        # or the module stays
        self._enable("0")

    def _text(self):
        text = b""
        try:
            while more := os.read(self._lines, 1 << 16):
                text += more
        except BlockingIOError:
            pass
        return text.decode()

    def take(self):
        found = []
        for line in self._text().splitlines():
            event = _LINE.search(line)
            assert event, line
            fields = _FIELDS.fullmatch(event["fields"])
            assert fields, line
            found.append((event["name"].removeprefix(f"{self._fstype}_dio_"),
                          fields.groupdict()))
        return found


def _both(ctx, image, device_of=lambda disk: disk.device):
    """C ext2 and the filesystem under test, each on a disk with a file of which blocks 10 to 19
    are a hole and which ends within block 40."""
    for fstype in (disks.C_FSTYPE, ctx.fstype):
        disk = disks.Disk(ctx, image, fstype)
        disk.mount(device=device_of(disk))
        block = os.statvfs(disk.point).f_bsize
        fd = os.open(disk.where("file"), os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, b"a" * 10 * block, 0)
        os.pwrite(fd, b"b" * (20 * block + 700), 20 * block)
        os.fsync(fd)
        os.close(fd)
        yield disk, block


def _here(disk, flags=0):
    return os.open(disk.where("file"), os.O_RDWR | os.O_DIRECT | flags)


def _requests(block):
    """(what, call, offset, what it is called with)."""
    end = 40 * block + 700
    reads = {"aligned": (0, 4 * block), "one": (3 * block, block), "sector": (512, 512),
             "over a hole": (8 * block, 14 * block), "in a hole": (12 * block, block),
             "nothing": (block, 0), "odd": (100, 512), "across the end": (39 * block, 4 * block),
             "at the end": (end, 512), "behind the end": (end + 20 * block, block),
             "all": (0, 64 * block)}
    writes = {"aligned": (0, 4 * block), "one": (3 * block, block), "sector": (512, 512),
              "in a hole": (12 * block, block), "into a hole": (8 * block, 4 * block),
              "out of a hole": (18 * block, 4 * block), "nothing": (block, 0),
              "odd": (100, 512), "odd length": (512, 100)}
    for what, (offset, length) in reads.items():
        yield f"{what}, read", directly.read, offset, length
    for what, (offset, length) in writes.items():
        yield f"{what}, written", directly.write, offset, b"w" * length


def _told(disk, block):
    """{what: (answer, errno, events)} of what the call waits for."""
    found, fd = {}, _here(disk)
    with _Traced(disk) as traced:
        for what, call, offset, length in _requests(block):
            found[what] = (*error_of(call, fd, offset, length), traced.take())
    os.close(fd)
    disk.finish()
    return found


def _same(ctx, image):
    of_c, ours = [_told(disk, block) for disk, block in _both(ctx, image)]
    for what, want in of_c.items():
        if what.startswith("nothing"):
            assert not want[2], want  # the VFS sees to that
        else:
            assert want[2][0][0].endswith("_begin") and want[2][-1][0].endswith("_end"), want
        assert ours[what] == want, f"{image}, {what}: {ours[what]}\nin C {want}"
    names = {name for _, _, events in ours.values() for name, _ in events}
    assert names == set(EVENTS), names


@timeout(200)
def test_as_in_c(ctx):
    """Reads and writes of a file with holes, aligned or not: the events are those of C."""
    _same(ctx, "blank-1k")
    _same(ctx, "blank-4k")


def test_format(ctx):
    """Fields and format of each event are C's."""
    for disk, _ in _both(ctx, "blank-4k"):
        disk.umount()
    for event in EVENTS:
        found = []
        for fstype in (disks.C_FSTYPE, ctx.fstype):
            with open(f"{TRACEFS}/{_name(fstype, event)}/format", encoding="ascii") as file:
                lines = file.read().splitlines()
            assert lines[0] == f"name: {fstype}_dio_{event}", lines[0]
            # but for the name and the number
            found.append(lines[2:])
        assert found[0] == found[1], f"{event}: {found[1]}\nin C {found[0]}"


def _as_queued(disk, fields, offset, ended):
    """Has an event with the answer of a call say the same whether its request had ended by
    then or not."""
    if int(fields["ret"]) in (QUEUED, ended) and int(fields["len"]) == 0:
        at = int(fields.pop("pos"), 16)
        # C's say where it is
        assert at in (offset, offset + ended) or disk.fstype == disks.C_FSTYPE, fields
        fields["ret"] = QUEUED


@timeout(100)
def test_under_way(ctx):
    """What goes on when the call has returned is told of to its end; the events at the end of
    the calls say of nothing that may be gone, and C's say where it is."""
    answers, devices = [], []

    def held_up(disk):
        devices.append(waiting.in_front_of(ctx, disk))
        return devices[-1].path

    for disk, block in _both(ctx, "blank-4k", held_up):
        fd, found = _here(disk), {}
        with _Traced(disk) as traced, aio.Requests() as requests:
            for what, call, offset, is_held in (
                    ("read", requests.read, 0, True),
                    ("written", requests.write, 4 * block, True),
                    ("read over a hole", requests.read, 9 * block, False),
                    ("written into a hole", requests.write, 8 * block, False)):
                with devices[-1].suspended() if is_held else contextlib.nullcontext():
                    number = call(fd, directly.area(4 * block, 7), offset)
                assert requests.ended(1) == {number: 4 * block}, what
                events = traced.take()
                for name, fields in events:
                    assert fields["aio"] == "1", (what, name, fields)
                    _as_queued(disk, fields, offset, 4 * block if not is_held else QUEUED)
                # it may end before or after the call
                found[what] = sorted(events, key=lambda event: event[0])
        os.close(fd)
        disk.finish()
        devices[-1].remove()
        answers.append(found)
    for what, want in answers[0].items():
        assert answers[1][what] == want, f"{what}: {answers[1][what]}\nin C {want}"
    for what, event in (("read", "read_end"), ("written", "write_end")):
        assert [fields["ret"] for name, fields in answers[1][what] if name == event] == \
            [QUEUED], answers[1]


def test_longer(ctx):
    """A write that makes the file longer goes through the page cache here, and is told of as
    such; C makes the file longer at its end."""
    if ctx.fstype == disks.C_FSTYPE:
        ctx.skip("it is about what differs")
    answers = []
    for disk, block in _both(ctx, "blank-4k"):
        fd = _here(disk, os.O_APPEND)
        os.ftruncate(fd, 40 * block)
        with _Traced(disk) as traced:
            assert directly.write(fd, 0, b"w" * block) == block
            answers.append(traced.take())
        os.close(fd)
        disk.finish()
    (begin, endio, end), (our_begin, buffered, our_end) = answers
    size = 40 * 4096
    assert our_begin == begin, (our_begin, begin)
    assert (endio[0], int(endio[1]["len"]), int(endio[1]["pos"], 16)) == \
        ("write_endio", 4096, size), endio
    assert (buffered[0], int(buffered[1]["ret"]), int(buffered[1]["pos"], 16)) == \
        ("write_buff_end", 4096, size + 4096), buffered
    for name in ("isize", "pos", "len", "aio", "ret"):
        assert end[1][name] == our_end[1][name], (name, end, our_end)
    assert end[0] == our_end[0] == "write_end"
