# SPDX-License-Identifier: GPL-2.0
"""`make kunit`: all KUnit suites, built in, by the kernel's own kunit.py, in a tree with
the series: under User Mode Linux, and on x86_64 in QEMU; ARCH= for one, also others. The
tests kunit.* are that for each. Long, by name only.

What is kept in kunit/ of the cache has a lock of its own, since kernels are built and run
under it.
"""

import contextlib
import os
import re
import time
from typing import NamedTuple

from .. import command, ui
from ..build import ksource, packages
from ..build.toolchain import Toolchain
from ..cache import Cache
from ..guest import accel
from . import stages, tree


class Processor(NamedTuple):
    """What kunit.py is given, the QEMU that it needs with its package, and options of the
    kernel."""

    words: tuple
    qemu: str = ""
    package: str = ""
    options: tuple = ()


# with large folios, which the others are without
_ARM64 = Processor(("--arch", "arm64"), "qemu-system-aarch64", "qemu-system-arm",
                   ("CONFIG_TRANSPARENT_HUGEPAGE=y",))
ARCHES = {
    "um": Processor(()),
    "x86_64": Processor(("--arch", "x86_64"), "qemu-system-x86_64", "qemu-system-x86"),
    "arm64": _ARM64,
    # with blocks that are a small part of a page
    "arm64_64k": _ARM64._replace(options=(*_ARM64.options, "CONFIG_ARM64_64K_PAGES=y")),
    # the other end first
    "s390": Processor(("--arch", "s390"), "qemu-system-s390x", "qemu-system-misc"),
}
NAMES = tuple(f"kunit.{arch}" for arch in ARCHES)
DEFAULT = ("um", "x86_64")
LIMIT = 3600  # seconds for the kernel that runs the suites; kunit.py ends it then
_SUITE = re.compile(r"^\[\S+\] =+ (rust_(?:mpage|ext2)\w*) ", re.M)
_SOURCE = re.compile(r"kunit_tests\((\w+)\)|struct kunit_suite \w+ = {\s*\.name\s*= \"(\w+)\"")
_TOTAL = re.compile(r"^\[\S+\] (Testing complete\. .*)$", re.M)


# kunit.py tries KVM first; where that is there and does not work, as guest/accel.py has
# found, QEMU is not to see it.
_EMULATED = """#!/bin/bash
args=()
for word; do
	case $word in kvm|hvf) word=tcg ;; esac
	args+=("$word")
done
exec {qemu} "${{args[@]}}"
"""


class Place:
    """kunit/ of the cache: the tree with the series, a build folder for each processor."""

    def __init__(self, settings, source, chain):
        self._settings = settings
        self.chain = chain
        self.folder = settings.cache.path / "kunit"
        self.tree = tree.make(settings, source, self.folder)
        self._env = dict(chain.environment(), PYTHONDONTWRITEBYTECODE="1")
        if accel.known(settings) == "tcg":
            self._env["PATH"] = f"{self._wrapped()}:{self._env['PATH']}"

    def _wrapped(self):
        """A folder with QEMUs that only emulate."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        for name in {arch.qemu for arch in ARCHES.values()}:
            found = command.which(name) if name else ""
            if found:
                (folder / name).write_text(_EMULATED.format(qemu=found), encoding="ascii")
                (folder / name).chmod(0o755)
        return folder

    def build_folder(self, arch):
        return self.folder / f"build-{arch}"

    def command(self, arch, what="run", options=()):
        """What a kernel's developer types, with these options added to the kunitconfig."""
        words = [word for text in self.chain.make_args()
                 for word in ("--make_options", text)]
        words += [word for text in (*ARCHES[arch].options, *options)
                  for word in ("--kconfig_add", text)]
        if what == "run":
            words += ["--timeout", str(LIMIT)]
        return ["./tools/testing/kunit/kunit.py", what, "--kunitconfig", stages.HOME,
                *ARCHES[arch].words, "--build_dir", str(self.build_folder(arch)),
                "--jobs", str(self._settings.jobs), *words]

    def step(self, name, log, *words, **more):
        """Run command(...) with its output in kunit/<log>.log, which is returned."""
        log = self.folder / f"{log}.log"
        command.step(name, self.command(*words, **more), log, cwd=self.tree,
                     env=self._env)
        return log


@contextlib.contextmanager
def place(settings):
    """A Place of the sources as they are."""
    with settings.cache.locked():
        chain = Toolchain(settings)
        chain.prepare()
        source = ksource.tree(settings, older=())
    with Cache(settings.cache.path / "kunit").locked():
        yield Place(settings, source, chain)


def suites_of(folder):
    """The suites that the sources in a folder have."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*"))
             if path.suffix in (".rs", ".c"))
    return {name for text in texts for found in _SOURCE.findall(text) for name in found if name}


def judge(text, wanted):
    """(what to say, whether all is well) of what kunit.py printed, of these suites."""
    total = _TOTAL.findall(text)
    run = set(_SUITE.findall(text))
    if not total or not run:
        return "no suite was run", False
    told = f"{len(run)} suites of rust_mpage and rust_ext2. {total[-1]}"
    lacking = sorted(wanted - run)
    if lacking:
        told += f"\n  not run: {' '.join(lacking)}"
    return told, not lacking and not re.search(r"(failed|crashed|errors): [1-9]", total[-1])


def options(settings):
    """What a kernel needs beside the kunitconfig to boot from a disk."""
    text = (settings.top / "tools/series/inkernel.config").read_text(encoding="utf-8")
    return re.findall(r"^CONFIG_.*", text, re.M)


def need(settings, arches):
    """What these need, or one line that says what is missing."""
    for arch in arches:
        if arch not in ARCHES:
            raise ui.Fail(f"ARCH={arch}: it is one of {', '.join(ARCHES)}")
        if ARCHES[arch].qemu:
            packages.need(settings, ARCHES[arch].package, ARCHES[arch].qemu)
    packages.install(settings, guest=True)
    packages.check(settings, Toolchain(settings), guest=True)


def suites(settings, here, arch):
    """(what to say, whether all is well) of the suites on a processor."""
    log = here.folder / f"{arch}.log"
    # so that inkernel.root finds the same kernel
    more = options(settings) if arch == "x86_64" else ()
    failed = ""
    try:
        here.step(f"kunit.py, {arch}", arch, arch, options=more)
    except ui.Fail as failure:
        failed = f"{failure}\n  "
    told, well = judge(log.read_text(encoding="utf-8", errors="replace"),
                       suites_of(here.tree / stages.HOME))
    return f"{failed}{arch}: {told}\n    {os.path.relpath(log)}", well and not failed


def run(settings, names, outcome):
    """The tests kunit.*"""
    arches = [name.partition(".")[2] for name in names]
    need(settings, arches)
    with place(settings) as here:
        for name, arch in zip(names, arches):
            begin = time.monotonic()
            told, well = suites(settings, here, arch)
            outcome.add(name, "pass" if well else "fail", told, time.monotonic() - begin)


def main(settings):
    wanted = [settings.arch] if settings.arch else DEFAULT
    need(settings, wanted)
    good = True
    with place(settings) as here:
        for arch in wanted:
            told, well = suites(settings, here, arch)
            good &= well
            ui.say(f"  {told}")
    return 0 if good else 1
