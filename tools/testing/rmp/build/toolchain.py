# SPDX-License-Identifier: GPL-2.0
"""Which compilers: the user's, or Debian's newest LLVM and rustc-web.

A rustup on the machine comes first in PATH and has no matching LLVM, so the
kernel's rustc is named by its path.

Leaves out: whether they are good enough; the kernel's rustavailable says that.
"""

import functools
import os
import re
import shutil
from pathlib import Path

from .. import cache, command, ui
from . import packages

BINDGEN_VERSION = "^0.72"
MIN_RUSTC = (1, 85)
MIN_BINDGEN = (0, 71, 1)


def version_of(text):
    """The first dotted number in a text as a tuple, or ()."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


class Toolchain:
    """The compilers of one run, as the kernel's make wants them; `arch` is the processor that
    they compile for, by the kernel's name, or "" for this machine's."""

    def __init__(self, settings, arch=""):
        self._settings = settings
        self.arch = arch
        self.llvm = settings.llvm or self._default_llvm()
        self.rustc = self._resolve(settings.rustc) or self._default_rustc()
        self.bindgen = self._resolve(settings.bindgen) or self._default_bindgen()

    @staticmethod
    def _resolve(given):
        return (command.which(given) or given) if given else ""

    @staticmethod
    def _default_llvm():
        if command.which(f"clang-{packages.LLVM_VERSION}"):
            return f"-{packages.LLVM_VERSION}"
        return "1" if command.which("clang") else ""

    @staticmethod
    def _default_rustc():
        for path in ("/usr/bin/rustc", command.which("rustc") or ""):
            if path and version_of(command.text(path, "--version")) >= MIN_RUSTC:
                return path
        return ""

    def _default_bindgen(self):
        built = self._settings.cache.newest("bindgen")
        if built:
            return str(built / "bin" / "bindgen")
        if packages.can_install():
            return ""  # built by prepare()
        found = command.which("bindgen") or ""
        good = version_of(command.text(found, "--version")) >= MIN_BINDGEN
        return found if found and good else ""

    def tool(self, name):
        """Path of an LLVM program, by the meaning that LLVM= has for make."""
        if self.llvm.startswith("-"):
            return command.which(name + self.llvm) or ""
        if self.llvm.endswith("/"):
            return command.which(self.llvm + name) or ""
        return command.which(name) or ""

    def beside_rustc(self, name):
        """rustdoc, rustfmt, clippy-driver: the ones of the same toolchain."""
        path = Path(self.rustc).parent / name
        return str(path) if path.exists() else (command.which(name) or name)

    @functools.cached_property
    def libclang(self):
        """Directory of libclang, for bindgen."""
        config = self.tool("llvm-config")
        return command.text(config, "--libdir") if config else ""

    def rust_source(self):
        """The core library's source, which the kernel compiles, or ""."""
        root = command.text(self.rustc, "--print", "sysroot")
        for lib in ("rustlib/src/rust/library",):
            path = Path(root) / "lib" / lib
            if root and (path / "core/src/lib.rs").exists():
                return str(path)
        return ""

    def prepare(self):
        """Build bindgen if nothing else gives it. Needs the cache's lock."""
        if self.bindgen:
            return
        cargo = command.which("cargo")
        if not cargo:
            raise ui.Fail("bindgen is missing and there is no cargo to build it: "
                          "give BINDGEN=/path/to/bindgen")
        store = self._settings.cache

        def build(entry):
            command.step(
                "bindgen",
                [cargo, "install", "bindgen-cli", "--version", BINDGEN_VERSION,
                 "--locked", "--root", entry],
                store.logs / "bindgen.log",
                env=command.environment(CARGO_TARGET_DIR=entry / "target"),
            )
            shutil.rmtree(entry / "target", ignore_errors=True)

        entry = store.make("bindgen", cache.digest(BINDGEN_VERSION), build)
        self.bindgen = str(entry / "bin" / "bindgen")

    def make_args(self):
        """Arguments for every make of the kernel."""
        args = [f"ARCH={self.arch}"] if self.arch else []
        args += [f"LLVM={self.llvm}"] if self.llvm else []
        args += [f"RUSTC={self.rustc}", f"BINDGEN={self.bindgen}"]
        for variable, name in (("RUSTDOC", "rustdoc"), ("RUSTFMT", "rustfmt"),
                               ("CLIPPY_DRIVER", "clippy-driver")):
            args.append(f"{variable}={self.beside_rustc(name)}")
        return args

    def environment(self):
        more = {}
        if self.libclang and "LIBCLANG_PATH" not in os.environ:
            more["LIBCLANG_PATH"] = self.libclang
        return command.environment(**more)

    def versions(self):
        """What a build depends on."""
        return [
            command.text(self.tool("clang") or "cc", "--version"),
            command.text(self.tool("ld.lld") or "ld", "--version"),
            command.text(self.rustc, "--version", "--verbose"),
            command.text(self.bindgen, "--version"),
        ]
