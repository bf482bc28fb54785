# SPDX-License-Identifier: GPL-2.0
"""What every command with a guest needs first."""

from ..build import ksource, modules
from ..build.built import Built
from . import accel, guest, virtme


class AnyPrepared(Built):
    """Everything for guests of some kind: also modules. `accel` is how they are run, and
    new_guest(memory) makes one."""

    def __init__(self, settings, flavour, arch=""):
        super().__init__(settings, flavour, with_guest=True, arch=arch)
        self.objects = modules.ensure(settings, self.kernel, self.chain)
        self._guests = []

    def guest(self, memory="3G"):
        machine = self.new_guest(memory)
        self._guests.append(machine)
        return machine

    def boots_again(self):
        """How often a guest stood still while it booted, and was booted again."""
        return sum(machine.boots_again for machine in self._guests)

    def module_names(self):
        """The modules, in the order of loading."""
        return modules.names(self.objects)

    def version(self):
        """Of the kernel, for people."""
        return ksource.version(self.source)

    def trees(self, machine):
        """The guest's paths of the modules: ours, then the kernel's."""
        return [machine.share("modules", self.objects),
                machine.share("kernel", self.kernel.build)]


class Prepared(AnyPrepared):
    """Everything for a guest on this machine's own root: virtme-ng, acceleration."""

    def __init__(self, settings, flavour):
        super().__init__(settings, flavour)
        self.virtme = virtme.ensure(settings)
        self.accel = accel.choose(settings, self.virtme, self.kernel)

    def new_guest(self, memory):
        return guest.Guest(self.virtme, self.kernel, self.accel, memory)
