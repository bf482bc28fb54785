# SPDX-License-Identifier: GPL-2.0
"""A root of Debian trixie for arm64, a folder in the cache: what the guest tests call, unpacked.

debootstrap fetches the packages, and checks them. Nothing of them is run: what packages do when
they are installed is for another processor, and the tests do not need it.
"""

import os
import shutil

from .. import cache, command, ui
from ..build import ksource, packages
from ..guest import guest

SUITE = "trixie"
ARCH = "arm64"
PACKAGES = ("python3", "e2fsprogs", "attr", "acl", "quota", "util-linux")
# Shares are mounted where a guest of virtme-ng has them; the way out needs no program.
# What is only read is mounted again by the job, so that it is kept.
_INIT = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -n -t proc proc /proc
mount -n -t sysfs sys /sys
mount -n -t debugfs debug /sys/kernel/debug
mount -n -t tracefs trace /sys/kernel/tracing
mount -n -t tmpfs run /run
mount -n -t tmpfs tmp /tmp
mkdir -p /dev/shm /run/lock
mount -n -t tmpfs shm /dev/shm
for device in /sys/bus/virtio/drivers/9pnet_virtio/virtio*; do
	tag=$(tr -d '\\0' <$device/mount_tag)
	test $tag = root && continue
	mkdir -p {place}/$tag
	mount -n -t 9p -o {options} $tag {place}/$tag
done
echo "rust_mpage: the job begins" >/dev/kmsg
. {place}/out/job.sh
sync
echo b >/proc/sysrq-trigger
sleep 60
"""
_FETCH = ("debootstrap", "--foreign", f"--arch={ARCH}", "--variant=minbase",
          f"--keyring={ksource.KEYRING}", f"--include={','.join(PACKAGES)}", SUITE)
# what was only fetched, into $1; /bin and others stay links
_UNPACK = """
set -o pipefail
for package in $1/var/cache/apt/archives/*.deb; do
    dpkg-deb --fsys-tarfile $package | tar -C $1 --keep-directory-symlink -xf -
    rm $package
done
"""
_OPTIONS = "version=9p2000.L,trans=virtio,access=any,msize=524288,cache=none"
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
}


def check(settings):
    """Stop with one line if this machine cannot have such a root."""
    if os.geteuid() != 0:
        raise ui.Fail("a root of Debian for arm64 is made by debootstrap, as root")
    packages.need(settings, "debootstrap", "debootstrap")


def ensure(settings):
    """The root, a folder that is not written to. Needs the cache's lock."""
    store = settings.cache
    init = _INIT.format(place=guest.IN_GUEST, options=_OPTIONS)
    key = cache.digest(list(_FETCH), _UNPACK, init, _FILES)
    entry = store.find("arm64_root", key)
    if entry:
        return entry / "root"
    uri = ksource.mirror()
    ksource.check_mirror(store, uri, (SUITE,), ARCH)

    def build(folder):
        root = folder / "root"
        command.step(
            f"{SUITE} for {ARCH}, by debootstrap",
            [*_FETCH, root, uri], store.logs / "debootstrap-arm64.log")
        command.step(f"{SUITE} for {ARCH}, unpacked", ["bash", "-ec", _UNPACK, "unpack", root],
                     store.logs / "unpack-arm64.log")
        shutil.rmtree(root / "debootstrap")
        if (root / "proc").is_symlink():  # which it is if this is done in a container
            (root / "proc").unlink()
            (root / "proc").mkdir()
        for path, text in {**_FILES, "init": init}.items():
            (root / path).write_text(text, encoding="ascii")
        (root / "init").chmod(0o755)

    return store.make("arm64_root", key, build) / "root"
