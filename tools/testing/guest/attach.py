# SPDX-License-Identifier: GPL-2.0
"""Load the modules and mount /dev/vda on /mnt: what `make shell` begins with.

    attach.py MODULES KERNEL FSTYPE NAME,NAME
"""

import sys

import context
import sysapi

POINT = "/mnt"


def main(objects, kernel, fstype, names):
    trees = [objects, kernel]
    try:
        for name in filter(None, names.split(",")):
            context.load_module(trees, name)
        if not names:
            context.load_module(trees, fstype)
        sysapi.mount("/dev/vda", POINT, fstype, sysapi.MS_RDONLY)
    except OSError as error:
        print(f"cannot mount the disk: {error}", file=sys.stderr)
        return 1
    print(f"/dev/vda is on {POINT} as {fstype}, read-only")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
