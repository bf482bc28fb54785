# SPDX-License-Identifier: GPL-2.0
"""Programs that tests run: copied to tmpfs with their libraries, once a boot, since
a start from the guest's root, which is the host's over 9p, takes a second longer;
and several of them at once.
"""

import os
import subprocess

_LOADER = {"x86_64": "/lib64/ld-linux-x86-64.so.2",
           "aarch64": "/lib/ld-linux-aarch64.so.1"}[os.uname().machine]


def local(ctx, program):
    """A program and what it needs on tmpfs: the words that start it."""
    folder = os.path.join(os.path.dirname(ctx.tmp), "programs")
    target = os.path.join(folder, program)
    loader = os.path.join(folder, os.path.basename(_LOADER))
    if not os.path.exists(target):
        os.makedirs(folder, exist_ok=True)
        origin = ctx.tool(program)
        for word in [_LOADER, *ctx.run(_LOADER, "--list", origin).split()]:
            if word.startswith("/"):
                _copy(word, os.path.join(folder, os.path.basename(word)))
        _copy(origin, target)
    return [loader, "--library-path", folder, target]


def _copy(source, target):
    with open(source, "rb") as data, open(target + ".new", "wb") as out:
        out.write(data.read())
    os.chmod(target + ".new", 0o755)
    os.rename(target + ".new", target)


def all_at_once(ctx, commands, folder):
    """Run commands side by side, {name: words}; {name: (exit status, output)}."""
    running = {}
    for name, words in commands.items():
        with open(os.path.join(ctx.tmp, f"output-{name}"), "wb") as out:
            running[name] = subprocess.Popen(
                [str(word) for word in words], cwd=folder, stdout=out,
                stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    found = {}
    for name, process in running.items():
        status = process.wait()
        with open(os.path.join(ctx.tmp, f"output-{name}"), encoding="utf-8",
                  errors="replace") as out:
            found[name] = status, out.read()
    return found
