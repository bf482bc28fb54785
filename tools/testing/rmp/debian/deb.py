# SPDX-License-Identifier: GPL-2.0
"""`make deb`: the packages, made and checked in a root of trixie, into deb/."""

import re
import shutil

from .. import cache, command, ui
from ..build import modules
from . import root

CRATES = "/var/cache/rust-mpage"  # where kernel-rust keeps what it has made
_BUILD = """
cd /build/rust-mpage
dpkg-buildpackage -b -us -uc
rm -rf /build/rust-mpage
"""
_LINT = """
cd /build
lintian --allow-root --fail-on error,warning *.changes
"""


def sources(top):
    """Paths of what the packages are made of."""
    folders = ("debian", "debian/source", "tools/debian", "Documentation/man")
    return [*modules.sources(top), "COPYING", "tools/rust-mpage-stat",
            *(str(path.relative_to(top)) for folder in folders
              for path in sorted((top / folder).iterdir()) if path.is_file()
              and "debhelper" not in path.name)]


def _copy(top, target, release, version):
    for path in sources(top):
        copy = target / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(top / path, copy)
    debian = target / "debian"
    if release:
        for part in ("control", "postinst", "postrm"):
            text = (debian / f"modules.{part}.in").read_text(encoding="utf-8")
            name = part if part == "control" else f"rust-mpage-modules-{release}.{part}"
            with open(debian / name, "a", encoding="utf-8") as file:
                file.write(text.replace("@RELEASE@", release))
    if version:
        log = debian / "changelog"
        log.write_text(re.sub(r"\(\S+\)", f"({version})",
                              log.read_text(encoding="utf-8"), count=1),
                       encoding="utf-8")


def key(settings, base):
    top = settings.top
    return cache.digest(str(base), root.Root(base).release,
                        cache.digest_files(top, set(sources(top))))


def _crates(settings, base):
    """A folder for the kernel's crates, which take minutes, for all that need them."""
    text = (settings.top / "tools/debian/kernel-rust").read_bytes()

    def build(entry):
        (entry / "crates").mkdir()
        (entry / "tool").mkdir()
        shutil.copy2(settings.top / "tools/debian/kernel-rust", entry / "tool")
        own = root.Root(base, entry / "overlay")
        command.step(f"the Rust crates of {own.release}",
                     own.inside(f"/tool/kernel-rust {own.release}",
                                [(entry / "crates", CRATES), (entry / "tool", "/tool")]),
                     settings.cache.logs / "kernel-rust.log")
        shutil.rmtree(entry / "overlay")

    return settings.cache.make("crates", cache.digest(str(base), root.Root(base).release, text), build) / "crates"


def _no_warnings(log):
    """That compiler is older than ours, and that kernel is configured otherwise."""
    text = log.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^warning: (.*\n){1,12}", text, re.M)
    if found:
        raise ui.Fail("the modules for Debian's kernel are compiled with warnings; "
                      f"the first:\n{found[0]}the whole log: {log}")


def ensure(settings, base, version="", with_modules=True):
    """Folder with the packages. Needs the cache's lock. They are of another version than
    debian/changelog says, if one is given."""

    def build(entry):
        folder = entry / "packages"
        folder.mkdir()
        own = root.Root(base, entry / "overlay")
        _copy(settings.top, folder / "rust-mpage",
              own.release if with_modules else "", version)
        binds = [(folder, "/build")]
        if with_modules:
            binds.append((_crates(settings, base), CRATES))
        logs = settings.cache.logs
        command.step("packages", own.inside(_BUILD, binds), logs / "deb.log")
        _no_warnings(logs / "deb.log")
        command.step("packages, lintian", own.inside(_LINT, binds), logs / "lintian.log")
        shutil.rmtree(entry / "overlay")

    found = cache.digest(key(settings, base), version, with_modules)
    return settings.cache.make("deb", found, build) / "packages"


def main(settings):
    """`make deb`."""
    with settings.cache.locked():
        base = root.ensure(settings)
        made = ensure(settings, base)
    target = settings.top / "deb"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in sorted(made.glob("*.deb")):
        shutil.copy2(path, target)
        ui.say(f"  deb/{path.name}")
    ui.say(f"  for {root.Root(base).release}, the newest when {base.parent} was made: "
           "remove that for a newer one")
    return 0
