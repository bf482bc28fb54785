# SPDX-License-Identifier: GPL-2.0
"""virtme-ng, the kernel developers' tool that boots a built kernel on the
host's own userland: pinned by version and hash, in the cache.
"""

import sys

from .. import cache, command
from ..build import packages

REQUIREMENT = (
    "virtme-ng==1.42 --hash="
    "sha256:99589f1f5d74249038fe3c52aad9d3c33cb82a2d9617997511d4489fc709a707\n"
)


def ensure(settings):
    """Path of virtme-run. Needs the cache's lock."""
    store = settings.cache
    if not packages.can_install() and not store.newest("virtme"):
        found = command.which("virtme-run")
        if found:
            return found
    python = "/usr/bin/python3" if packages.is_bookworm() else sys.executable

    def build(entry):
        command.step("virtme-ng, environment", [python, "-m", "venv", entry / "venv"],
                     store.logs / "virtme-venv.log")
        requirements = entry / "requirements.txt"
        requirements.write_text(REQUIREMENT, encoding="ascii")
        command.step(
            "virtme-ng",
            [entry / "venv/bin/pip", "install", "--no-deps", "--require-hashes",
             "-r", requirements],
            store.logs / "virtme-pip.log",
        )

    version = command.text(python, "--version")
    entry = store.make("virtme", cache.digest(REQUIREMENT, version), build)
    return str(entry / "venv/bin/virtme-run")
