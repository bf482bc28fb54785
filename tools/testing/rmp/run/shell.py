# SPDX-License-Identifier: GPL-2.0
"""`make shell`: an interactive guest with the modules and the disk on /mnt."""

import os
import subprocess
import sys

from .. import command, ui
from ..guest import guest
from . import run


def main(settings):
    if not sys.stdin.isatty():
        raise ui.Fail("make shell needs a terminal")
    with settings.cache.locked():
        prepared, image, _ = run.prepare(settings)
    machine = prepared.guest()
    machine.disks.append(guest.Disk(image, run.disk_mode(settings)))
    code = machine.share("testing", settings.testing)
    writes = settings.rw in ("1", "in-place")
    words = [*prepared.trees(machine), settings.fstype, "rw" if writes else "ro",
             ",".join(run.module_names(prepared, settings.fstype)) or "-"]
    machine.share("shell", _script(settings, f"{code}/guest", words))
    ui.say(f"  {image} will be on /mnt; leave with ctrl-D, or kill it with ctrl-A X")
    argv = machine.command(["--shell", f"{guest.IN_GUEST}/shell/shell"])
    return subprocess.run(argv, env=command.environment(), check=False).returncode


def _script(settings, code, words):
    """Directory with the guest's login shell."""
    folder = settings.cache.path / "results" / "shell"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shell"
    path.write_text(
        "#!/bin/bash\n"
        "export PATH=/usr/sbin:/usr/bin:/sbin:/bin PYTHONDONTWRITEBYTECODE=1\n"
        f"{guest.PYTHON} {code}/attach.py {' '.join(words)}\n"
        "exec /bin/bash -i\n", encoding="utf-8")
    os.chmod(path, 0o755)
    return folder
