# SPDX-License-Identifier: GPL-2.0
"""Reads and writes with O_DIRECT, from memory that begins with a page."""

import mmap
import os


def area(length, fill=0):
    """Memory that begins with a page, full of one byte or of what is given."""
    found = mmap.mmap(-1, max(length, 1))
    if length:
        found[:] = fill if isinstance(fill, bytes) else bytes([fill]) * length
    return found


def read(fd, offset, length):
    """What a direct read gives, which may be less."""
    memory = area(length)
    with memoryview(memory)[:length] as view:
        found = os.preadv(fd, [view], offset)
        return bytes(view[:found])


def write(fd, offset, data):
    """How many bytes a direct write has written."""
    memory = area(len(data), bytes(data))
    with memoryview(memory)[:len(data)] as view:
        return os.pwritev(fd, [view], offset)
