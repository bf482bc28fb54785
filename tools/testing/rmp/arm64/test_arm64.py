# SPDX-License-Identifier: GPL-2.0
"""What boots a guest for arm64, and the kernels that it boots."""

import unittest
from pathlib import Path
from unittest import mock

from rmp.arm64 import machine
from rmp.build import kernel
from rmp.build.toolchain import Toolchain
from rmp.guest import guest
from rmp.settings import Settings


class Kernels(unittest.TestCase):
    def test_sizes_of_pages(self):
        """They differ in that, and are else the same."""
        small, large = (kernel.wanted(Settings(), name) for name in machine.FLAVOURS)
        differ = {name for name in large if large[name] != small.get(name, "n")}
        self.assertEqual(differ, {"CONFIG_LOCALVERSION", "CONFIG_ARM64_4K_PAGES",
                                  "CONFIG_ARM64_64K_PAGES"})
        self.assertEqual(large["CONFIG_ARM64_64K_PAGES"], "y")

    def test_where_they_are(self):
        build = Path("/b")
        self.assertEqual(kernel.Kernel(build, build, "").image.name, "bzImage")
        self.assertEqual(kernel.Kernel(build, build, "", "arm64").image,
                         build / "arch/arm64/boot/Image")

    def test_compilers(self):
        self.assertIn("ARCH=arm64", Toolchain(Settings(), "arm64").make_args())
        self.assertFalse([word for word in Toolchain(Settings()).make_args()
                          if word.startswith("ARCH=")])


class Boot(unittest.TestCase):
    def test_command(self):
        it = machine.Machine(Path("/root-of-arm64"), mock.Mock(image="Image"), "4G")
        it.share("out", Path("/out"), writable=True)
        it.add(guest.Disk(Path("/disk")))
        it.kernel_options.append("kunit.enable=0")
        words = it.command(["--show-boot-console", "--qemu-opt=-qmp"])
        text = " ".join(words)
        self.assertEqual(words[0], "qemu-system-aarch64")
        self.assertIn("path=/root-of-arm64,mount_tag=root,security_model=none,readonly=on", text)
        self.assertIn("path=/out,mount_tag=out,security_model=none,multidevs", text)
        self.assertIn("file=/disk,", text)
        self.assertIn("init=/init", text)
        self.assertIn("kunit.enable=0", words[words.index("-append") + 1])
        self.assertEqual(words[-1], "-qmp")
        self.assertNotIn("--show-boot-console", words)


if __name__ == "__main__":
    unittest.main()
