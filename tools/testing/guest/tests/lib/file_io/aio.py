# SPDX-License-Identifier: GPL-2.0
"""Asynchronous requests of the kernel's own kind, io_submit(2), which Python has not.

Leaves out: everything but reads and writes of one buffer, and all processors
but x86_64 and arm64.
"""

import ctypes
import struct

from sysapi import call_number, check, libc

_SETUP, _DESTROY = call_number(206, 0), call_number(207, 1)
_GETEVENTS, _SUBMIT = call_number(208, 4), call_number(209, 2)
_READ, _WRITE = 0, 1


class Requests:
    """A context of io_setup(2)."""

    def __init__(self, most=64):
        self._context = ctypes.c_ulong()
        self._most = most
        self._kept = {}
        check(libc.syscall(_SETUP, most, ctypes.byref(self._context)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        libc.syscall(_DESTROY, self._context)

    def _submit(self, kind, fd, area, offset, flags):
        buffer = (ctypes.c_char * len(area)).from_buffer(area)
        number = len(self._kept)
        block = ctypes.create_string_buffer(struct.pack(
            "<QIIHhIQQqQII", number, 0, flags, kind, 0, fd, ctypes.addressof(buffer),
            len(area), offset, 0, 0, 0))
        blocks = (ctypes.c_void_p * 1)(ctypes.addressof(block))
        self._kept[number] = buffer, block
        check(libc.syscall(_SUBMIT, self._context, 1, blocks))
        return number

    def read(self, fd, area, offset, flags=0):
        """Begin to read into an area of memory; the number of the request."""
        return self._submit(_READ, fd, area, offset, flags)

    def write(self, fd, area, offset, flags=0):
        """Begin to write what is in an area of memory; the number of the request."""
        return self._submit(_WRITE, fd, area, offset, flags)

    def ended(self, least):
        """{number: what it returns, an errno being negative}, of so many at least."""
        events = ctypes.create_string_buffer(32 * self._most)
        found = check(libc.syscall(_GETEVENTS, self._context, ctypes.c_long(least),
                                   ctypes.c_long(self._most), events, None))
        return {number: result for number, _, result, _ in struct.iter_unpack(
            "<QQqq", events.raw[:32 * found])}
