# SPDX-License-Identifier: GPL-2.0
"""The programs that are needed, and their installation on Debian bookworm.

On bookworm, as root, what is missing is installed. Anywhere else nothing is:
the user gets one screen that names what is missing and how to give it.
"""

import os
from pathlib import Path
from typing import NamedTuple

from .. import command, ui

LLVM_VERSION = "22"
_PATIENCE = 300  # seconds, while another apt installs something

# package, and the program or file that shows it is there ("" asks dpkg only)
_BUILD = {
    "flex": "flex", "bison": "bison", "bc": "bc", "libelf-dev": "",
    "libssl-dev": "", "zlib1g-dev": "", "libc6-dev": "", "gcc": "gcc",
    "make": "make", "kmod": "depmod", "cpio": "cpio", "xz-utils": "xz",
    "lz4": "lz4", "rsync": "rsync", "perl": "perl", "tar": "tar",
    "ca-certificates": "", "pkg-config": "pkg-config",
}
_LLVM = [f"clang-{LLVM_VERSION}", f"lld-{LLVM_VERSION}", f"llvm-{LLVM_VERSION}",
         f"libclang-{LLVM_VERSION}-dev"]
_RUST = ["rustc-web", "rust-web-src", "rust-web-clippy", "rustfmt-web"]
_GUEST = {"qemu-system-x86": "qemu-system-x86_64", "e2fsprogs": "mke2fs",
          "python3-venv": ""}
# what guest tests run: workloads with verification by other people, fio for
# read-back checks of many jobs, stress-ng for its filesystem stressors, attr and acl
# for what users set attributes with, quota for what administrators use
_TESTS = {"fio": "fio", "stress-ng": "stress-ng", "attr": "setfattr", "acl": "setfacl",
          "quota": "quotaon"}
# what makes and checks the disks of C filesystems on rust_mpage
_DISKS = ["dosfstools", "udftools", "genisoimage"]
# what xfstests' own tests call, and the libraries that a tree of it is built with
_XFSTESTS = ("xfsprogs", "attr", "acl", "bc", "quota", "gawk", "perl", "psmisc", "fio",
             "dmsetup", "libcap2-bin", "keyutils", "uuid-runtime", "sqlite3", "dbench",
             "libaio1", "liburing2", "libgdbm6", "libgdbm-compat4")
# without these `check` does not begin
_XFSTESTS_NEEDS = {"xfs_io": "xfsprogs", "bc": "bc", "perl": "perl", "awk": "gawk"}
# the kernel's documentation is made with these
_DOCUMENTS = {"python3-sphinx": "sphinx-build", "python3-yaml": "", "groff-base": "groff"}
# versions of symbols are made of debugging information
_VERSIONS = ["libdw-dev"]
_SOURCE = {"debian-archive-keyring": "", "dpkg": "dpkg-deb"}


def release():
    """ID and VERSION_CODENAME of the machine's distribution."""
    fields = {}
    for file in ("/etc/os-release", "/usr/lib/os-release"):
        if os.path.exists(file):
            for line in Path(file).read_text(encoding="utf-8").splitlines():
                name, _, value = line.partition("=")
                fields[name] = value.strip('"')
            break
    return fields.get("ID", ""), fields.get("VERSION_CODENAME", "")


def is_bookworm():
    return release() == ("debian", "bookworm") and os.uname().machine == "x86_64"


def can_install():
    return is_bookworm() and os.geteuid() == 0


def _wanted(settings, guest):
    names = list(_BUILD)
    if not settings.llvm:
        names += _LLVM
    if not settings.rustc:
        names += _RUST
    if not (settings.ksrc or settings.kdir):
        names += list(_SOURCE)
    return names + ([*_GUEST, *_DISKS] if guest else [])


def install(settings, guest=True):
    """Install what is missing; nothing at all where that is not ours to do."""
    _install_missing(settings, _wanted(settings, guest))


def install_for_tests(settings):
    """The programs that some guest tests run; without them these are skipped."""
    _install_missing(settings, _TESTS)


def install_for_xfstests(settings):
    """What a tree of xfstests runs; without most of it some of its tests are not run."""
    _install_missing(settings, _XFSTESTS)
    for program, package in _XFSTESTS_NEEDS.items():
        need(settings, package, program)


def install_for_htmldocs(settings):
    """Sphinx, what the kernel's extensions of it import, and groff."""
    _install_missing(settings, _DOCUMENTS)
    for package, program in _DOCUMENTS.items():
        if program:
            need(settings, package, program)


def install_for_versions(settings):
    """What the kernel's gendwarfksyms is built with."""
    _install_missing(settings, _VERSIONS)


def _install_missing(settings, names):
    if not can_install():
        return
    have = command.text(
        "dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n"
    )
    have = {line.split()[1] for line in have.splitlines()
            if line.startswith("installed ")}
    missing = [name for name in names if name not in have]
    if missing:
        _install(settings, missing)


def need(settings, package, program):
    """A package that one command needs: installed where that is ours to do."""
    if command.which(program):
        return
    if not can_install():
        raise ui.Fail(f"{program} is missing: install it (Debian: {package})")
    _install(settings, [package])


def _install(settings, missing):
    ui.say(f"  to be installed: {' '.join(missing)}")
    logs = settings.cache.logs
    env = command.environment(DEBIAN_FRONTEND="noninteractive")
    command.step("package lists", ["apt-get", "update"], logs / "apt-update.log",
                 env=env)
    command.step(
        "packages",
        ["apt-get", "install", "-y", "--no-install-recommends",
         "-o", f"DPkg::Lock::Timeout={_PATIENCE}", *missing],
        logs / "apt-install.log", env=env,
    )


class Missing(NamedTuple):
    """Something that is needed and not there, and what to do about it."""

    what: str
    remedy: str


def _check_build(settings, chain):
    for package, program in _BUILD.items():
        if program and not command.which(program):
            yield Missing(program, f"install it (Debian: {package})")
    for header, package in (("gelf.h", "libelf-dev"),
                            ("openssl/opensslv.h", "libssl-dev")):
        if not any(os.path.exists(f"{base}/{header}")
                   for base in ("/usr/include", "/usr/local/include",
                                f"/usr/include/{os.uname().machine}-linux-gnu")):
            yield Missing(header, f"install the headers (Debian: {package})")
    for name in ("clang", "ld.lld", "llvm-nm", "llvm-objcopy"):
        if not chain.tool(name):
            yield Missing(name, "install clang, lld and llvm, "
                                "LLVM=-22 or LLVM=/path/to/bin/")
    if not chain.rustc:
        yield Missing("rustc 1.85 or newer", "RUSTC=/path/to/rustc, "
                      "of the same LLVM as clang")
    elif not chain.rust_source():
        yield Missing("the source of Rust's core library",
                      f"install rust-src for {chain.rustc}, or RUSTC=")
    if not chain.bindgen and not (can_install() and command.which("cargo")):
        yield Missing("bindgen 0.71.1 or newer", "BINDGEN=/path/to/bindgen "
                      "(cargo install bindgen-cli --version ^0.72 --locked)")


def _check_guest(settings):
    for package, program in _GUEST.items():
        if program and not command.which(program):
            yield Missing(program, f"install it (Debian: {package})")
    if not (can_install() or settings.cache.newest("virtme")
            or command.which("virtme-run")):
        yield Missing("virtme-run", "install virtme-ng 1.42 "
                      "(pip install virtme-ng==1.42) into PATH")


def check(settings, chain, guest=True):
    """Stop with one screen if something is missing."""
    missing = list(_check_build(settings, chain))
    if guest:
        missing += _check_guest(settings)
    if not (settings.ksrc or settings.kdir or can_install()
            or settings.cache.newest("ksource")):
        missing.append(Missing(
            "a Linux 7.3 source tree",
            "KSRC=/path/to/source, or KDIR=/path/to/a/build of it"))
    if not missing:
        return
    if can_install():
        why = ""
    elif is_bookworm():
        why = " Nothing is installed without root."
    else:
        why = " Packages are installed on Debian bookworm (amd64) only."
    width = max(len(entry.what) for entry in missing)
    lines = [f"  {entry.what:<{width}}  {entry.remedy}" for entry in missing]
    raise ui.Fail("missing here:\n" + "\n".join(lines) + "\n" +
                  f"Nothing was done.{why}")
