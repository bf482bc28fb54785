# SPDX-License-Identifier: GPL-2.0
"""What memory management may do with the folios of files at any time, all the time."""

import contextlib
import os
import signal
import time

import writers

_FAIL = "/sys/kernel/debug/fail_page_alloc"
_SPLIT = "/sys/kernel/debug/split_huge_pages"


def put(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


@contextlib.contextmanager
def tuned(**values):
    """Settings of /proc/sys/vm, that was before in the end."""
    with contextlib.ExitStack() as stack:
        for name, value in values.items():
            path = f"/proc/sys/vm/{name}"
            with open(path, encoding="ascii") as file:
                stack.callback(put, path, file.read())
            put(path, str(value))
        yield


@contextlib.contextmanager
def few_large_folios():
    """Two of three allocations of more than a page fail that may."""
    settings = {"min-order": "1", "ignore-gfp-wait": "N", "ignore-gfp-highmem": "N",
                "interval": "1", "times": "-1", "verbose": "0", "probability": "67"}
    for name, value in settings.items():
        put(f"{_FAIL}/{name}", value)
    try:
        yield
    finally:
        put(f"{_FAIL}/probability", "0")


def compact():
    put("/proc/sys/vm/compact_memory", "1")


def reclaim():
    """Takes clean folios out of the cache."""
    put("/proc/sys/vm/drop_caches", "1")


def split(path, pages, order):
    """Splits the folios of a file's first pages to this order; those that are dirty, or in
    use, stay."""
    with contextlib.suppress(OSError):
        put(_SPLIT, f"{path},0x0,{pages:#x},{order}")


def _for_ever(paths):
    step = 0
    while True:
        compact()
        if step % 3 == 0:
            reclaim()
        for path in paths:
            split(path, 1024, step % 3)
        time.sleep(0.2)
        step += 1


@contextlib.contextmanager
def memory(paths):
    """Memory is compacted and reclaimed, and the folios of these files are split, until
    this ends."""
    assert os.path.exists(_SPLIT), "the kernel cannot be told to split"
    child = writers.Child(_for_ever, paths)
    try:
        yield
        assert not child.ends_within(0), "it has come to an end"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
