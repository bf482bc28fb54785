# SPDX-License-Identifier: GPL-2.0
"""The test powercut.kill: kill a guest that writes, repair its disk here, and look
for what it had called durable.

The disk is a file behind virtio-blk. What the guest's device had completed is kept
when QEMU is killed; what was in the guest's memory is not. Cuts that also take what
was not flushed are in guest/tests/test_crash.py.
"""

import random
import re
import shutil
import subprocess
import sys
import time

from . import command, guest, modules, ui

NAME = "powercut.kill"
BOOT_LIMIT = 900
WORK = (4, 15)  # seconds after the first fsync
IMAGE = "blank-1k"
_MARK = re.compile(r"rust_mpage_durable: (.*)")


def marks_of(log):
    """What the guest called durable, in order; a line that was cut is left out."""
    text = log.read_text(encoding="utf-8", errors="replace")
    found = [match[1].strip() for match in map(_MARK.search, text.split("\n")[:-1])
             if match]
    return [mark for mark in found
            if re.fullmatch(r"(begin|gone) \S+|done \S+ \d+ \d+|error .*", mark)]


def _write_until_killed(settings, prepared, image, out, seed):
    """Boot, let it write, kill it. The console's log."""
    machine = prepared.guest()
    machine.disks.append(guest.Disk(image, guest.Disk.READ_WRITE))
    fields = {
        "trees": prepared.trees(machine), "fstype": settings.fstype,
        "modules": [name for name in modules.names(prepared.objects)
                    if name in ("rust_mpage", "rust_ext2")],
        "tests": f"{guest.IN_GUEST}/testing/guest/tests",
        "scratch": "/run/scratch", "seed": seed,
    }
    if settings.fstype != "rust_ext2":
        fields["modules"] = [settings.fstype]
    log = out / "console.log"
    end = [time.monotonic() + BOOT_LIMIT, False]
    work = random.Random(seed).uniform(*WORK)

    def on_line(line):
        found = _MARK.search(line)
        if found and not end[1] and found[1].startswith(("done", "error")):
            end[:] = time.monotonic() + work, True

    with ui.Progress(f"guest to be killed ({prepared.accel})") as step:

        def limit():
            step.update("writing" if end[1] else "booting")
            return end[0] - time.monotonic()

        guest.job(machine, settings, out, "powercut.py", fields, log, limit, on_line)
    return log


def _run(*argv):
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=command.environment(), check=False, encoding="utf-8",
                          errors="replace")
    return done.returncode, done.stdout


def _wrong(settings, image, marks, out):
    """What is wrong with the repaired disk, a list of texts."""
    sys.path.insert(0, str(settings.testing / "guest" / "tests"))
    try:
        import durable  # pylint: disable=import-outside-toplevel
        import writers  # pylint: disable=import-outside-toplevel
    finally:
        sys.path.pop(0)
    status, text = _run("e2fsck", "-fy", image)
    if status not in (0, 1):
        return [f"e2fsck: status {status}\n{text}"]
    found = []
    if settings.fstype == "rust_ext2" and "ultiply-claimed" in text:
        found.append(f"a block of two files\n{text}")
    kept = durable.Durable(marks)
    for name, (seed, length) in kept.files.items():
        copy = out / "copy"
        copy.unlink(missing_ok=True)
        _run("debugfs", "-R", f"dump /{name} {copy}", image)
        data = copy.read_bytes() if copy.exists() else None
        if data != writers.content(seed, 0, length):
            found.append(f"{name} was fsynced with {length} bytes, and " + (
                "is not there" if data is None else f"has {len(data)} others"))
    for name in kept.gone:
        if "File not found" not in _run("debugfs", "-R", f"stat /{name}", image)[1]:
            found.append(f"{name} is back, and its directory had been fsynced")
    return found + ([text] if found else [])


def run(settings, prepared, pictures, out, outcome):
    """The test."""
    seed = int(settings.seed or 0) or random.randrange(1, 1 << 30)
    out = out / "powercut"
    out.mkdir()
    image = out / "disk.img"
    shutil.copyfile(pictures / IMAGE, image)
    begin = time.monotonic()
    log = _write_until_killed(settings, prepared, image, out, seed)
    marks = marks_of(log)
    errors = [mark for mark in marks if mark.startswith("error")]
    if errors or not any(mark.startswith("done") for mark in marks):
        outcome.add(NAME, "fail", "the guest wrote nothing: " + "".join(errors) +
                    f"\n{ui.tail(log, 25)}")
        return
    wrong = _wrong(settings, image, marks, out)
    outcome.add(NAME, "fail" if wrong else "pass",
                "\n".join([f"SEED={seed}", *wrong]), time.monotonic() - begin)
