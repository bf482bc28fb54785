# SPDX-License-Identifier: GPL-2.0
"""Every write that reached a device, in order, by dm-log-writes; and the device as
it would be if the power had gone in between.

The target logs a write when it is flushed: writes between two flushes are in the
order in which they completed, and what a power cut leaves of them is any part of
them. A mark that follows what fsync(2) flushed stands behind it in the log.
"""

import os
import struct
from typing import NamedTuple

import dm

_MAGIC = 0x6A736677736872
_SECTOR = 512
_FLUSH, _FUA, _DISCARD, _MARK = 1, 2, 4, 8
_END = "dm-log-writes-end"  # the target's own mark, when it goes


class Entry(NamedTuple):
    """One write, with where its data is in the log; or a mark, or a flush."""

    sector: int
    sectors: int
    flags: int
    at: int
    mark: str

    @property
    def is_flush(self):
        return bool(self.flags & (_FLUSH | _FUA))

    @property
    def is_write(self):
        return self.sectors > 0 and not self.flags & (_MARK | _DISCARD)


def read(path):
    """The entries of a log, without the mark that the target ends it with."""
    entries = []
    with open(path, "rb") as file:
        magic, version, count, size = struct.unpack("<QQQI", file.read(28))
        assert (magic, version) == (_MAGIC, 1), "this is no log of dm-log-writes"
        at = size
        for _ in range(count):
            file.seek(at)
            sector, sectors, flags, length = struct.unpack("<4Q", file.read(32))
            mark = file.read(length).decode() if flags & _MARK else ""
            if mark == _END:
                break
            entries.append(Entry(sector, sectors, flags, at + size, mark))
            at += size + (0 if flags & (_MARK | _DISCARD) else sectors * _SECTOR)
    return entries


class Logged:
    """A device whose writes are logged: mount `device.path`."""

    def __init__(self, ctx, disk):
        for name in ("dm-mod", "dm-log-writes"):
            ctx.load(name)
        with open(disk.path, "rb") as file:
            self._before = file.read()
        self._path = disk.path + ".log"
        with open(self._path, "wb") as file:
            file.truncate(256 << 20)
        log = ctx.loop(self._path, read_only=False)
        self.device = dm.Device(f"log-{os.getpid()}", [
            (0, dm.sectors(disk.device), "log-writes", f"{disk.device} {log}")])
        ctx.afterwards(self.device.remove)

    def mark(self, text):
        self.device.tell("mark", text)

    def end(self):
        """The device goes; what it logged. Unmount it before."""
        self.device.remove()
        return Replay(self._path, self._before, read(self._path))


class Replay:
    """The device at any point of the log; one goes forward only."""

    def __init__(self, path, before, entries):
        self._path = path
        self.entries = entries
        self._image = bytearray(before)
        self._count = 0

    def writes(self):
        """The numbers of the entries that write something."""
        return [number for number, entry in enumerate(self.entries) if entry.is_write]

    def _apply(self, log, image, entry):
        if entry.is_write:
            log.seek(entry.at)
            start = entry.sector * _SECTOR
            image[start:start + entry.sectors * _SECTOR] = \
                log.read(entry.sectors * _SECTOR)

    def at(self, count, lose=lambda number: False):
        """(bytes of the device, marks that had been set) after so many entries.

        lose(number) says which of the writes since the last flush did not get
        to the medium.
        """
        epoch = max((number + 1 for number in range(count)
                     if self.entries[number].is_flush), default=0)
        with open(self._path, "rb") as log:
            # what the next calls need, too
            for number in range(self._count, min(epoch, count)):
                self._apply(log, self._image, self.entries[number])
            self._count = max(self._count, epoch)
            image = bytearray(self._image)
            for number in range(self._count, count):
                if not lose(number):
                    self._apply(log, image, self.entries[number])
        return image, [entry.mark for entry in self.entries[:count] if entry.mark]
