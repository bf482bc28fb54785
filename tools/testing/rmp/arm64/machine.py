# SPDX-License-Identifier: GPL-2.0
"""A guest with an arm64 processor, which is emulated. Its root is a folder of ours, shared by 9p
as all that it is given."""

from ..build import packages
from ..guest import guest
from ..guest.prepared import AnyPrepared
from . import root

# what kernels there are, by the size of their pages
FLAVOURS = {"arm64": 4096, "arm64_64k": 65536}
QEMU = "qemu-system-aarch64"


class Machine(guest.Guest):
    """One boot."""

    def __init__(self, base, image, memory):
        super().__init__(None, image, "tcg", memory)
        self.share("root", base)

    def command(self, words):
        """QEMU itself, in place of virtme-run; of the words, options for QEMU count."""
        append = ["root=root", "rootfstype=9p", f"rootflags={guest.KEPT}", "ro", "init=/init",
                  "console=ttyAMA0", "panic=-1", "ignore_loglevel", "printk.devkmsg=on",
                  "nokaslr", *self.kernel_options]
        argv = [QEMU, "-name", "rust-mpage-arm64", "-machine", "virt,gic-version=3",
                "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-nographic", "-no-reboot",
                "-nodefaults", "-serial", "stdio", "-net", "none", "-m", self._memory,
                "-smp", str(self.processors), "-kernel", str(self._kernel.image),
                "-device", "virtio-rng-pci"]
        argv += [*self.devices(), *self.qemu, "-append", " ".join(append)]
        return argv + [word.removeprefix("--qemu-opt=") for word in words
                       if word.startswith("--qemu-opt=")]


class Prepared(AnyPrepared):
    """Everything for guests of a flavour. Needs the cache's lock."""

    accel = "tcg"

    def __init__(self, settings, flavour):
        root.check(settings)
        packages.need(settings, "qemu-system-arm", QEMU)
        super().__init__(settings, flavour, arch=root.ARCH)
        self._root = root.ensure(settings)

    def new_guest(self, memory):
        return Machine(self._root, self.kernel, memory)
