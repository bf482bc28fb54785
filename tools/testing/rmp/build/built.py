# SPDX-License-Identifier: GPL-2.0
"""What every command needs first: packages, compilers, source, kernel."""

from . import kernel, ksource, packages
from .toolchain import Toolchain


class Built:
    """Compilers and a kernel, for a processor of this kind. Needs the cache's lock."""

    def __init__(self, settings, flavour, with_guest=False, arch=""):
        packages.install(settings, with_guest)
        self.chain = Toolchain(settings, arch)
        packages.check(settings, self.chain, with_guest)
        self.chain.prepare()
        self.source = ksource.tree(settings)
        self.kernel = kernel.ensure(settings, flavour, self.source, self.chain)
