# SPDX-License-Identifier: GPL-2.0
"""Write to a disk until the host cuts the power.

    powercut.py JOB.json

Works (tests/lib/durable.py) until the guest is killed; what is durable goes to the
kernel log, which the host reads.
"""

import itertools
import random
import sys

from solo import begin, say


def main(path):
    job, root = begin(path)
    from durable import Worker  # pylint: disable=import-outside-toplevel

    try:
        Worker(say, root, random.Random(job["seed"]), job["attributes"]).run(itertools.count())
    except OSError as error:
        say(f"error {error}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
