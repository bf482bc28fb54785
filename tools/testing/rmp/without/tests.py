# SPDX-License-Identifier: GPL-2.0
"""The tests without.*: the modules are built for the lean kernel without one option that
the bindings depend on, for each of them, and without all of them; with.COMPAT and
with.EXPORTFS_BLOCK_OPS: with one that the lean kernel has not; with.MODVERSIONS: with versions of symbols; with.arm64: for
that processor. Long, by name only.

A kernel is prepared for each as for external modules, with its own rust/, and not built:
nothing that the modules need may be in what the option takes away. An option that is off
anyway fails the test, which would take nothing away.
"""

import re
import subprocess
import time

from .. import command, ui
from ..build import kernel, modules, packages
from ..build.built import Built
from ..cache import Cache, remove

# The options, what has to go with them, and which objects of the kernel do.
OPTIONS = {
    "CGROUP_WRITEBACK": (["BLK_CGROUP"], []),
    "DEBUG_FS": (["BLK_DEV_IO_TRACE"], ["fs/debugfs/file.o", "fs/debugfs/inode.o"]),
    "FILE_LOCKING": ([], ["fs/locks.o"]),
    "FS_MBCACHE": (["EXT2_FS", "EXT4_FS"], ["fs/mbcache.o"]),
    "FS_POSIX_ACL": (["EXT2_FS_POSIX_ACL", "EXT4_FS", "XFS_FS", "FUSE_FS", "9P_FS_POSIX_ACL",
                      "TMPFS_POSIX_ACL"], ["fs/posix_acl.o"]),
    "LIVEPATCH": ([], ["kernel/livepatch/core.o"]),
    "MIGRATION": (["COMPACTION", "TRANSPARENT_HUGEPAGE"], ["mm/migrate.o"]),
    "MODULE_UNLOAD": ([], []),
    "MULTIUSER": (["NETWORK_FILESYSTEMS", "FUSE_FS"], []),
    "PRINTK": ([], []),
    "QUOTA": ([], ["fs/quota/dquot.o", "fs/quota/quota.o"]),
    "SMP": ([], ["kernel/locking/spinlock.o", "lib/percpu_counter.o"]),
    "TRACEPOINTS": (["FTRACE", "BLK_DEV_IO_TRACE", "LIVEPATCH"],
                    ["kernel/tracepoint.o", "kernel/trace/trace_event_perf.o",
                     "kernel/trace/trace_events.o", "kernel/trace/trace_output.o"]),
    "TRANSPARENT_HUGEPAGE": ([], ["mm/huge_memory.o"]),
}
# Those that the lean kernel has not and bindings depend on, and what selects them. Debian's
# kernel has the second.
ADDED = {"COMPAT": "IA32_EMULATION", "EXPORTFS_BLOCK_OPS": "EXPORTFS_BLOCK_OPS"}
ALL = "all_options"
NAME = f"without.{ALL}"
VERSIONS = "with.MODVERSIONS"
ARM64 = "with.arm64"
NAMES = (NAME, *(f"without.{option}" for option in OPTIONS),
         *(f"with.{option}" for option in ADDED), VERSIONS, ARM64)
# what versions of Rust's symbols are made with
_VERSIONED = {"CONFIG_DEBUG_INFO_NONE": "n", "CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT": "y",
              "CONFIG_MODVERSIONS": "y", "CONFIG_GENDWARFKSYMS": "y"}
_EXPORTED = re.compile(r" __export_symbol_(\w+)$", re.M)
# what the modules need of arch/arm64, which the lean kernel has not
_OF_ARM64 = {"__arch_copy_from_user", "__arch_copy_to_user", "alt_cb_patch_nops",
             "flush_dcache_folio", "flush_dcache_page"}
# what a kernel has only without an option, arch/x86/kernel/cpu/common.c
_INSTEAD = {"SMP": {"__stack_chk_guard"}}
# what objtool says is about the compiler
_WRONG = re.compile(r"^(?:warning|error)(?:\[\w+\])?:|: (?:warning|error): (?!objtool: )")


def changed(options):
    """{option: value} of the kernel without these."""
    return {f"CONFIG_{name}": "n" for option in options
            for name in (option, *OPTIONS[option][0])}


def added(option):
    """{option: value} of the kernel with this one."""
    return {f"CONFIG_{name}": "y" for name in (option, ADDED[option])}


def not_so(options, config, is_on):
    """What is wrong with options that a kernel has to have before they are taken away, or
    not to have before they are added."""
    return [f"{option} is {'off' if is_on else 'on'} anyway" for option in options
            if (config.get(f"CONFIG_{option}", "n") != "n") != is_on]


def missing(needed, known, gone):
    """What modules need that a kernel has not: `known` are the symbols of one with all
    options, of which these are gone."""
    return sorted(needed - known) + sorted(needed & gone)


def without_version(symvers):
    """The symbols of the text of a Module.symvers that have none."""
    rows = [line.split("\t") for line in symvers.splitlines()]
    return sorted(row[1] for row in rows if int(row[0], 16) == 0)


def of_arm64(head):
    """Whether a file that begins so is an object of arm64."""
    return head[:6] == b"\x7fELF\2\1" and head[18:20] == b"\xb7\0"


def _symbols(objects, *flags):
    done = subprocess.run(["nm", *flags, *objects], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, check=True, encoding="ascii")
    return done.stdout


class _Place:
    """without/ of the cache: the build folder of a kernel that changes its options, and
    that of the modules. Another processor has a folder of its own in it."""

    def __init__(self, settings, built, folder, arch=""):
        self._settings, self._built, self.folder = settings, built, folder / arch
        self._build = self.folder / "kernel"
        self._build.mkdir(parents=True, exist_ok=True)
        self._make = ["make", "-C", built.source, f"O={self._build}",
                      *([f"ARCH={arch}"] if arch else []),
                      *built.chain.make_args(), f"-j{settings.jobs}"]

    def _run(self, what, words, log, **env):
        command.step(what, [*self._make, *words], log,
                     env=dict(self._built.chain.environment(), **env))

    def config(self):
        """The options of the lean kernel, as it was built."""
        return self._built.kernel.config()

    def versions(self):
        """What the lean kernel exports, as if each symbol had a version."""
        text = (self._built.kernel.build / "Module.symvers").read_text(encoding="ascii")
        return re.sub("^0x0+", "0x00000001", text, flags=re.M)

    def modules(self, name, options, exported=""):
        """The modules' folder, and what is wrong with it, of a kernel with these options in
        place of the lean one's, and what it exports: for versions, it has to be something."""
        log = self.folder / f"{name}.log"
        wanted = kernel.wanted(self._settings, "lean") | options
        fragment = self.folder / "wanted.config"
        fragment.write_text(kernel.merged(wanted), encoding="utf-8")
        self._run(f"{name}: configuration", ["alldefconfig"], log,
                  KCONFIG_ALLCONFIG=str(fragment))
        config = (self._build / ".config").read_text(encoding="utf-8")
        wrong = kernel.check_config(options, config)
        if wrong:
            raise ui.Fail("options that did not hold: " + ", ".join(wrong))
        self._run(f"{name}: prepare", ["prepare", "modules_prepare"], log)
        source, objects = self.folder / "source", self.folder / "objects"
        for place in (source, objects):
            remove(place)
        modules.mirror(self._settings.top, source)
        objects.mkdir()
        (self._build / "Module.symvers").write_text(exported, encoding="ascii")
        self._run(f"{name}: modules", [f"M={source}", f"MO={objects}", "KBUILD_MODPOST_WARN=1",
                                       "modules"], log)
        with open(log, encoding="utf-8", errors="replace") as file:
            return objects, [line.rstrip() for line in file if _WRONG.search(line)]

    def lacking(self, objects, options=()):
        """The symbols that the modules need and the lean kernel has not without these."""
        built = sorted(objects.rglob("*.ko"))
        if not built:
            raise ui.Fail("no module was built")
        ours = {line.split()[-1] for line in _symbols(built, "--defined-only").splitlines()
                if len(line.split()) == 3}
        needed = {line.split()[-1] for line in _symbols(built, "-u").splitlines()
                  if line.startswith(" ")} - ours
        full = self._built.kernel.build
        known = {line.split("\t")[1] for line in
                 (full / "Module.symvers").read_text(encoding="ascii").splitlines()}
        files = [full / name for option in options for name in OPTIONS[option][1]]
        gone = set(_EXPORTED.findall(_symbols(files))) if files else set()
        return missing(needed, known, gone)


def _without(place, option):
    """What is wrong with the modules of a kernel without this one, or without all."""
    options = list(OPTIONS) if option == ALL else [option]
    before = not_so(options, place.config(), True)
    objects, wrong = place.modules(option, changed(options))
    there = set().union(*(_INSTEAD.get(option, ()) for option in options))
    return before + wrong + [f"{symbol} is needed"
                             for symbol in place.lacking(objects, options)
                             if symbol not in there]


def _with(place, option):
    """What is wrong with the modules of a kernel with one more option."""
    before = not_so([option], place.config(), False)
    objects, wrong = place.modules(option, added(option))
    if not list(objects.rglob("*.ko")):
        wrong.append("no module was built")
    return before + wrong


def _versioned(place):
    """What is wrong where each symbol that is exported needs a version."""
    objects, wrong = place.modules("MODVERSIONS", _VERSIONED, place.versions())
    symvers = (objects / "Module.symvers").read_text(encoding="ascii")
    if "\t_R" not in symvers:
        wrong.append("no symbol of Rust is exported")
    return wrong + [f"{symbol} has no version" for symbol in without_version(symvers)]


def _arm64(place):
    """What is wrong with the modules for that processor."""
    objects, wrong = place.modules("arm64", {})
    built = sorted(objects.rglob("*.ko"))
    wrong += [f"{path.name} is not for arm64" for path in built
              if not of_arm64(path.read_bytes())]
    return wrong + [f"{symbol} is needed" for symbol in place.lacking(objects)
                    if symbol not in _OF_ARM64]


def run(settings, names, outcome):
    """These tests."""
    with settings.cache.locked():
        if VERSIONS in names:
            packages.install_for_versions(settings)
        built = Built(settings, "lean")
    with Cache(settings.cache.path / "without").locked():
        folder = settings.cache.path / "without"
        place = _Place(settings, built, folder)
        for name in names:
            begin = time.monotonic()
            try:
                if name == VERSIONS:
                    wrong = _versioned(place)
                elif name == ARM64:
                    wrong = _arm64(_Place(settings, built, folder, "arm64"))
                else:
                    how, _, option = name.partition(".")
                    wrong = (_with if how == "with" else _without)(place, option)
            except ui.Fail as failure:
                wrong = [str(failure)]
            outcome.add(name, "fail" if wrong else "pass", "\n".join(wrong[:40]),
                        time.monotonic() - begin)
