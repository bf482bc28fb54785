# SPDX-License-Identifier: GPL-2.0
"""Requests of a device that fail, and allocations of memory, by the kernel's own fault injection."""

import contextlib
import os
import threading

import disturb
import sysapi
from sysapi import libc

_SETTINGS = "/sys/kernel/debug/fail_make_request"
_MCL_CURRENT = 1


def _inject(device, switch, **settings):
    for name, value in settings.items():
        with open(f"{_SETTINGS}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))
    path = f"/sys/block/{os.path.basename(device)}/make-it-fail"
    with open(path, "w", encoding="ascii") as file:
        file.write(switch)


@contextlib.contextmanager
def requests_fail(ctx, device, probability=100, times=-1, space=0):
    """Requests of a device fail, in so many of a hundred cases, and so many times, -1 for
    ever, after those of less than `space` bytes. A flush is a request, too."""
    if not os.path.isdir(_SETTINGS):
        ctx.skip("the kernel has no CONFIG_FAIL_MAKE_REQUEST")
    _inject(device, "1", verbose=0, interval=1, times=times, space=space,
            probability=probability)
    try:
        yield
    finally:
        _inject(device, "0", probability=0, times=0)


@contextlib.contextmanager
def memory_is_short(number):
    """From allocation `number` of this thread on all of slabs fail; whether it came to that. If one
    alone fails, some are tried again in another way (kvrealloc() of the kernel)."""
    folder = "/sys/kernel/debug/failslab"
    task = f"/proc/self/task/{threading.get_native_id()}"
    settings = {"ignore-gfp-wait": "N", "verbose": "0", "interval": "1", "task-filter": "Y",
                "times": "-1", "space": "0", "probability": "100"}
    came = []
    with contextlib.ExitStack() as stack:
        for name, value in settings.items():
            path = f"{folder}/{name}"
            with open(path, encoding="ascii") as file:
                stack.callback(disturb.put, path, file.read())
            disturb.put(path, value)
        # a fault that needs memory would come again for ever
        sysapi.check(libc.mlockall(_MCL_CURRENT), "mlockall")
        stack.callback(libc.munlockall)
        # opened before: that needs memory, too
        first, others = (os.open(f"{task}/{name}", os.O_RDWR)
                         for name in ("fail-nth", "make-it-fail"))
        for fd in (first, others):
            stack.callback(os.close, fd)
        # those in front of `number` are not asked about the others
        os.pwrite(first, str(number).encode(), 0)
        os.pwrite(others, b"1", 0)
        try:
            yield came
        finally:
            os.pwrite(others, b"0", 0)
            came.append(int(os.pread(first, 20, 0)) == 0)
            os.pwrite(first, b"0", 0)
