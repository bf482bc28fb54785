# SPDX-License-Identifier: GPL-2.0
"""Run commands: quietly for an answer, or as a step with a log and progress.

Leaves out: guests (guest.py), which outlive their own output.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from . import ui

# Set by our Makefile or by the make that called us; not for the commands.
_OURS = (
    "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "GNUMAKEFLAGS",
    "MAKE_TERMOUT", "MAKE_TERMERR", "KDIR", "KDIR_CHECKED", "KSRC", "KSRC_7_2", "LLVM",
    "RUSTC", "BINDGEN", "IMAGE", "TESTS", "SECONDS", "SEED", "ACCEL", "FSTYPE", "FS",
    "MOUNT_OPTIONS", "PROFILE", "CELLS", "RW", "KERNEL", "XFSTESTS", "ARCH", "V", "O", "M",
)

_ERROR = re.compile(r"^error(\[E\d+\])?:|\b(fatal )?error: ")


def environment(**more):
    """The environment of a command: the user's, in English, without ours."""
    result = {key: text for key, text in os.environ.items() if key not in _OURS}
    result["LC_ALL"] = "C"
    result["PATH"] = result.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    result.update({key: str(text) for key, text in more.items()})
    return result


def which(name):
    """Path of a program, also where only root looks; None if there is none."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(name, path=path)


def text(*argv, otherwise="", **options):
    """Standard output of a command, or `otherwise` if it fails or is not there."""
    try:
        done = subprocess.run(
            [str(word) for word in argv], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
            env=environment(), encoding="utf-8", errors="replace", **options,
        )
    except OSError:
        return otherwise
    return done.stdout.strip() if done.returncode == 0 else otherwise


def end_group(process):
    """Kill a process and its children, which have a session of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        ui.warn(f"process {process.pid} does not end: it is stuck in the kernel")


def fail(argv, status, log):
    """The message of a failed step: command, end of its log, and where it is."""
    line = argv if isinstance(argv, str) else shlex.join(
        word if "\n" not in word else word.split("\n")[0] + " ..." for word in argv)
    how = f"exit status {status}" if status >= 0 else f"signal {-status}"
    first = first_error(log)
    return ui.Fail(
        f"this command failed with {how}:\n  {line}\n" +
        (f"the first error in its log:\n{first}\n" if first else "") +
        f"the last lines of its log:\n{ui.tail(log)}\n"
        f"the whole log: {log}"
    )


def first_error(log, lines=12):
    """A compiler's first error in a log, unless the end of the log shows it."""
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for number, line in enumerate(text[:-15]):
        if _ERROR.search(line):
            return "\n".join("    " + part for part in text[number:number + lines])
    return ""


def step(what, argv, log, expect=0, cwd=None, env=None, prefix=None):
    """Run a command with its output in a log and its progress on the screen.

    expect: about how many lines it prints, for a percentage, or 0.
    prefix: count only lines that begin so (a tuple, for str.startswith).
    A failure raises ui.Fail with the command, its last lines and the log.
    """
    argv = [str(word) for word in argv]
    log = Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with ui.Progress(what) as progress, open(log, "wb") as out:
        out.write(f"$ {shlex.join(argv)}\n".encode())
        out.flush()
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, cwd=cwd, env=env or environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise ui.Fail(f"cannot run {argv[0]}: {error.strerror}") from error
        try:
            status = _watch(process, log, progress, expect, prefix)
        except BaseException:
            end_group(process)
            raise
        if status:
            raise fail(argv, status, log)


def _watch(process, log, progress, expect, prefix):
    count, last, rest = 0, "", ""
    with open(log, encoding="utf-8", errors="replace") as lines:
        while True:
            try:
                status = process.wait(0.5)
            except subprocess.TimeoutExpired:
                status = None
            rest += lines.read()
            *whole, rest = rest.split("\n")
            for line in whole:
                if not prefix or line.startswith(prefix):
                    count += 1
                    last = line.strip() or last
            if status is not None:
                return status
            if expect:
                progress.update(f"step {count} of about {expect}", count / expect)
            else:
                progress.update(last[:60])
