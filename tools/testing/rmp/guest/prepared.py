# SPDX-License-Identifier: GPL-2.0
"""What every command with a guest needs first."""

from ..build import ksource, modules
from ..build.built import Built
from . import accel, guest, virtme


class Prepared(Built):
    """Everything for a guest: also modules, virtme-ng, acceleration."""

    def __init__(self, settings, flavour):
        super().__init__(settings, flavour, with_guest=True)
        self.objects = modules.ensure(settings, self.kernel, self.chain)
        self.virtme = virtme.ensure(settings)
        self.accel = accel.choose(settings, self.virtme, self.kernel)
        self._guests = []

    def guest(self, memory="3G"):
        machine = guest.Guest(self.virtme, self.kernel, self.accel, memory)
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
