# SPDX-License-Identifier: GPL-2.0
"""`make series KSRC=...`: the patches for a kernel's tree, into series/."""

import re
import subprocess

from .. import command, ui
from ..build import ksource
from ..settings import KERNEL_SERIES
from . import patches

# a file that comes has its place in MAINTAINERS: the first patch gives it the folder
_NOT_HERE = "FILE_PATH_CHANGES"


def checkpatch(kernel, paths):
    """What the kernel's checkpatch says of patches."""
    done = subprocess.run(
        ["perl", kernel / "scripts/checkpatch.pl", "--terse", "--no-summary",
         f"--root={kernel}", f"--ignore={_NOT_HERE}", *paths],
        cwd=kernel, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=command.environment(), check=False,
        encoding="utf-8", errors="replace")
    found = [line for line in done.stdout.splitlines()
             if re.search(r": (ERROR|WARNING|CHECK): ", line)]
    if done.returncode and not found:
        found = done.stdout.splitlines()[-5:] or ["checkpatch failed"]
    return found


def main(settings):
    if not settings.ksrc:
        raise ui.Fail("patches are made for a kernel's source: "
                      f"make series KSRC=/path/to/linux-{KERNEL_SERIES}")
    kernel = ksource.tree(settings, older=())
    out = settings.top / "series"
    made = patches.write(settings.top, kernel, out, patches.identity_of(settings.top))
    for path in made:
        ui.say(f"  {path.relative_to(settings.top)}")
    wrong = checkpatch(kernel, made)
    if wrong:
        shown = "\n".join("  " + line for line in wrong[:40])
        raise ui.Fail(f"checkpatch complains {len(wrong)} times:\n{shown}")
    ui.say("checkpatch: clean\n"
           f"git am {out}/*.patch   # in a tree of Linux {ksource.version(kernel)}")
    return 0
