# SPDX-License-Identifier: GPL-2.0
"""What the page cache has of a file."""

import ctypes
import os
import struct
import time

from sysapi import check, libc

_CACHESTAT = 451  # on each processor
_PATIENCE = 60  # seconds, in which is over whatever holds a page for a moment


def _counts(fd, offset, length):
    """How many pages of a range are in memory, dirty, and being written, by cachestat(2)."""
    found = ctypes.create_string_buffer(5 * 8)
    check(libc.syscall(_CACHESTAT, fd, struct.pack("QQ", offset, length), found, 0))
    return struct.unpack_from("QQQ", found)


def pages(fd, offset=0, length=0):
    """How many pages of a range are in memory; without a length, to the end."""
    return _counts(fd, offset, length)[0]


def unwritten(fd, offset=0, length=0):
    """How many pages of a range are dirty or being written."""
    return sum(_counts(fd, offset, length)[1:])


def drop(fd, offset=0, length=0):
    """Nothing of a range is in memory afterwards; nobody may have it mapped.

    Once is not always enough: a page that has just been written may be held still by the
    end of its writeback, or by a processor's batch for the LRU lists, and then it stays."""
    end = time.monotonic() + _PATIENCE
    while True:
        os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)
        left = pages(fd, offset, length)
        if not left:
            return
        assert time.monotonic() < end, f"{left} pages stay in memory"
        time.sleep(0.01)
