# SPDX-License-Identifier: GPL-2.0
"""Use an installed package on Debian itself, as its user does.

    debian.py JOB.json

What is typed and seen goes to standard output; what is wrong is an exception there, and
the exit status. /data is a line of fstab with the type ext2, /guessed one with none,
/discard one with an option that only ext4 has; /dev/vdd is for users,
on /users.
"""

import json
import subprocess
import sys

DISK = "/dev/vdd"


def run(command, status=0, says=()):
    """Type a command; its output. It has to end with the status, and say all of `says`."""
    print(f"# {command}", flush=True)
    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", errors="replace", executable="/bin/bash")
    print(done.stdout, end="", flush=True)
    assert (done.returncode == 0) == (status == 0), f"exit status {done.returncode}"
    for text in (says,) if isinstance(says, str) else says:
        assert text in done.stdout, f"it does not say {text!r}"
    return done.stdout


def kind(point):
    """Which filesystem has mounted it."""
    return run(f"findmnt -no FSTYPE {point}").strip()


def booted():
    """fstab and blkid have found rust_ext2; ext4 is what it was."""
    run("uname -srv")
    assert kind("/") == "ext4"
    assert kind("/data") == "rust_ext2", "the type ext2 in fstab"
    assert kind("/discard") == "ext2", "an option of ext4's in fstab"
    assert kind("/guessed") == "rust_ext2", "the type auto in fstab"
    run("systemctl --no-pager --failed", says="0 loaded units")


def read_and_write():
    run("cd /data && sha256sum --quiet -c SUMS && wc -l SUMS")
    run("cp -a /usr/share/doc /data/copy && sync -f /data")
    run("diff -r --no-dereference /usr/share/doc /data/copy")
    run("rust-mpage-stat -a", says="write/bios")
    run("rust-mpage-stat 1 2", says="kB/bio")
    run("umount /data /guessed /discard")
    run("fsck.rust_ext2 -fn /dev/vdb")


def by_hand():
    run(f"mount -t ext2 {DISK} /mnt")
    assert kind("/mnt") == "rust_ext2"
    run("cd /mnt && sha256sum --quiet -c SUMS")
    run("mount -o remount,ro /mnt && findmnt -no OPTIONS /mnt", says="ro,")
    run("touch /mnt/new", status=1, says="Read-only file system")
    run("umount /mnt")
    run(f"mount -t ext2 -o errors=never {DISK} /mnt", status=1,
        says=("not by rust_ext2: ", "the kernel's ext2 tries"))
    run(f"mount -t rust_ext2 -o errors=never {DISK} /mnt", status=1,
        says="Bad value for 'errors'")
    run(f"mount -t rust_ext2 -o sb=2 {DISK} /mnt", status=1,
        says="not an ext2 filesystem")


def by_user():
    user = "setpriv --reuid=65534 --clear-groups"
    run(f"{user} mount /users", status=1, says="use mount -i /users")
    run(f"{user} mount -i /users && {user} ls /users/Documentation")
    assert kind("/users") == "ext2"
    run(f"{user} umount /users")


def unload():
    run("lsmod | grep rust")
    run("modprobe -r rust_ext2 rust_mpage")
    assert "rust" not in run("lsmod")
    run(f"mount -t rust_ext2 {DISK} /mnt")  # it loads itself
    run("lsmod | grep rust; umount /mnt; modprobe -r rust_ext2 rust_mpage")


def upgrade(package):
    """While it is in use: what is mounted stays, and the new one comes with the next load."""
    run(f"mount -t ext2 {DISK} /mnt")
    run(f"dpkg -i {package}", says="over (0.0.1)")
    run("cd /mnt && sha256sum --quiet -c SUMS && touch kept")
    run("umount /mnt && modprobe -r rust_ext2 rust_mpage")
    run(f"mount -t ext2 {DISK} /mnt && ls /mnt/kept")
    assert kind("/mnt") == "rust_ext2"
    run("rm /mnt/kept && umount /mnt && modprobe -r rust_ext2 rust_mpage")


def remove(package):
    """Without the modules, and then without the default, the kernel's ext2 takes it."""
    run(f"dpkg --force-depends -r {package}")
    run("modprobe rust_ext2", status=1)
    run(f"mount -t ext2 {DISK} /mnt", says="no rust_ext2 for")
    assert kind("/mnt") == "ext2"
    run("umount /mnt && dpkg -r rust-ext2-default")
    run("mount -t ext2 /dev/vdb /mnt")
    assert kind("/mnt") == "ext2"
    run("diff -r --no-dereference /usr/share/doc/dpkg /mnt/copy/dpkg")
    run("umount /mnt")
    left = run("ls -d /usr/src/rust-mpage* /var/cache/rust-mpage "
               "/lib/modules/*/updates/*/rust_* 2>/dev/null", status=1)
    assert not left, "something is left behind"


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    booted()
    read_and_write()
    by_hand()
    by_user()
    unload()
    if job["newer"]:
        upgrade(job["newer"])
    remove(job["package"])
    print("all of it passed", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
