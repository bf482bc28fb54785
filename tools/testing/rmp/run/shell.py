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
    tools = machine.share("tools", settings.top / "tools")
    machine.share("shell", _script(settings, f"{code}/guest", tools, words))
    ui.say(f"  {image} will be on /mnt; leave with ctrl-D, or kill it with ctrl-A X")
    argv = machine.command(["--shell", f"{guest.IN_GUEST}/shell/shell"])
    return subprocess.run(argv, env=command.environment(), check=False).returncode


def to_try(fstype, writes):
    """Three commands for who has just come in, [(command, what it shows)]."""
    # a file of gigabytes, which is mostly holes, takes an emulated guest minutes
    found = [("find /mnt -type f -size +1M", "which files are large"),
             ("find /mnt -type f -size -200M -exec cat {} + | wc -c", "read all but the largest")]
    if writes:
        found[1] = ("cp -a /usr/share/doc/bash /mnt && sync", "write to the disk")
    if fstype == "rust_ext2":
        return [*found, ("rust-mpage-stat -a", "what the library did for that")]
    return [*found, ("cat /proc/mounts", "who has mounted it")]


def _script(settings, code, tools, words):
    """Directory with the guest's login shell."""
    commands = to_try(words[2], words[3] == "rw")
    width = max(len(text) for text, _ in commands)
    lines = "\n".join(f"  {text:<{width}}   {what}" for text, what in commands)
    folder = settings.cache.path / "results" / "shell"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "shell"
    path.write_text(
        "#!/bin/bash\n"
        f"export PATH=/usr/sbin:/usr/bin:/sbin:/bin:{tools} PYTHONDONTWRITEBYTECODE=1\n"
        f"{guest.PYTHON} {code}/attach.py {' '.join(words)} && "
        f"cat <<'TRY'\ntry:\n{lines}\nTRY\n"
        "exec /bin/bash -i\n", encoding="utf-8")
    os.chmod(path, 0o755)
    return folder
