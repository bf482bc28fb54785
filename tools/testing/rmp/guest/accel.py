# SPDX-License-Identifier: GPL-2.0
"""KVM or emulation. /dev/kvm may be there, open, and still hang a kernel, so a
guest is booted once under a short time-out and the answer is remembered.
"""

import os
import platform

from .. import cache, command, ui
from .guest import Guest, until

TIMEOUT = 20  # seconds; a working KVM is done in three


def _name():
    machine = cache.digest(platform.release(), platform.node(),
                           command.text("qemu-system-x86_64", "--version"))
    return f"accel-{machine}"


def known(settings):
    """What is asked for, or was found out before; else emulation, which works anywhere."""
    answer = settings.accel or settings.cache.recall(_name())
    return answer if answer in ("kvm", "tcg") else "tcg"


def choose(settings, virtme, kernel):
    """ "kvm" or "tcg". Needs the cache's lock."""
    if settings.accel:
        return settings.accel
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    name = _name()
    answer = settings.cache.recall(name)
    if answer in ("kvm", "tcg"):
        return answer
    with ui.Progress("trying KVM (once)") as step:
        answer = "kvm" if _boots(settings, virtme, kernel) else "tcg"
        step.result = "works" if answer == "kvm" else "does not work, emulating"
    settings.cache.remember(name, answer)
    return answer


def _boots(settings, virtme, kernel):
    seen = []
    guest = Guest(virtme, kernel, "kvm", memory="1G")
    log = settings.cache.logs / "kvm.log"
    log.unlink(missing_ok=True)
    guest.run("echo rust_mpage: kvm works >/dev/kmsg", log, until(TIMEOUT),
              lambda line: seen.append("rust_mpage: kvm works" in line))
    return any(seen)
