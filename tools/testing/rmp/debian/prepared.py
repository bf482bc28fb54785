# SPDX-License-Identifier: GPL-2.0
"""What `make run KERNEL=debian` needs first: Debian's own kernel, in a root with the
packages of built modules and of the tools."""

import shutil

from .. import cache, command
from ..build import ksource
from ..guest import accel
from . import deb, machine, root

_INSTALL = """
apt-get install -y --no-install-recommends /new/rust-mpage-modules-{release}_*.deb \\
    /new/rust-mpage-tools_*.deb
"""


class OnDebian:
    """As guest.prepared.Prepared. Needs the cache's lock."""

    def __init__(self, settings):
        machine.need(settings)
        base = root.ensure(settings)
        debs = deb.ensure(settings, base)
        self.source = ksource.tree(settings)
        self.accel = accel.known(settings)
        self._release = root.Root(base).release

        def build(entry):
            own = root.Root(base, entry / "overlay")
            log = settings.cache.logs / "debian-disk.log"
            command.step("packages, installed", own.inside(
                _INSTALL.format(release=own.release), [(debs, "/new")]), log)
            machine.Image.make(own, entry / "image", "", log)
            shutil.rmtree(entry / "overlay")

        key = cache.digest(str(debs), machine.recipe(), _INSTALL)
        self._image = machine.Image(
            settings.cache.make("debiandisk", key, build) / "image")

    def guest(self, memory="3G"):
        return machine.Machine(self._image, self.accel, memory)

    def module_names(self):
        return ["rust_mpage", "rust_ext2"]

    def version(self):
        return self._release

    def trees(self, _machine):
        """None: the guest's modprobe finds them."""
        return []
