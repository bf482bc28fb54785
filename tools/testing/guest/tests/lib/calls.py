# SPDX-License-Identifier: GPL-2.0
"""Which functions of the kernel this thread calls, one after the other, by kprobes."""

import contextlib
import os
import re
import threading

_TRACING = "/sys/kernel/tracing"


def _tell(name, text, flags=os.O_APPEND):
    # open() would seek, which these files do not know
    file = os.open(f"{_TRACING}/{name}", os.O_WRONLY | flags)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


@contextlib.contextmanager
def in_order(ctx, names):
    """A list that has, in the end, those of the functions that were called."""
    if not os.path.exists(f"{_TRACING}/kprobe_events"):
        ctx.skip("the kernel has no kprobes")
    found, made = [], []
    try:
        for name in names:
            _tell("kprobe_events", f"p:rust_mpage/o_{name} {name}")
            made.append(name)
            _tell(f"events/rust_mpage/o_{name}/filter",
                  f"common_pid=={threading.get_native_id()}")
        _tell("trace", " ", os.O_TRUNC)
        for name in names:
            _tell(f"events/rust_mpage/o_{name}/enable", "1")
        yield found
        with open(f"{_TRACING}/trace", encoding="ascii") as file:
            found += re.findall(r": o_(\w+): ", file.read())
    finally:
        for name in made:
            _tell(f"events/rust_mpage/o_{name}/enable", "0")
            _tell("kprobe_events", f"-:rust_mpage/o_{name}")
