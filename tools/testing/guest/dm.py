# SPDX-License-Identifier: GPL-2.0
"""Device-mapper devices, by its ioctls: no dmsetup, no udev, no fork.

A table is a list of (first sector, sectors, target, parameters).

Leaves out: everything but creating, changing, telling and removing a device.
"""

import contextlib
import errno
import fcntl
import os
import struct
import time

_CONTROL = "/dev/mapper/control"
_HEAD = struct.Struct("<3I I I I i I I I Q 128s 129s 7x")
_SPEC = struct.Struct("<QQiI16s")

_CREATE, _REMOVE, _SUSPEND, _TABLE_LOAD, _MESSAGE = 3, 4, 6, 9, 14
_SUSPEND_FLAG = 1 << 1
_SKIP_LOCKFS = 1 << 10
_SKIP_FLUSH = 1 << 11


def _call(number, name, flags=0, data=b"", targets=0):
    """One ioctl; the device number that it answers with."""
    size = max(_HEAD.size + len(data), 4096)
    buffer = bytearray(_HEAD.pack(4, 0, 0, size, _HEAD.size, targets, 0, flags, 0, 0,
                                  0, name.encode(), b"") + data)
    buffer += bytes(size - len(buffer))
    fd = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, 0xC0000000 | _HEAD.size << 16 | 0xFD << 8 | number, buffer)
    finally:
        os.close(fd)
    return _HEAD.unpack_from(buffer)[10]


def _table(lines):
    data = b""
    for start, length, target, words in lines:
        text = words.encode() + b"\0"
        text += bytes(-len(text) % 8)
        data += _SPEC.pack(start, length, 0, _SPEC.size + len(text),
                           target.encode()) + text
    return data


class Device:
    """One mapped device. `path` is its node."""

    def __init__(self, name, table):
        self.name = name
        number = _call(_CREATE, name)
        self.path = f"/dev/dm-{os.minor(number)}"
        try:
            self._load(table)
            _call(_SUSPEND, name)
        except OSError:
            self.remove()
            raise

    def _load(self, table):
        _call(_TABLE_LOAD, self.name, data=_table(table), targets=len(table))

    def change(self, table):
        """Another table, for the requests from now on; nothing is flushed."""
        self._load(table)
        self.suspend()
        self.resume()

    def suspend(self):
        """Requests wait from now on. Nothing is flushed, and no filesystem told."""
        _call(_SUSPEND, self.name, _SUSPEND_FLAG | _SKIP_LOCKFS | _SKIP_FLUSH)

    def resume(self):
        """Requests go on, those that wait first."""
        _call(_SUSPEND, self.name)

    @contextlib.contextmanager
    def suspended(self):
        """Requests wait until this ends."""
        self.suspend()
        try:
            yield
        finally:
            self.resume()

    def tell(self, word, text):
        """A message for the target at the first sector, and one word of text."""
        text = word + " " + text.replace(" ", "\\ ")
        _call(_MESSAGE, self.name, data=struct.pack("<Q", 0) + text.encode() + b"\0")

    def remove(self):
        """Remove it; who has just closed it may need a moment."""
        for _ in range(50):
            with contextlib.suppress(FileNotFoundError):
                try:
                    _call(_REMOVE, self.name)
                except OSError as error:
                    if error.errno == errno.ENXIO:
                        return
                    if error.errno != errno.EBUSY:
                        raise
                    time.sleep(0.1)
                    continue
            return
        raise OSError(errno.EBUSY, "in use", self.path)


def sectors(device):
    """The size of a block device in sectors of 512 bytes."""
    with open(f"/sys/block/{os.path.basename(device)}/size", encoding="ascii") as file:
        return int(file.read())
