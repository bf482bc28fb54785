# SPDX-License-Identifier: GPL-2.0
"""Load the modules and mount /dev/vda on /mnt: what `make shell` begins with.

    attach.py MODULES KERNEL FSTYPE ro|rw NAME,NAME|-
"""

import sys

import context
import sysapi

POINT = "/mnt"


def main(objects, kernel, fstype, access, names):
    trees = [objects, kernel]
    flags = sysapi.MS_RDONLY if access == "ro" else 0
    try:
        for name in [fstype] if names == "-" else names.split(","):
            context.load_module(trees, name)
        sysapi.mount("/dev/vda", POINT, fstype, flags)
    except OSError as error:
        print(f"cannot mount the disk: {error}", file=sys.stderr)
        return 1
    print(f"/dev/vda is on {POINT} as {fstype}, {access}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
