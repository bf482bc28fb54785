# SPDX-License-Identifier: GPL-2.0
"""C filesystems on the symbols of rust_mpage.ko: the kernel's own sources,
unchanged, built out of tree with <linux/rust_mpage_compat.h> forced in.

The modules and the filesystems keep their names, so the kernel's own module of a
name and this one are loaded one after the other, never together.

Rebuilt when the filesystems, the two headers or the exported C functions change;
not when only the Rust behind them does.
"""

import os
import re
import shutil

from .. import cache, command, ui
from . import ksource, modules, packages
from .toolchain import Toolchain

# folder under fs/ and the option that says whether it is built
OPTIONS = {
    "ext2": "CONFIG_EXT2_FS", "minix": "CONFIG_MINIX_FS", "fat": "CONFIG_FAT_FS",
    "isofs": "CONFIG_ISO9660_FS", "udf": "CONFIG_UDF_FS",
    "hfsplus": "CONFIG_HFSPLUS_FS",
}
HEADERS = ("linux/rust_mpage.h", "linux/rust_mpage_compat.h")
_EXPORTED = re.compile(r"(\S+)\t((?:__)?rust_mpage_[a-z]\w*)\t\S+\t(\S+)\t")


def flags(include, symbols):
    """The words for make that put a filesystem on rust_mpage."""
    return [f"KCFLAGS=-I{include} -include {HEADERS[1]}",
            f"KBUILD_EXTRA_SYMBOLS={symbols}"]


def _symbols(path):
    """The lines of a Module.symvers for the C interface, without directories."""
    found = _EXPORTED.findall(path.read_text(encoding="ascii"))
    return "".join(f"{crc}\t{name}\trust_mpage\t{kind}\t\n"
                   for crc, name, kind in sorted(found, key=lambda line: line[1])
                   if "_helper_" not in name)


def _files(folder):
    return sorted(path.name for path in folder.iterdir()
                  if path.suffix in (".c", ".h") or path.name == "Makefile")


def ensure(settings, prepared, names=("ext2",)):
    """Directory with the modules of some filesystems, those that the kernel has as
    modules, and modules.order. Needs the cache's lock."""
    kernel, chain, fs = prepared.kernel, prepared.chain, prepared.source / "fs"
    config = kernel.config()
    names = [name for name in names if config.get(OPTIONS[name]) == "m"]
    symbols = _symbols(prepared.objects / "Module.symvers")
    files = {name: _files(fs / name) for name in names}
    include = settings.top / "include"
    key = cache.digest(kernel.key, chain.versions(), symbols,
                       cache.digest_files(include, HEADERS), [
                           cache.digest_files(fs / name, files[name])
                           for name in names])
    log = settings.cache.logs / f"dropin-{kernel.build.name}.log"

    def build(entry):
        source, objects = entry / "source", entry / "objects"
        objects.mkdir()
        for name in names:
            (source / name).mkdir(parents=True)
            for file in files[name]:
                shutil.copy2(fs / name / file, source / name / file)
        for header in HEADERS:
            (entry / header).parent.mkdir(exist_ok=True)
            shutil.copy2(include / header, entry / header)
        (source / "Kbuild").write_text(
            "".join(f"obj-y += {name}/\n" for name in names), encoding="ascii")
        (entry / "symvers").write_text(symbols, encoding="ascii")
        words = [f"M={source}", f"MO={objects}", *flags(entry, entry / "symvers"),
                 f"-j{settings.jobs}", "modules"]
        command.step(f"C filesystems on rust_mpage ({', '.join(names)})",
                     kernel.make(chain, *words), log, env=chain.environment())

    return settings.cache.make("dropin", key, build) / "objects"


def for_tests(settings, prepared):
    """As ensure() for everything that the tests want, or None if none of them is to
    be run."""
    names = settings.guest_tests("test_dropin*.py")
    if settings.tests and not any(re.search(pattern, name) for name in names
                                  for pattern in settings.tests):
        return None
    return ensure(settings, prepared, OPTIONS)


def main(settings):
    """`make dropin FS=... KDIR=...`: somebody's own filesystem, in place."""
    if not (settings.fs and settings.kdir):
        raise ui.Fail("make dropin FS=/path/to/the/sources KDIR=/path/to/a/build, "
                      "after make modules with the same KDIR=")
    if not any((settings.fs / name).exists() for name in ("Makefile", "Kbuild")):
        raise ui.Fail(f"FS={settings.fs}: there is no Makefile and no Kbuild")
    symbols = settings.top / "Module.symvers"
    if not symbols.exists():
        raise ui.Fail(f"rust_mpage is not built here: make modules "
                      f"KDIR={settings.kdir} first")
    ksource.check_kdir(settings.kdir)
    packages.install(settings, guest=False)
    chain = Toolchain(settings)
    packages.check(settings, chain, guest=False)
    argv = modules.make_for(settings, chain, settings.fs) + \
        flags(settings.top / "include", symbols)
    os.execvpe("make", [*argv, "modules"], chain.environment())
