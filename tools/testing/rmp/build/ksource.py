# SPDX-License-Identifier: GPL-2.0
"""The kernel's source: the user's (KSRC=), or Debian's package.

Debian's newest 7.3 is in trixie-backports, as is an older one. It is fetched with an apt root of
its own, so that the machine's apt does not change: the mirror is the one that
the machine's apt uses, and the signature is checked against Debian's keyring.
The version is what the suite has, and is part of the key of what is built.
"""

import re
import subprocess

from .. import cache, command, ui
from ..settings import KERNEL_SERIES, OLDER

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITE = "trixie-backports"


def version(tree):
    """ "7.3.4" from the Makefile of a source tree. """
    try:
        head = (tree / "Makefile").read_text(encoding="utf-8")[:2000]
    except OSError as error:
        raise ui.Fail(f"{tree} is no kernel source tree: {error.strerror}") from error
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)",
                             head, re.M))
    if "PATCHLEVEL" not in fields:
        raise ui.Fail(f"{tree} is no kernel source tree: its Makefile has no version")
    return "{VERSION}.{PATCHLEVEL}.{SUBLEVEL}{EXTRAVERSION}".format(**fields)


def series_of(release):
    """ "7.3" of "7.3.4" or "7.3.4+deb13-amd64". """
    return ".".join(re.split(r"[.+-]", release)[:2])


def check_series(what, release, known):
    """Refuse another kernel than these."""
    if series_of(release) not in known:
        raise ui.Fail(f"{what} is Linux {release}; this needs {' or '.join(known)}")


def of_build(kdir):
    """The source tree of a build tree, or None."""
    for link in (kdir / "source", kdir):
        if (link / "scripts" / "checkpatch.pl").exists():
            return link.resolve()
    return None


def mirror(or_else=""):
    """URI of the machine's own Debian mirror; what else may be done if apt knows of none."""
    lines = command.text("apt-get", "indextargets",
                         "--format", "$(REPO_URI) $(CODENAME) $(LABEL)")
    for line in sorted(set(lines.splitlines())):
        uri, codename, label = (line.split(" ", 2) + ["", ""])[:3]
        if codename in ("bookworm", "trixie") and label in ("Debian", ""):
            return uri
    raise ui.Fail(f"apt knows no Debian mirror: run apt-get update{or_else}")


class AptRoot:
    """An apt with one source and no trace outside its directory."""

    def __init__(self, folder, uri, suites=(SUITE,)):
        self._folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "sources.list").write_text(
            "".join(f"deb [signed-by={KEYRING}] {uri} {suite} main\n"
                    for suite in suites), encoding="ascii")

    def command(self, *words):
        folder = self._folder
        return [
            "apt-get", "-o", f"Dir::Etc::sourcelist={folder}/sources.list",
            "-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State::lists={folder}/lists",
            "-o", f"Dir::Cache={folder}/cache", "-o", "APT::Sandbox::User=root",
            *words,
        ]


def check_mirror(store, uri, suites, arch="amd64"):
    """Stop with one line if it has not all of these, which not every mirror has for ever."""
    folder = store.path / "apt"
    cache.remove(folder)
    apt = AptRoot(folder, uri, suites)
    done = command.text(*apt.command("-o", "APT::Update::Error-Mode=any",
                                    "-o", f"APT::Architecture={arch}",
                                    "-o", f"APT::Architectures={arch}", "update"),
                        otherwise=None)
    cache.remove(folder)
    if done is None:
        raise ui.Fail(f"the mirror of this machine's apt has no {' and '.join(suites)} for {arch}: {uri}")


def _unpack(name, package, target):
    """Unpack the tar archive inside the package of that name, without a copy of it."""
    inner = f"./usr/src/{name}.tar.xz"
    pipeline = (
        f"set -o pipefail; dpkg-deb --fsys-tarfile '{package}' | tar -xO {inner} | "
        f"tar -xJ --strip-components=1 -C '{target}'"
    )
    return ["bash", "-c", pipeline]


def fetch(settings, series=KERNEL_SERIES, variable="KSRC"):
    """The cached source tree of a kernel, fetched if there is none; what gives another. Needs
    the lock."""
    store, name = settings.cache, f"linux-source-{series}"
    kind = "ksource" if series == KERNEL_SERIES else f"ksource_{series.replace('.', '_')}"
    entry = store.newest(kind)
    if entry:
        store.find(*entry.name.split("-", 1))
        return entry / "tree"
    work = store.path / "apt"
    cache.remove(work)
    apt = AptRoot(work, mirror(f", or give a source tree with {variable}="))
    command.step(f"package list of {SUITE}", apt.command("update"),
                 store.logs / "apt-source-update.log")
    command.step(f"{name} (about 160 MB)", apt.command("download", name),
                 store.logs / "apt-source-download.log", cwd=work)
    packages = sorted(work.glob(f"{name}_*.deb"))
    if not packages:
        raise ui.Fail(f"apt-get download left no {name} package in {work}")

    def build(folder):
        (folder / "tree").mkdir()
        command.step("kernel source, unpacking", _unpack(name, packages[-1], folder / "tree"),
                     store.logs / "unpack.log")
        version(folder / "tree")

    full = packages[-1].name.split("_")[1]
    entry = store.make(kind, cache.digest(full), build)
    cache.remove(work)
    return entry / "tree"


def tree(settings, older=OLDER):
    """The source tree to use; `older` are kernels that will do, too. Needs the cache's
    lock."""
    if settings.ksrc:
        check_series(settings.ksrc, version(settings.ksrc), (KERNEL_SERIES, *older))
        return settings.ksrc
    if settings.kdir:
        found = of_build(settings.kdir)
        if found:
            return found
    return fetch(settings)


def check_kdir(kdir):
    """A build directory of a kernel that can have Rust modules."""
    for name, why in (
        (".config", "it is not configured"),
        ("Module.symvers", "it is not built"),
        ("rust/libkernel.rmeta", "it has no Rust (CONFIG_RUST)"),
    ):
        if not (kdir / name).exists():
            raise ui.Fail(f"KDIR={kdir} is no kernel for Rust modules: "
                          f"{why} (no {name})")
    release = kdir / "include/config/kernel.release"
    if release.exists():
        check_series(f"KDIR={kdir}", release.read_text(encoding="utf-8").strip(),
                     (KERNEL_SERIES, *OLDER))


def check_rust(source, chain, log):
    """make rustavailable, whose text says best what is wrong."""
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = ["make", "-s", "-C", str(source), *chain.make_args(), "rustavailable"]
    with open(log, "wb") as out:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, env=chain.environment(),
                              check=False)
    if done.returncode:
        raise command.fail(argv, done.returncode, log)
