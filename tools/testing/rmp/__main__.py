# SPDX-License-Identifier: GPL-2.0
"""The program behind the Makefile: python3 -m rmp COMMAND."""

import importlib
import os
import shutil
import signal
import sys

from . import cache, ui
from .build import kernel, ksource, modules, packages
from .build.toolchain import Toolchain
from .settings import Settings

COMMANDS = {"run": "run.run", "test": "tests.testrun", "shell": "run.shell",
            "lint": "lint.lint", "doc": "build.doc", "dropin": "build.dropin",
            "htmldocs": "build.htmldocs",
            "bench": "bench.bench", "deb": "debian.deb",
            "xfstests": "xfstests.xfstests", "series": "series.series",
            "kunit": "series.kunit", "reflow": "lint.comments",
            "broken": "broken.broken"}


def build_modules(settings):
    """`make modules`: in place, for KDIR=."""
    if not settings.kdir:
        raise ui.Fail("modules are built for a kernel: "
                      "make modules KDIR=/lib/modules/$(uname -r)/build")
    ksource.check_kdir(settings.kdir)
    kernel.check_needed(settings.kdir)
    packages.install(settings, guest=False)
    chain = Toolchain(settings)
    packages.check(settings, chain, guest=False)
    with settings.cache.locked():
        chain.prepare()
    return modules.external(settings, chain)


def distclean(settings):
    """Remove the cache, after `make clean` removed what is in the checkout."""
    if not settings.cache.path.exists():
        return 0
    with settings.cache.locked():
        ui.say(f"  removing {settings.cache.path}")
        for entry in settings.cache.path.iterdir():
            if entry.is_symlink() or entry.is_file():
                entry.unlink()
            else:
                cache.remove(entry)
    shutil.rmtree(settings.cache.path, ignore_errors=True)
    return 0


def main(words):
    if len(words) != 1:
        raise ui.Fail("usage: python3 -m rmp COMMAND (make help)")
    settings = Settings()
    settings.check()
    settings.check_command(words[0])
    if words[0] == "modules":
        return build_modules(settings)
    if words[0] == "distclean":
        return distclean(settings)
    if words[0] not in COMMANDS:
        raise ui.Fail(f"no command {words[0]} (make help)")
    return importlib.import_module(f".{COMMANDS[words[0]]}", __package__).main(settings)


def _end(number, _frame):
    """End as ctrl-C does, so that what was started is ended, too."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    try:
        sys.exit(main(sys.argv[1:]))
    except ui.Fail as failure:
        sys.stdout.flush()
        print(f"rust_mpage: {failure}", file=sys.stderr)
        sys.exit(1)
    except OSError as failure:
        if os.environ.get("V"):
            raise
        print(f"rust_mpage: {failure} (V=1 shows where)", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nrust_mpage: interrupted", file=sys.stderr)
        sys.exit(130)
