# SPDX-License-Identifier: GPL-2.0
"""A root of Debian trixie with the kernel 7.3 from backports, in the cache.

Made by debootstrap from the mirror that the machine's apt uses. It is not changed once
it is there: who installs into it gets an overlay, which is mounted in a mount namespace
of one command alone, so that nothing is left mounted however that ends.
"""

import os
import shlex

from .. import cache, command, ui
from ..build import ksource, packages
from ..settings import KERNEL_SERIES

SUITE = "trixie"
BACKPORTS = "trixie-backports"
# what a machine has, what dkms and the package need, and what packages are made with
PACKAGES = (
    "systemd-sysv", "udev", "kmod", "e2fsprogs", "initramfs-tools", "zstd", "python3",
    "ca-certificates", "dkms", "build-essential", "bindgen", "rustc", "rust-src", "openssl",
    "xz-utils", "debhelper", "dh-dkms", "lintian",
)

_SETUP = """
apt-get update
apt-get install -y --no-install-recommends {packages}
release=$(apt-cache search --names-only '^linux-image-{series}' |
    sed -n 's/^linux-image-\\({series}\\.[0-9]*+deb13-amd64\\) .*/\\1/p' | sort -V | tail -1)
test -n "$release" || {{ echo "there is no kernel {series} in {backports}"; exit 1; }}
apt-get install -y --no-install-recommends -t {backports} \\
    linux-image-$release linux-headers-$release linux-source-{series}
apt-get clean
echo $release > /etc/rust-mpage-release
"""


def check(settings):
    """Stop with one line if this machine cannot have such a root."""
    if os.geteuid() != 0:
        raise ui.Fail("a root of Debian trixie is made by debootstrap, as root")
    packages.need(settings, "debootstrap", "debootstrap")


class Root:
    """A root, and what has been written over it, if `upper` is a folder."""

    def __init__(self, base, upper=None):
        self._base = base
        self._upper = upper
        self.release = (base / "etc/rust-mpage-release").read_text("ascii").strip()

    def outside(self, script, binds=()):
        """argv of a shell script that finds the root mounted at $root; binds:
        [(folder of ours, place in the root)]."""
        lines = ["set -e"]
        if self._upper:
            for name in ("changed", "work", "root"):
                (self._upper / name).mkdir(parents=True, exist_ok=True)
            lines += [f"root={self._upper}/root",
                      "mount -t overlay overlay -o lowerdir="
                      f"{self._base},upperdir={self._upper}/changed,"
                      f"workdir={self._upper}/work $root"]
        else:
            lines += [f"root={self._base}"]
        for folder, place in binds:
            lines += [f"mkdir -p $root{place}", f"mount --bind {folder} $root{place}"]
        return ["unshare", "--mount", "--propagation", "private", "bash", "-c",
                "\n".join([*lines, script])]

    def inside(self, script, binds=()):
        """argv of a shell script that runs in the root."""
        return self.outside(
            "mount -t proc proc $root/proc\nmount --rbind /dev $root/dev\n"
            "exec chroot $root env -i LC_ALL=C HOME=/root DEBIAN_FRONTEND=noninteractive "
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -ec " + shlex.quote(script), binds)


def ensure(settings):
    """The root as it comes, a folder. Needs the cache's lock."""
    check(settings)
    store = settings.cache
    key = cache.digest(SUITE, BACKPORTS, _SETUP, list(PACKAGES))
    entry = store.find("trixie", key)
    if entry:
        return entry / "root"
    uri = ksource.mirror()
    ksource.check_mirror(store, uri, (SUITE, BACKPORTS))

    def build(folder):
        root = folder / "root"
        command.step(
            f"{SUITE}, by debootstrap",
            ["debootstrap", "--variant=minbase", f"--keyring={ksource.KEYRING}",
             "--include=ca-certificates", SUITE, root, uri],
            store.logs / "debootstrap.log")
        _configure(root, uri)
        setup = _SETUP.format(series=KERNEL_SERIES, backports=BACKPORTS,
                              packages=" ".join(PACKAGES))
        (root / "etc/rust-mpage-release").write_text("", encoding="ascii")
        command.step(f"{SUITE}, packages, kernel from backports",
                     Root(root).inside(setup),
                     store.logs / "trixie-kernel.log")

    return store.make("trixie", key, build) / "root"


def _configure(root, uri):
    """No services while packages are installed, no waiting for the disk."""
    for path, text in (
        ("etc/apt/sources.list.d/backports.list", f"deb {uri} {BACKPORTS} main\n"),
        ("etc/dpkg/dpkg.cfg.d/rust-mpage", "force-unsafe-io\n"),
        ("etc/hostname", "trixie\n"),
        ("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n"),
    ):
        (root / path).write_text(text, encoding="ascii")
    os.chmod(root / "usr/sbin/policy-rc.d", 0o755)
    resolver = root / "etc/resolv.conf"
    if os.path.exists("/etc/resolv.conf"):
        with open("/etc/resolv.conf", encoding="ascii") as file:
            resolver.write_text(file.read(), encoding="ascii")
