# SPDX-License-Identifier: GPL-2.0
"""What the user sees: steps, progress, failures.

On a terminal a running step rewrites its one line; elsewhere it prints one line
every half minute, so that a log stays short and still shows life.

Leaves out: running commands (command.py).
"""

import os
import shutil
import sys
import time


class Fail(Exception):
    """A failure that one line explains; the program ends with status 1."""


def duration(seconds):
    """7 -> "7s", 67 -> "1m07s"."""
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds}s"
    return f"{seconds // 60}m{seconds % 60:02}s"


def size(count):
    """Bytes for people: 123456789 -> "117.7 MiB"."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""


def say(text=""):
    print(text, flush=True)


def warn(text):
    print(f"rust_mpage: {text}", file=sys.stderr, flush=True)


class Progress:
    """A step that takes a while: what, how far, how long.

        with Progress("kernel (lean)") as step:
            step.update("1234 of about 2400 objects", 0.51)
    """

    QUIET = 30  # seconds between lines where there is no terminal

    def __init__(self, what):
        self._what = what
        self._begin = time.monotonic()
        self._tty = sys.stdout.isatty()
        self._last = self._begin
        self._shown = False
        self.result = ""

    def __enter__(self):
        if self._tty:
            self._rewrite(f"  {self._what} ...")
        else:
            say(f"  {self._what} ...")
        return self

    def elapsed(self):
        return time.monotonic() - self._begin

    def update(self, text="", fraction=None):
        now = time.monotonic()
        if now - self._last < (0.5 if self._tty else self.QUIET):
            return
        self._last = now
        if fraction is not None:
            text = f"{min(fraction, 0.99) * 100:.0f} % {text}"
        line = f"  {self._what}: {text.strip()} ({duration(self.elapsed())})"
        if self._tty:
            self._rewrite(line)
        else:
            say(line)

    def _rewrite(self, line):
        width = shutil.get_terminal_size().columns
        sys.stdout.write("\r\x1b[K" + line[: width - 1])
        sys.stdout.flush()
        self._shown = True

    def __exit__(self, kind, value, traceback):
        if self._shown:
            sys.stdout.write("\r\x1b[K")
        word = self.result or ("done" if kind is None else "FAILED")
        say(f"  {self._what}: {word} ({duration(self.elapsed())})")


def tail(path, lines=15):
    """The last lines of a log, indented, for an error message."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 32768))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])
