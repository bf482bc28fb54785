# SPDX-License-Identifier: GPL-2.0
"""The tests compat.*: a small kernel of an older version, for which the modules are
compiled; they run their KUnit suites there and mount a disk. Long, by name only.
"""

import time

from .. import cache, command, ui
from ..build import kernel, ksource, modules, packages
from ..build.toolchain import Toolchain
from ..guest import guest
from ..settings import OLDER
from . import tests

NAMES = {f"compat.linux_{series.replace('.', '_')}": series for series in OLDER}
_LINES = 1100  # about how many a build prints


def variable(series):
    """What gives the source of an older kernel."""
    return f"KSRC_{series.replace('.', '_')}"


def _source(settings, series):
    """The tree that the user gives for it, or Debian's. Needs the cache's lock."""
    source = settings.older[series]
    if not source:
        return ksource.fetch(settings, series, variable(series))
    found = ksource.version(source)
    if ksource.series_of(found) != series:
        raise ui.Fail(f"{variable(series)}={source} is Linux {found}")
    return source


def _small(settings, source, chain):
    """The small kernel of that source. Needs the cache's lock."""
    path = settings.testing / "kernel" / "small.config"
    options = kernel.parse_config(path.read_text(encoding="utf-8"))
    found = ksource.version(source)
    key = cache.digest(found, str(source), options, chain.versions())
    logs = settings.cache.logs

    def build(entry):
        ksource.check_rust(source, chain, logs / "rustavailable.log")
        what = f"Linux {found}, small"
        make = kernel.configure(what, source, entry, options, chain, logs,
                                target="allnoconfig")
        command.step(what, [*make, f"-j{settings.jobs}"], logs / "kernel-small.log",
                     expect=_LINES, env=chain.environment(), prefix="  ")

    return kernel.Kernel(settings.cache.make("kernel_small", key, build), source, key)


def _prepare(settings, series):
    """(the kernel, the folder with the modules for it)"""
    with settings.cache.locked():
        source = _source(settings, series)
        packages.install(settings, guest=True)
        chain = Toolchain(settings)
        packages.check(settings, chain, guest=True)
        chain.prepare()
        small = _small(settings, source, chain)
        return small, modules.ensure(settings, small, chain, strict=True)


def run(settings, names, outcome):
    """These tests."""
    for name in names:
        begin = time.monotonic()
        try:
            small, objects = _prepare(settings, NAMES[name])
            out = guest.fresh_out(settings, name)
            wrong = tests.modules(settings, small.build, objects, out)
        except ui.Fail as failure:
            wrong = [str(failure)]
        outcome.add(name, "fail" if wrong else "pass", "\n".join(wrong),
                    time.monotonic() - begin)
