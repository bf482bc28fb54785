# SPDX-License-Identifier: GPL-2.0
"""`make kunit`: all KUnit suites, built in, by the kernel's own kunit.py, in a tree with
the series: under User Mode Linux, and on x86_64 in QEMU.
"""

import os
import re

from .. import command, ui
from ..build import ksource, packages
from ..build.toolchain import Toolchain
from . import stages, tree

ARCHES = {"um": [], "x86_64": ["--arch", "x86_64"]}
LIMIT = 3600  # seconds for the kernel that runs the suites; kunit.py ends it then
_SUITE = re.compile(r"^\[\S+\] =+ (rust_\w+) ", re.M)
_TOTAL = re.compile(r"^\[\S+\] (Testing complete\. .*)$", re.M)


def command_line(chain, jobs, build, arch):
    """What a kernel's developer types."""
    options = [word for name in chain.make_args()
               for word in ("--make_options", name)]
    return ["./tools/testing/kunit/kunit.py", "run", "--kunitconfig", stages.HOME,
            *ARCHES[arch], "--build_dir", str(build), "--jobs", str(jobs),
            "--timeout", str(LIMIT), *options]


def judge(text):
    """(what to say, whether all is well) of what kunit.py printed."""
    total = _TOTAL.findall(text)
    suites = set(_SUITE.findall(text))
    if not total or not suites:
        return "no suite was run", False
    return (f"{len(suites)} suites of rust_mpage and rust_ext2. {total[-1]}",
            not re.search(r"(failed|crashed|errors): [1-9]", total[-1]))


def main(settings):
    packages.install(settings, guest=True)
    chain = Toolchain(settings)
    packages.check(settings, chain, guest=True)
    folder = settings.cache.path / "kunit"
    good = True
    with settings.cache.locked():
        chain.prepare()
        source = ksource.tree(settings)
        root = tree.make(settings, source, folder)
        env = dict(chain.environment(), PYTHONDONTWRITEBYTECODE="1")
        for arch in ARCHES:
            log = folder / f"{arch}.log"
            try:
                command.step(f"kunit.py, {arch}",
                             command_line(chain, settings.jobs, folder / f"build-{arch}",
                                          arch), log, cwd=root, env=env)
            except ui.Fail as failure:
                good = False
                ui.say(f"  {failure}")
            told, well = judge(log.read_text(encoding="utf-8", errors="replace"))
            good &= well
            ui.say(f"  {arch}: {told}\n    {os.path.relpath(log)}")
    return 0 if good else 1
