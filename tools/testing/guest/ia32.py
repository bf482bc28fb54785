# SPDX-License-Identifier: GPL-2.0
"""System calls as a program of 32 bits makes them, on x86_64: by interrupt 0x80, which is theirs
for everybody, with arguments below 4 GiB.
"""

import ctypes
import mmap
import os
import platform

_MAP_32BIT = 0x40
_IOCTL = 54  # its number there
# f(number, a, b, c): push rbx; mov eax, edi; mov ebx, esi; xchg edx, ecx; int 0x80; pop rbx; ret
_CALL = bytes.fromhex("53 89f8 89f3 87ca cd80 5b c3")


def can_run():
    """Whether the kernel takes them (CONFIG_IA32_EMULATION, unless ia32_emulation=0)."""
    if platform.machine() != "x86_64":
        return False
    child = os.fork()
    if child == 0:
        Ia32().ioctl(0, 0, b"")
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


class Ia32:
    """A place below 4 GiB with the call, and room for an argument."""

    _ROOM = 256  # bytes from the start on

    def __init__(self):
        self._place = mmap.mmap(-1, mmap.PAGESIZE,
                                mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_32BIT,
                                mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._place[:len(_CALL)] = _CALL
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._place))
        self._call = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_uint] * 4)(self._address)

    def ioctl(self, fd, number, argument):
        """(what it returns, or minus an errno, and what the argument is then): `argument` are
        bytes; where it is None it is nowhere, and nothing is what it is."""
        if argument is None:
            return self._call(_IOCTL, fd, number, 1), b""
        end = self._ROOM + len(argument)
        self._place[self._ROOM:end] = argument
        status = self._call(_IOCTL, fd, number, self._address + self._ROOM)
        return status, self._place[self._ROOM:end]
