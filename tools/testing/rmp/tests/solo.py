# SPDX-License-Identifier: GPL-2.0
"""Tests that need a guest of their own, because it does not survive them.

Such a test copies an image to a disk that its guest may write, runs a script in
the guest (tools/testing/guest) that says on the console what it has done, and
looks at the disk afterwards, from here. The guest's console is scanned like that
of every other.
"""

import re
import shutil
import subprocess

from .. import command, ui
from ..build import modules
from ..guest import guest, logscan

BOOT_LIMIT = 900
_SCRIPT_MARK = re.compile(r"rust_mpage_says: (.*)")


class Solo:
    """A guest for one test, and its disk."""

    def __init__(self, settings, prepared, image, out):
        self.settings = settings
        self.out = out
        self.log = out / "console.log"
        self.disk = out / "disk.img"
        out.mkdir()
        shutil.copyfile(image, self.disk)
        self._images = image.parent
        self._prepared = prepared

    def run(self, script, what, limit, on_mark=lambda mark: None, options=(), **fields):
        """Boot with these options of the kernel, run the script, until the guest ends or
        limit() says so."""
        machine = self._prepared.guest()
        machine.kernel_options += ["kunit.enable=0", *options]
        machine.disks.append(guest.Disk(self.disk, guest.Disk.READ_WRITE))
        names = [name for name in modules.names(self._prepared.objects)
                 if name in ("rust_mpage", "rust_ext2")]
        if self.settings.fstype != "rust_ext2":
            names = [self.settings.fstype]
        fields = dict(
            fields, trees=self._prepared.trees(machine), modules=names,
            fstype=self.settings.fstype, scratch="/run/scratch",
            images=[machine.share("images", self._images)],
            tests=f"{guest.IN_GUEST}/testing/guest/tests")

        def on_line(line):
            found = _SCRIPT_MARK.search(line)
            if found:
                on_mark(found[1].strip())

        with ui.Progress(f"{what} ({self._prepared.accel})") as step:

            def left():
                step.update("running")
                return limit()

            guest.job(machine, self.settings, self.out, script, fields, self.log,
                      left, on_line)

    def console(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def marks(self):
        """What the script has said, in order."""
        return marks_in(self.console())

    def complaints(self, allowed=""):
        """What the kernel complained of, as texts."""
        found = logscan.scan(self.console().splitlines(),
                             {"boot": [allowed] if allowed else []})
        return ["\n".join(complaint.lines) for complaint in found]


def marks_in(console):
    """The marks of a console's text; a line that was cut is left out."""
    return [match[1].strip() for match in
            map(_SCRIPT_MARK.search, console.split("\n")[:-1]) if match]


def program(*argv):
    """Run a program on the host; (exit status, output)."""
    done = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=command.environment(), check=False, encoding="utf-8",
                          errors="replace")
    return done.returncode, done.stdout
