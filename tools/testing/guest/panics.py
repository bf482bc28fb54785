# SPDX-License-Identifier: GPL-2.0
"""Mount a disk whose block bitmap is corrupt with errors=panic, and write.

    panics.py JOB.json

The kernel has to panic; the host is told if it does not.
"""

import os
import sys

from solo import begin, say


def main(path):
    _, root = begin(path, "errors=panic")
    say("mounted")
    with open(os.path.join(root, "new"), "wb", 0) as file:
        file.write(b"n" * 20000)
        os.fsync(file.fileno())
    say("survived")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
