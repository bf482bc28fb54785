# SPDX-License-Identifier: GPL-2.0
"""A disk with a root filesystem of a few programs of this machine, which runs a script in
place of init, and a QEMU that boots it without an initramfs.
"""

import re
import shutil
from pathlib import Path

from .. import command, ui
from ..guest import guest

PROGRAMS = ("sh", "cat", "cmp", "cp", "grep", "ls", "mkdir", "mount", "rm", "sha256sum",
            "sync", "umount", "insmod", "rmmod")
SAID = re.compile(r"rust_mpage_root: (.*)")
# What goes wrong ends the script; sysrq is the way out, which needs no program.
_INIT = """#!/bin/sh
export PATH=/bin
say() {{ echo "rust_mpage_root: $*"; }}
finish() {{ sync; mount -o remount,ro /; say "$1"; echo b > /proc/sysrq-trigger; sleep 60; }}
set -e
trap 'finish "failed with $?"' EXIT
echo "rust_mpage: the job begins"
mount -t proc proc /proc
{script}
trap - EXIT
finish done
"""


def make(folder, script, more=()):
    """folder/root.img with an ext2, of which /init runs the lines; `more` are files that
    are put into /more."""
    files = folder / "root"
    for name in ("bin", "dev", "proc", "sys", "tmp", "mnt", "more"):
        (files / name).mkdir(parents=True)
    for name in PROGRAMS:
        path = command.which(name)
        if not path:
            raise ui.Fail(f"{name} is missing, for a root filesystem")
        shutil.copy(path, files / "bin" / name)
        for library in re.findall(r"(/\S+) \(0x", command.text("ldd", path)):
            target = files / library.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copy(library, target)
    for path in more:
        shutil.copy(path, files / "more")
    init = files / "init"
    init.write_text(_INIT.format(script=script), encoding="ascii")
    init.chmod(0o755)
    image = folder / "root.img"
    command.step("disk with the root", ["mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024",
                                        "-d", files, image, "96M"], folder / "mke2fs.log")
    shutil.rmtree(files)
    return image


class _Kernel:
    def __init__(self, image, build):
        self.image = Path(image)
        self.build = Path(build)


class Machine(guest.Guest):
    """A kernel that mounts its root by itself; the disk may be written."""

    def __init__(self, build, image, accel, options):
        super().__init__(None, _Kernel(build / "arch/x86/boot/bzImage", build), accel, "2G")
        self.disks.append(guest.Disk(image, guest.Disk.READ_WRITE))
        self.kernel_options += ["root=/dev/vda", "rw", "init=/init", "panic=-1",
                                "console=ttyS0", *options]

    def command(self, words):
        argv = ["qemu-system-x86_64", "-machine", "q35", "-nographic", "-no-reboot",
                "-nodefaults",
                "-serial", "stdio", "-net", "none", "-m", self._memory,
                "-kernel", str(self._kernel.image)]
        if self.accel == "kvm":
            argv += ["-accel", "kvm", "-cpu", "host"]
        else:
            # Documentation/testing.rst says what the timers of an emulated machine do
            argv += ["-accel", "tcg"]
            self.kernel_options += ["no_timer_check", "pmtmr=0", "mitigations=off"]
        for number, disk in enumerate(self.disks):
            argv += disk.options(number)
        argv += ["-append", " ".join(self.kernel_options)]
        return argv + [word.removeprefix("--qemu-opt=") for word in words
                       if word.startswith("--qemu-opt=")]
