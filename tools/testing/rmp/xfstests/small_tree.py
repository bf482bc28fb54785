# SPDX-License-Identifier: GPL-2.0
"""A small tree for tests of `make xfstests`, whose `check` says what that of xfstests says.
Nothing of xfstests is here.
"""

import os

CHECK = """#!/bin/bash
# as the real one: settings from $HOST_OPTIONS, a name, how it was
. "$HOST_OPTIONS"
echo "FSTYP         -- $FSTYP"
echo
for name in "$@"; do
    printf "%-19s" "$name"
    echo "run fstests $name at now" > /dev/kmsg
    mkdir -p "$RESULT_BASE/${name%/*}"
    . "tests/$name"
done
echo "Ran: $*"
echo "Failed 1 of 3 tests"
exit 1
"""
# both disks, in its own shell's words
MOUNTS = """
mkfs.ext2 -q -F $MKFS_OPTIONS $SCRATCH_DEV >&2 && mount -t $FSTYP $SCRATCH_DEV $SCRATCH_MNT &&
mount -t $FSTYP $TEST_DEV $TEST_DIR && echo both > $TEST_DIR/file &&
stat -f -c 'blocks of %s' $SCRATCH_MNT > $RESULT_BASE/$name.full &&
cat $TEST_DIR/file >> $RESULT_BASE/$name.full &&
umount $SCRATCH_MNT && umount $TEST_DIR && echo " 1s"
"""
NOT_RUN = 'echo "[not run] this one wants $(udevadm wait /dev/moon; echo a moon)"\n'
FAILS = 'echo "[failed, exit status 1]- output mismatch (see ${name#*/}.out.bad)"\n'
HANGS = "read -r line < <(sleep infinity)\n"


def texts(tests):
    """{path: text} of the tree with these tests, {name: text}."""
    return {"check": CHECK} | {f"tests/{name}": text for name, text in tests.items()}


def write(folder, files):
    """The files in a folder, each of which may be run."""
    for path, text in files.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(target, 0o755)
