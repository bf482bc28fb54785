# SPDX-License-Identifier: GPL-2.0
"""Who waits for a device that is suspended."""

import contextlib
import os
import threading
import time

import disks
import dm

PATIENCE = 20  # seconds, in which is over what does not wait


def in_front_of(ctx, disk):
    """A device in front of a disk that can be suspended."""
    ctx.load("dm-mod")
    table = [(0, dm.sectors(disk.device), "linear", f"{disk.device} 0")]
    device = dm.Device(f"waiting-{os.getpid()}-{os.path.basename(disk.path)}", table)
    ctx.afterwards(device.remove)
    return device


def held_up(ctx, image):
    """A disk, and a device in front of it that can be suspended."""
    disk = disks.Disk(ctx, image)
    return disk, in_front_of(ctx, disk)


def _state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "ended"


def falls_asleep(pid):
    """Whether it waits for longer than a lock takes."""
    end = time.monotonic() + PATIENCE
    seen = 0
    while seen < 30 and time.monotonic() < end:
        state = _state(pid)
        if state == "ended":
            return False
        seen = seen + 1 if state == "D" else 0
        time.sleep(0.01)
    return seen == 30


def until(is_so, what):
    """Wait until something is so."""
    end = time.monotonic() + 3 * PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"it is not so: {what}"
        time.sleep(0.01)


class Task(threading.Thread):
    """A call in a thread, which has the same open files. What it raises is raised again
    by result()."""

    def __init__(self, call, *args):
        super().__init__(daemon=True)
        self._call, self._args, self._error = call, args, None
        self.start()

    def run(self):
        try:
            self._call(*self._args)
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self._error = error

    def __str__(self):
        stack = ""
        with contextlib.suppress(OSError):
            with open(f"/proc/{self.native_id}/stack", encoding="ascii") as file:
                stack = file.read()
        return f"{self._call.__name__}{self._args}: {_state(self.native_id)}, {self._error}\n{stack}"

    def falls_asleep(self):
        return falls_asleep(self.native_id)

    def result(self):
        self.join()
        if self._error:
            raise self._error
