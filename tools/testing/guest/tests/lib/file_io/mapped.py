# SPDX-License-Identifier: GPL-2.0
"""Pages of files in memory, also where Python's mmap does not go: behind the end of
the file.
"""

import ctypes
import mmap
import os
import struct

from sysapi import libc

SIZE = mmap.PAGESIZE

_PAGEMAP_PFN = (1 << 55) - 1
_COMPOUND = 1 << 15 | 1 << 16  # KPF_COMPOUND_HEAD, KPF_COMPOUND_TAIL

libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                      ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def edge():
    """An address behind which there is no memory, with a page in front of it."""
    address = libc.mmap(None, 2 * SIZE, mmap.PROT_READ | mmap.PROT_WRITE,
                        mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    assert libc.munmap(address + SIZE, SIZE) == 0
    ctypes.memset(address, ord("c"), SIZE)
    return address + SIZE


class Page:
    """One page of a file, mapped shared."""

    def __init__(self, fd, index):
        address = libc.mmap(None, SIZE, mmap.PROT_READ | mmap.PROT_WRITE,
                            mmap.MAP_SHARED, fd, index * SIZE)
        if address == ctypes.c_void_p(-1).value:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.address = address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def advise(self, advice):
        """madvise(2)."""
        if libc.madvise(ctypes.c_void_p(self.address), ctypes.c_size_t(SIZE), advice):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def load(self, start, end):
        return ctypes.string_at(self.address + start, end - start)

    def store(self, start, data):
        ctypes.memmove(self.address + start, data, len(data))

    def is_in_large_folio(self):
        """Of a page that has been touched."""
        with open("/proc/self/pagemap", "rb") as file:
            file.seek(self.address // SIZE * 8)
            frame = struct.unpack("<Q", file.read(8))[0] & _PAGEMAP_PFN
        with open("/proc/kpageflags", "rb") as file:
            file.seek(frame * 8)
            return struct.unpack("<Q", file.read(8))[0] & _COMPOUND != 0

    def close(self):
        libc.munmap(self.address, SIZE)
