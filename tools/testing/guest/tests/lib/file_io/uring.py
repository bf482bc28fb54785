# SPDX-License-Identifier: GPL-2.0
"""Requests by io_uring(7), which Python has not.

Leaves out: everything but reads and writes of one buffer, and all processors
but x86_64 and arm64.
"""

import ctypes
import mmap
import os
import struct

from sysapi import check, libc

_SETUP, _ENTER = 425, 426
_READ, _WRITE = 22, 23
_GETEVENTS = 1
_OFFSET_ENTRIES = 0x10000000
_ENTRY = struct.Struct("<BBHiQQIIQHHiQQ")
_COMPLETION = struct.Struct("<QiI")


class Ring:
    """A ring for so many requests at a time."""

    def __init__(self, most=16):
        params = ctypes.create_string_buffer(120)
        self._fd = check(libc.syscall(_SETUP, most, params))
        words = struct.unpack("<30I", params.raw)
        sent, done = words[10:20], words[20:30]
        self._sent_tail, self._sent_mask, self._sent_array = sent[1], sent[2], sent[6]
        self._done_head, self._done_tail, self._done_mask, self._done = (
            done[0], done[1], done[2], done[5])
        size = max(sent[6] + 4 * words[0], done[5] + _COMPLETION.size * words[1])
        self._ring = mmap.mmap(self._fd, size)
        self._entries = mmap.mmap(self._fd, _ENTRY.size * words[0], offset=_OFFSET_ENTRIES)
        self._kept = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ring.close()
        self._entries.close()
        os.close(self._fd)

    def _word(self, at):
        return struct.unpack_from("<I", self._ring, at)[0]

    def _set(self, at, value):
        struct.pack_into("<I", self._ring, at, value & 0xFFFFFFFF)

    def _submit(self, kind, fd, area, offset):
        buffer = (ctypes.c_char * len(area)).from_buffer(area)
        number, tail = len(self._kept), self._word(self._sent_tail)
        index = tail & self._word(self._sent_mask)
        _ENTRY.pack_into(self._entries, _ENTRY.size * index, kind, 0, 0, fd, offset,
                         ctypes.addressof(buffer), len(area), 0, number, 0, 0, 0, 0, 0)
        self._set(self._sent_array + 4 * index, index)
        self._set(self._sent_tail, tail + 1)
        self._kept.append(buffer)
        assert check(libc.syscall(_ENTER, self._fd, 1, 0, 0, None, 0)) == 1
        return number

    def read(self, fd, area, offset):
        """Begin to read into an area of memory; the number of the request."""
        return self._submit(_READ, fd, area, offset)

    def write(self, fd, area, offset):
        """Begin to write what is in an area of memory; the number of the request."""
        return self._submit(_WRITE, fd, area, offset)

    def ended(self, least):
        """{number: what it returns, an errno being negative}, of so many at least."""
        found = {}
        while True:
            head = self._word(self._done_head)
            while head != self._word(self._done_tail):
                at = self._done + _COMPLETION.size * (head & self._word(self._done_mask))
                number, result, _ = _COMPLETION.unpack_from(self._ring, at)
                found[number] = result
                head += 1
            self._set(self._done_head, head)
            if len(found) >= least:
                return found
            check(libc.syscall(_ENTER, self._fd, 0, 1, _GETEVENTS, None, 0))


def _told_of(task, what):
    """A file in /proc of a thread of this process, which may end, and what it may not have."""
    try:
        with open(f"/proc/self/task/{task}/{what}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def workers():
    """The kernel's threads that wait for requests of this process: their names, and where
    they wait."""
    names = {task: _told_of(task, "comm") for task in os.listdir("/proc/self/task")}
    return [f"{name}: {_told_of(task, 'stack')}" for task, name in names.items()
            if name.startswith("iou-wrk")]
