# SPDX-License-Identifier: GPL-2.0
"""Programs of others that guest tests run: built with cargo into the cache, pinned,
or installed from Debian. What is not there is no error: the tests that want it are
skipped, and say so.
"""

import re
import shutil

from .. import cache, command, ui
from . import packages

PROGRAMS = {"fsx": "0.3.2", "pjdfstest": "0.2.2"}
TESTS = "test_programs.py"


def wanted(settings):
    """Whether a test that runs them is to be run."""
    return not settings.tests or any(
        re.search(pattern, name) for pattern in settings.tests
        for name in settings.guest_tests(TESTS))


def _build(settings, cargo, name, entry):
    command.step(
        f"{name} {PROGRAMS[name]}",
        [cargo, "install", name, "--version", f"={PROGRAMS[name]}", "--locked",
         "--root", entry],
        settings.cache.logs / f"{name}.log",
        env=command.environment(CARGO_TARGET_DIR=entry / "target"),
    )


def ensure(settings):
    """Directory with bin/, or None. Needs the cache's lock."""
    if not wanted(settings):
        return None
    packages.install_for_tests(settings)
    cargo = command.which("cargo")

    def build(entry):
        for name in PROGRAMS:
            _build(settings, cargo, name, entry)
        shutil.rmtree(entry / "target", ignore_errors=True)

    key = cache.digest(PROGRAMS)
    if not cargo and not settings.cache.find("testtools", key):
        ui.say("  no cargo: fsx and pjdfstest are not built, their tests are skipped")
        return None
    return settings.cache.make("testtools", key, build)
