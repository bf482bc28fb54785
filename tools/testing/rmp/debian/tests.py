# SPDX-License-Identifier: GPL-2.0
"""The tests debian.*: packages are made, installed in a root of Debian trixie, upgraded,
and used on its own kernel, until they are removed. Long, by name only.
"""

import hashlib
import re
import shutil
import subprocess
import time

from .. import command, ui
from ..guest import guest, logscan
from . import deb, machine, root

LIMIT = 1800  # seconds for the guest; emulated, it boots in two minutes
OLD = "0.0.1"  # a version before any
_FSTAB = "/dev/vdb /data ext2 defaults 0 2\n/dev/vdc /guessed auto defaults 0 2\n" \
    "/dev/vde /discard ext2 discard 0 2\n/dev/vdd /users ext2 user,noauto 0 0\n"

# A kernel without its source is installed, without the modules; they come with that.
_DKMS = """
set -o pipefail
mv /usr/src/linux-source-*.tar.xz /root
apt-get install -y --no-install-recommends /old/rust-mpage-dkms_*.deb /old/rust-mpage-tools_*.deb
linux-run-hooks headers postinst {release} -- configure 2>&1 | tee /root/hooks
grep -q '^rust-mpage: no modules for {release}: .*: install linux-source-' /root/hooks
test "$(dkms status)" = "rust-mpage/{old}: added"
mv /root/linux-source-*.tar.xz /usr/src
dpkg-trigger --by-package=linux-source-7.3 --no-await /usr/src/linux-source-7.3.tar.xz
dpkg --triggers-only -a
dkms status
test "$(dkms status)" = "rust-mpage/{old}, {release}, x86_64: installed"
{readme}
dkms status
dkms status | grep -q ", {release}, x86_64: installed"
test "$(dkms status | wc -l)" = 1
test "$(modinfo -k {release} -F license rust_ext2)" = "GPL v2"
"""
# An older one is the same under another version; the guest upgrades it while it is in use.
_NEWER = "/root/newer.deb"
_BUILT = """
cp /new/rust-mpage-modules-{release}_*.deb {newer}
dpkg-deb -R {newer} /tmp/older
sed -i 's/^Version: .*/Version: {old}/' /tmp/older/DEBIAN/control
dpkg-deb --root-owner-group -b /tmp/older /tmp/older.deb
apt-get install -y --no-install-recommends /tmp/older.deb \\
    /new/rust-mpage-tools_*.deb /new/rust-ext2-default_*.deb
rm -r /tmp/older*
modinfo -k {release} rust_ext2 | grep -q 'filename:.*/updates/rust-mpage/'
"""


def _readme(top):
    """What the README says to install, with the packages where they are for us. Of the kernel,
    which is there, that it could be."""
    text = (top / "README.md").read_text(encoding="utf-8")
    kernel = re.search(r"^apt (install -t .*?)\s*#", text, re.M)[1]
    line = re.search(r"^apt (install \./deb/.*)$", text, re.M)[1]
    return f"apt-get -s {kernel}\napt-get -y " + line.replace("./deb/", "/new/")


class _Test:
    """One way to install; the name of the package with the modules; a newer one of it for
    the guest, or none where it takes the guest too long."""

    def __init__(self, name, script, package, newer):
        self.NAME = f"debian.{name}"  # pylint: disable=invalid-name
        self._script = script
        self._package = package
        self._newer = newer

    def prepare(self, settings, out):
        """The packages, installed, as a disk. Needs the cache's lock."""
        machine.need(settings)
        base = root.ensure(settings)
        binds = [(deb.ensure(settings, base, with_modules=bool(self._newer)), "/new")]
        if not self._newer:
            binds.append((deb.ensure(settings, base, OLD, with_modules=False), "/old"))
        folder = out / self.NAME
        folder.mkdir()
        own = root.Root(base, folder / "overlay")
        script = self._script.format(release=own.release, old=OLD, newer=self._newer,
                                     readme=_readme(settings.top))
        command.step(f"{self.NAME}: installed" + ("" if self._newer else " and upgraded"),
                     own.inside(script, binds), folder / "install.log")
        image = machine.Image.make(own, folder / "image", _FSTAB, folder / "disk.log")
        shutil.rmtree(folder / "overlay")
        return image, self._package.format(release=own.release)

    def run(self, settings, prepared, accel, out, outcome):
        """Boot it, use it, look at its disk."""
        image, package = prepared
        begin = time.monotonic()
        folder = out / self.NAME
        disks = [_disk(settings, folder / f"{name}.img") for name in ("b", "c", "d", "e")]
        log = folder / "console.log"
        own = machine.Machine(image, accel)
        own.disks += [guest.Disk(path, guest.Disk.READ_WRITE) for path in disks]
        with ui.Progress(f"{self.NAME} ({accel})") as step:
            limit = guest.until(LIMIT)

            def left():
                step.update(f"at most {ui.duration(limit())} more")
                return limit()

            status = guest.job(own, settings, folder, "debian.py",
                               {"package": package, "newer": self._newer}, log, left)
        wrong = _wrong(folder, log, status, disks)
        shutil.rmtree(image.folder)
        outcome.add(self.NAME, "fail" if wrong else "pass", "\n".join(wrong),
                    time.monotonic() - begin)


ALL = (
    _Test("dkms", _DKMS, "rust-mpage-dkms", newer=""),
    _Test("built", _BUILT, "rust-mpage-modules-{release}", newer=_NEWER),
)


def _disk(settings, path):
    """An ext2 with our own documents, and their checksums."""
    files = path.with_suffix("")
    shutil.copytree(settings.top / "Documentation", files / "Documentation")
    sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(files)}\n"
            for file in sorted(files.rglob("*")) if file.is_file()]
    (files / "SUMS").write_text("".join(sums), encoding="ascii")
    command.step("disk", ["mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-d", files,
                          path, "64M"], path.with_suffix(".log"))
    shutil.rmtree(files)
    return path


def _wrong(folder, log, status, disks):
    """What is wrong, as texts."""
    found = []
    if status != 0:
        told = "" if status is None else ui.tail(folder / "stdout", 25)
        found.append(f"status {status}\n{told}" if told else
                     f"the guest did not finish\n{ui.tail(log, 25)}")
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    found += ["\n".join(complaint.lines) for complaint in logscan.scan(text.splitlines())]
    for disk in disks:
        done = subprocess.run(["e2fsck", "-fn", disk], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env=command.environment(),
                              check=False, encoding="utf-8", errors="replace")
        if done.returncode:
            found.append(f"e2fsck -fn {disk.name}: {done.stdout}")
    return found
