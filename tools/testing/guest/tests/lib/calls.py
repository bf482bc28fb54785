# SPDX-License-Identifier: GPL-2.0
"""Which functions of the kernel a call comes to, one after the other, by kprobes."""

import concurrent.futures
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


def in_order(ctx, names, call):
    """Those of the functions that are called, as often as they are. The call is made in a
    thread of its own: who switches the probes comes to some, too."""
    if not os.path.exists(f"{_TRACING}/kprobe_events"):
        ctx.skip("the kernel has no kprobes")
    made = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        thread = pool.submit(threading.get_native_id).result()
        try:
            for name in names:
                _tell("kprobe_events", f"p:rust_mpage/o_{name} {name}")
                made.append(name)
                _tell(f"events/rust_mpage/o_{name}/filter", f"common_pid=={thread}")
            _tell("trace", " ", os.O_TRUNC)
            for name in names:
                _tell(f"events/rust_mpage/o_{name}/enable", "1")
            pool.submit(call).result()
            with open(f"{_TRACING}/trace", encoding="ascii") as file:
                return re.findall(r": o_(\w+): ", file.read())
        finally:
            for name in made:
                _tell(f"events/rust_mpage/o_{name}/enable", "0")
                _tell("kprobe_events", f"-:rust_mpage/o_{name}")
