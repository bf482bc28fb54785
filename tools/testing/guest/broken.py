# SPDX-License-Identifier: GPL-2.0
"""The guest's half of `make broken`: the modules, again and again, each time with a promise
broken, and the tests that are to notice.

    broken.py JOB.json

The results of each are in a file of its name; the host wrote the job
(tools/testing/rmp/broken/broken.py).

Leaves out: whether a failure is what should be seen.
"""

import json
import os
import sys

import context
import runner
import sysapi


def run(cases, job, one, built_in):
    """The tests of one; whether the kernel can go on. `built_in` are suites of the kernel's."""
    results = runner.Results(os.path.join(job["out"], one["name"] + ".jsonl"))
    results.note(kind="begin")
    claims = os.path.join(job["scratch"], "claims", one["name"])
    os.makedirs(claims)
    runner.choose_kunit(one["suite"] or runner.NO_SUITE)
    for path in one["modules"].values():
        sysapi.insmod(path)
    runner.save_kunit(os.path.join(job["out"], one["name"]), built_in)
    runner.choose_kunit(runner.NO_SUITE)
    chosen = [case for case in cases if case.name in one["tests"]]
    if not runner.run_cases(chosen, dict(job, claims=claims, instead=one["modules"]), results):
        return False
    try:
        for name in reversed(one["modules"]):
            sysapi.rmmod(name)
    except OSError:
        return False  # a test that failed has left something
    return True


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    os.makedirs(job["scratch"], exist_ok=True)
    cases = runner.discover(job["tests"])
    job["images"] = [context.mount_images(job)]
    context.load_module(job["trees"], "mbcache")
    built_in = runner.kunit_suites()
    for one in job["broken"]:
        if not run(cases, job, one, built_in):
            return runner.NEED_REBOOT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
