# SPDX-License-Identifier: GPL-2.0
"""Requests of a device that fail, by the kernel's own fault injection."""

import contextlib
import os

_SETTINGS = "/sys/kernel/debug/fail_make_request"


def _inject(device, switch, **settings):
    for name, value in settings.items():
        with open(f"{_SETTINGS}/{name}", "w", encoding="ascii") as file:
            file.write(str(value))
    path = f"/sys/block/{os.path.basename(device)}/make-it-fail"
    with open(path, "w", encoding="ascii") as file:
        file.write(switch)


@contextlib.contextmanager
def requests_fail(ctx, device, probability=100, times=-1):
    """Requests of a device fail, in so many of a hundred cases, and so many times; -1 for
    ever. A flush is a request, too."""
    if not os.path.isdir(_SETTINGS):
        ctx.skip("the kernel has no CONFIG_FAIL_MAKE_REQUEST")
    _inject(device, "1", verbose=0, interval=1, times=times, space=0,
            probability=probability)
    try:
        yield
    finally:
        _inject(device, "0", probability=0, times=0)
