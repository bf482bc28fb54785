# SPDX-License-Identifier: GPL-2.0
"""Build the programs of the benchmark: the workload, and QEMU's plugin."""

import re

from .. import cache, command, ui
from ..build.toolchain import version_of

# where no program has its code by itself, so that an address names the function
_TEXT = "0x5be00000"


def _compiler(chain):
    found = command.which("gcc") or chain.tool("clang")
    if not found:
        raise ui.Fail("no C compiler for the benchmark's programs (gcc)")
    return found


def ensure(settings, chain):
    """Directory with `workload` and `count.so`. Needs the cache's lock."""
    folder = settings.testing / "bench"
    sources = ["workload.c", "data.c", "scattered.c", "small.c", "names.c", "tree.c",
               "device.c", "clock.c", "marks.c"]
    names = [*sources, "workload.h", "clock.h", "count.c", "count.h"]
    compiler = _compiler(chain)
    qemu = version_of(command.text("qemu-system-x86_64", "--version"))
    # the interface's number that QEMU checks; what is used of it is the same
    interface = 1 if qemu < (8, 2) else 2 if qemu < (9, 1) else 3
    key = cache.digest(cache.digest_files(folder, names), interface,
                       command.text(compiler, "--version"))
    log = settings.cache.logs / "workload.log"

    def build(entry):
        command.step("workload", [
            compiler, "-O2", "-Wall", "-static", "-no-pie",
            f"-Wl,-Ttext-segment={_TEXT}", "-o", entry / "workload",
            *(folder / name for name in sources)], log)
        command.step("counting plugin", [
            compiler, "-O2", "-Wall", "-shared", "-fPIC",
            f"-DPLUGIN_VERSION={interface}", "-o", entry / "count.so",
            folder / "count.c"], log)

    return settings.cache.make("workload", key, build)


def addresses(chain, program):
    """{"count_begin": address, "count_end": address} in the workload."""
    text = command.text(chain.tool("llvm-nm") or "nm", program)
    return {name: int(address, 16) for address, name
            in re.findall(r"^(\w+) T (count_(?:begin|end))$", text, re.M)}
