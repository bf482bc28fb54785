# SPDX-License-Identifier: GPL-2.0
"""What every command needs first: packages, compilers, source, kernel."""

from . import kernel, ksource, packages
from .toolchain import Toolchain


class Built:
    """Compilers and a kernel. Needs the cache's lock."""

    def __init__(self, settings, flavour, with_guest=False):
        packages.install(settings, with_guest)
        self.chain = Toolchain(settings)
        packages.check(settings, self.chain, with_guest)
        self.chain.prepare()
        self.source = ksource.tree(settings)
        self.kernel = kernel.ensure(settings, flavour, self.source, self.chain)
