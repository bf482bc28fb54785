# SPDX-License-Identifier: GPL-2.0
"""System calls that Python's library lacks, by ctypes.

A fork and exec costs a good part of a second on an emulated processor with its
root on 9p, so mounting, loop devices and modules are done from the process
itself. Errors are OSError with the errno of the call.

Leaves out: everything but the numbers of x86_64 and arm64.
"""

import ctypes
import fcntl
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)

MS_RDONLY = 1
MNT_DETACH = 2


def call_number(x86_64, arm64):
    """The number of a system call, which is not the same on each processor."""
    return {"x86_64": x86_64, "aarch64": arm64}[os.uname().machine]


_SYS_FINIT_MODULE = call_number(313, 273)
_SYS_DELETE_MODULE = call_number(176, 106)

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LOOP_CLR_FD = 0x4C01
_LO_FLAGS_READ_ONLY = 1


def check(result, *what):
    """The result of a call of the C library, or OSError if it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *what)
    return result


def mount(source, target, fstype, flags=0, options=""):
    """mount(2)."""
    check(
        libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            os.fsencode(fstype),
            ctypes.c_ulong(flags),
            os.fsencode(options) if options else None,
        ),
        str(source),
    )


def umount(target, flags=0):
    """umount2(2)."""
    check(libc.umount2(os.fsencode(target), flags), str(target))


def syncfs(fd):
    """syncfs(2)."""
    check(libc.syncfs(fd))


def insmod(path, params=""):
    """finit_module(2)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        check(
            libc.syscall(_SYS_FINIT_MODULE, fd, os.fsencode(params), 0), str(path)
        )
    finally:
        os.close(fd)


def rmmod(name):
    """delete_module(2), without waiting for a reference to go."""
    check(
        libc.syscall(_SYS_DELETE_MODULE, os.fsencode(name), os.O_NONBLOCK), name
    )


def loop_attach(path, read_only, offset=0, size_limit=0, sector_size=512):
    """Bind a file to a free loop device; the device's path comes back.

    offset and size_limit are in bytes, and multiples of 512.
    """
    flags = _LO_FLAGS_READ_ONLY if read_only else 0
    mode = os.O_RDONLY if read_only else os.O_RDWR
    backing = os.open(path, mode | os.O_CLOEXEC)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
        device = f"/dev/loop{number}"
        # struct loop_config: fd, block_size, struct loop_info64, reserved
        info = struct.pack(
            "<QQQQQIIII64s64s32sQQ",
            0, 0, 0, offset, size_limit, number, 0, 0, flags,
            os.fsencode(path)[-63:], b"", b"", 0, 0,
        )
        config = struct.pack("<II", backing, sector_size) + info + bytes(64)
        fd = os.open(device, mode | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _LOOP_CONFIGURE, config)
        finally:
            os.close(fd)
        return device
    finally:
        os.close(control)
        os.close(backing)


def loop_detach(device):
    """Unbind a loop device; it goes when its last user does."""
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _LOOP_CLR_FD)
    finally:
        os.close(fd)


def module_path(tree, name):
    """Path of a module of a kernel's build tree, or None."""
    want = name.replace("-", "_") + ".ko"
    with open(os.path.join(tree, "modules.order"), encoding="ascii") as order:
        for line in order:
            path = line.strip()
            base = os.path.basename(path)
            if base.replace("-", "_").removesuffix(".o") in (want, want[:-3]):
                return os.path.join(tree, os.path.splitext(path)[0] + ".ko")
    return None


def module_depends(path):
    """The names that a module's .modinfo says it depends on."""
    with open(path, "rb") as file:
        data = file.read()
    start = data.find(b"\0depends=")
    if start < 0:
        return []
    start += len(b"\0depends=")
    names = data[start : data.index(b"\0", start)].decode("ascii")
    return [name for name in names.split(",") if name]


def loaded_modules():
    """Names of the modules in the kernel."""
    with open("/proc/modules", encoding="ascii") as file:
        return {line.split()[0] for line in file}
