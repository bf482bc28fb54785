# SPDX-License-Identifier: GPL-2.0
"""Write to a disk until the host cuts the power.

    powercut.py JOB.json

Loads the modules, mounts /dev/vda read-write and works (tests/durable.py) until the
guest is killed; what is durable goes to the kernel log, which the host reads.
"""

import itertools
import json
import os
import random
import sys

import context
import sysapi

MARK = "rust_mpage_durable:"


def say(text):
    """One line for the host; it is on the console when this returns."""
    fd = os.open("/dev/kmsg", os.O_WRONLY)
    try:
        os.write(fd, f"<5>{MARK} {text}\n".encode())
    finally:
        os.close(fd)


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    sys.path.insert(0, job["tests"])
    from durable import Worker  # pylint: disable=import-outside-toplevel

    for name in job["modules"]:
        context.load_module(job["trees"], name)
    root = os.path.join(job["scratch"], "mnt")
    os.makedirs(root)
    try:
        sysapi.mount("/dev/vda", root, job["fstype"])
        Worker(say, root, random.Random(job["seed"])).run(itertools.count())
    except OSError as error:
        say(f"error {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
