# SPDX-License-Identifier: GPL-2.0
"""What the scripts share that run in a guest of their own (rmp/tests/solo.py): the
modules loaded, /dev/vda mounted read-write, words for the host.
"""

import json
import os

import context
import runner
import sysapi

MARK = "rust_mpage_says:"


def say(text):
    """One line for the host; it is on the console when this returns."""
    fd = os.open("/dev/kmsg", os.O_WRONLY)
    try:
        os.write(fd, f"<5>{MARK} {text}\n".encode())
    finally:
        os.close(fd)


def load(path):
    """The job, with its modules loaded; what goes wrong is said and raised."""
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    runner.find_files(job["tests"])
    try:
        for name in job["modules"]:
            context.load_module(job["trees"], name)
    except OSError as error:
        say(f"error {error}")
        raise
    return job


def begin(path, options=""):
    """(job, mount point); what goes wrong is said and raised."""
    job = load(path)
    root = os.path.join(job["scratch"], "mnt")
    os.makedirs(root)
    try:
        sysapi.mount("/dev/vda", root, job["fstype"], 0, options)
    except OSError as error:
        say(f"error {error}")
        raise
    return job, root
