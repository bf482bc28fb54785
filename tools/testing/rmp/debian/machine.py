# SPDX-License-Identifier: GPL-2.0
"""A guest that boots a root of Debian with Debian's own kernel, initramfs and systemd.

The root is a disk. Shares of the host are mounted by a unit, the last of the boot, which
then runs the job that is in the writable one and powers the machine off.
"""

from .. import command
from ..build import packages
from ..guest import guest

SIZE = "8G"  # of the disk with the root; most of it is a hole
UNIT = """
[Unit]
Description=The job of the host
[Service]
Type=oneshot
StandardOutput=journal+console
StandardError=journal+console
ExecStart=/usr/sbin/rust-mpage-job
ExecStopPost=/usr/bin/systemctl poweroff --force
[Install]
WantedBy=multi-user.target
"""
JOB = f"""#!/bin/bash
for device in /sys/bus/virtio/drivers/9pnet_virtio/virtio*; do
    tag=$(tr -d '\\0' < $device/mount_tag)
    mkdir -p {guest.IN_GUEST}/$tag
    mount -t 9p -o {guest.KEPT},$(test $tag = out && echo rw,cache=none || echo ro) \\
        $tag {guest.IN_GUEST}/$tag
done
echo "rust_mpage: the job begins" > /dev/kmsg
export HOME=/root
cd /root
. {guest.IN_GUEST}/out/job.sh
"""
_IMAGE = """
mkdir -p $root/etc/systemd/system/multi-user.target.wants $root/data $root/guessed $root/discard $root/users
rm -f $root/usr/sbin/policy-rc.d $root/usr/src/linux-source-*.tar.xz
cp /{files}/rust-mpage-job $root/usr/sbin/
cp /{files}/rust-mpage-job.service $root/etc/systemd/system/
cp /{files}/fstab $root/etc/fstab
ln -sf /etc/systemd/system/rust-mpage-job.service \\
    $root/etc/systemd/system/multi-user.target.wants/
echo 9pnet_virtio > $root/etc/modules-load.d/rust-mpage.conf
cp $root/boot/vmlinuz-{release} {target}/vmlinuz
cp $root/boot/initrd.img-{release} {target}/initrd
mke2fs -q -F -t ext4 -O ^has_journal -L root -d $root {target}/root.img {size}
"""


def recipe():
    """All that such a disk is made by, besides the root and the packages."""
    return UNIT + JOB + _IMAGE + SIZE


def need(settings):
    """What makes such a disk, and boots it, on this machine."""
    packages.need(settings, "e2fsprogs", "mke2fs")
    packages.need(settings, "qemu-system-x86", "qemu-system-x86_64")


class Image:
    """What such a guest boots: vmlinuz, initrd, root.img."""

    def __init__(self, folder):
        self.folder = folder
        self.image = folder / "vmlinuz"
        self.build = folder

    @classmethod
    def make(cls, own, folder, fstab, log):
        """Of a root, with these lines of /etc/fstab besides that of the root."""
        folder.mkdir()
        for name, text in (("rust-mpage-job", JOB), ("rust-mpage-job.service", UNIT),
                           ("fstab", "/dev/vda / ext4 defaults 0 1\n" + fstab)):
            (folder / name).write_text(text, encoding="ascii")
        (folder / "rust-mpage-job").chmod(0o755)
        script = _IMAGE.format(files=str(folder).lstrip("/"), release=own.release,
                               target=folder, size=SIZE)
        command.step("disk with the root", own.outside(script), log)
        return cls(folder)


class Machine(guest.Guest):
    """See the head of this file."""

    def __init__(self, image, accel, memory="3G"):
        super().__init__(None, image, accel, memory)
        self.disks.append(guest.Disk(image.folder / "root.img", guest.Disk.OVERLAY))

    def command(self, words):
        """QEMU itself, in place of virtme-run; of the words, options for QEMU count."""
        append = ["root=/dev/vda", "rw", "console=ttyS0", "no_timer_check",
                  "systemd.show_status=1", "loglevel=6", *self.kernel_options]
        argv = ["qemu-system-x86_64", "-name", "rust-mpage-debian", "-nographic",
                "-no-reboot", "-nodefaults", "-serial", "stdio", "-net", "none",
                "-m", self._memory, "-smp", str(self.processors),
                "-kernel", str(self._kernel.image),
                "-initrd", str(self._kernel.folder / "initrd")]
        if self.accel == "kvm":
            argv += ["-accel", "kvm", "-cpu", "host"]
        else:
            argv += ["-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm,la57=off"]
            append += ["mitigations=off", "nokaslr"]
        argv += [*self.devices(), *self.qemu, "-append", " ".join(append)]
        return argv + [word.removeprefix("--qemu-opt=") for word in words
                       if word.startswith("--qemu-opt=")]
