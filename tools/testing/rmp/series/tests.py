# SPDX-License-Identifier: GPL-2.0
"""The tests inkernel.*: a kernel of a tree with the series boots from rust_ext2 that is part
of it, the same code as modules runs its KUnit suites, and each patch builds. Long, by name
only.
"""

import re
import subprocess
import time

from .. import command, ui
from ..build import kernel
from ..guest import accel, guest, logscan
from . import kunit, patches, root, series, stages

LIMIT = 1800  # seconds for a guest
_OURS = ("CONFIG_RUST_MPAGE", "CONFIG_RUST_EXT2", "CONFIG_RUST_MPAGE_KUNIT_TEST")
_ROOT = """
grep ' / ' /proc/mounts | grep -q ' {kind} '
say "root is {kind}"
cp -r /bin /lib* /tmp/
cp /bin/sh /tmp/again
sync
echo 3 > /proc/sys/vm/drop_caches
for file in /bin/*; do cmp $file /tmp/$file; done
cmp /bin/sh /tmp/again
/tmp/again -c 'echo "rust_mpage_root: runs what it wrote"'
rm -r /tmp/bin
"""
# the kernel's own ext2 holds the root; a disk beside it is for rust_ext2
_MODULES = """
mount -t sysfs sys /sys
mount -t debugfs debug /sys/kernel/debug
if test -e /more/mbcache.ko; then
    insmod /more/mbcache.ko
fi
for name in rust_mpage rust_ext2 rust_mpage_test rust_mpage_contract; do
    insmod /more/$name.ko
    say "loaded $name"
done
mount -t rust_ext2 /dev/vdb /mnt
for file in /bin/*; do cmp $file /mnt/$file; done
cp -r /bin /mnt/again
umount /mnt
mount -t rust_ext2 /dev/vdb /mnt
for file in /bin/*; do cmp $file /mnt/again/${file##*/}; done
rm -r /mnt/again
umount /mnt
for name in rust_mpage_contract rust_mpage_test rust_ext2 rust_mpage; do
    rmmod $name
    say "unloaded $name"
done
"""
_NAMES = ("rust_mpage", "rust_ext2", "rust_mpage_test", "rust_mpage_contract")


def _build(settings, here, name, options):
    """The kernel of `make kunit` for x86_64, with these options; its build folder."""
    wanted = [*kunit.options(settings), *(f"{key}={value}" for key, value in options.items())]
    here.step(f"kernel ({name})", name, "x86_64", what="build", options=wanted)
    build = here.build_folder("x86_64")
    wrong = kernel.check_config(kernel.parse_config("\n".join(wanted)),
                                (build / ".config").read_text(encoding="utf-8"))
    if wrong:
        raise ui.Fail("options that did not hold:\n  " + "\n  ".join(wrong))
    return build


class _Boot:
    """One boot of one kernel with one disk."""

    def __init__(self, build, out, name, script, options, more=()):
        self.name = name
        self._folder = out / name
        self._folder.mkdir(parents=True)
        self.log = self._folder / "console.log"
        self.image = root.make(self._folder, script, more)
        self._build = build
        self._options = options

    def run(self, how, disks=()):
        """What is wrong, and what it said."""
        machine = root.Machine(self._build, self.image, how, self._options)
        machine.disks += [guest.Disk(path, guest.Disk.READ_WRITE) for path in disks]
        with ui.Progress(f"{self.name} ({how})") as step:
            limit = guest.until(LIMIT)

            def left():
                step.update(f"at most {ui.duration(limit())} more")
                return limit()

            ended = machine.run("", self.log, left)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        said = [line.strip() for line in root.SAID.findall(text)]
        wrong = ["\n".join(found.lines) for found in logscan.scan(text.splitlines())]
        if not ended or said[-1:] != ["done"]:
            wrong.append(f"it said {said}\n{ui.tail(self.log, 25)}")
        for path in (self.image, *disks):
            done = subprocess.run(["e2fsck", "-fn", path], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env=command.environment(),
                                  check=False, encoding="utf-8", errors="replace")
            if done.returncode:
                wrong.append(f"e2fsck -fn {path.name}: {done.stdout}")
        return wrong, said


def built_in(settings, build, out):
    """The root is rust_ext2, by its own name and by that of C's."""
    wrong = []
    for kind, options in (("rust_ext2", []),
                          ("ext2", ["rust_ext2.register_as_ext2=1"])):
        boot = _Boot(build, out, f"root-{kind}", _ROOT.format(kind=kind),
                     ["kunit.enable=0", f"rootfstype={kind}", *options])
        more, said = boot.run(accel.known(settings))
        wrong += more
        for words in (f"root is {kind}", "runs what it wrote"):
            if words not in said:
                wrong.append(f"{boot.name}: it did not say: {words}")
    return wrong


def suites(text):
    """(suites that passed, those that failed) of a console."""
    lines = [logscan.strip(line) for line in text.splitlines()]
    found = [re.match(r"(not )?ok \d+ (rust_\w+)", line) for line in lines]
    return ([match[2] for match in found if match and not match[1]],
            [match[2] for match in found if match and match[1]])


def modules(settings, build, folder, out):
    """Each module, of this folder, is loaded, runs its suites, and goes again."""
    objects = [next(folder.glob(f"**/{name}.ko")) for name in _NAMES]
    objects += (build / "fs").glob("mbcache.ko")  # which rust_ext2 wants, unless it is built in
    boot = _Boot(build, out, "modules", _MODULES,
                 ["rootfstype=ext2", "kunit.enable=1", "kunit.autorun=1"], objects)
    second = root.make(boot.image.parent / "second", "")
    wrong, _ = boot.run(accel.known(settings), [second])
    good, bad = suites(boot.log.read_text(encoding="utf-8", errors="replace"))
    if bad:
        wrong.append(f"suites failed: {' '.join(bad)}")
    for begin in ("rust_mpage_plan", "rust_ext2_", "rust_mpage_contract"):
        if not any(name.startswith(begin) for name in good):
            wrong.append(f"no suite {begin}* was run")
    return wrong


_BUILT_IN = dict.fromkeys(_OURS, "y") | {"CONFIG_EXT2_FS": "n"}
_MIXED = {**dict.fromkeys(_OURS, "m"), "CONFIG_RUST_MPAGE": "y", "CONFIG_EXT2_FS": "y"}
_LIVEPATCH = {"CONFIG_RUST_MPAGE_LIVEPATCH": "m"}
_MODULAR = dict.fromkeys(_OURS, "m") | {"CONFIG_EXT2_FS": "y"} | _LIVEPATCH
_PATCHES = _BUILT_IN | _LIVEPATCH


def each_patch(settings, here, build):
    """What is wrong with the patches, for checkpatch, or with the kernel after one of them."""
    wrong = series.checkpatch(here.tree, sorted((here.folder / "series").glob("*.patch")))
    repository = patches.Repository(here.tree, patches.identity_of(settings.top))
    make = ["make", "-C", here.tree, f"O={build}", *here.chain.make_args()]
    # an option that a patch does not have yet must not be lost for the next ones
    config = (build / ".config").read_text(encoding="utf-8")
    try:
        for number, name in enumerate(stages.STAGES, 1):
            repository.git("checkout", "-q", f"main~{stages.COUNT - number}")
            (build / ".config").write_text(config, encoding="utf-8")
            kept = here.folder / f"patch-{number}-{name}.log"
            for words in (["olddefconfig"], [f"-j{settings.jobs}", "vmlinux", "modules"]):
                command.step(f"patch {number}, {name}: {words[-1]}", [*make, *words], kept,
                             env=here.chain.environment())
            text = kept.read_text(encoding="utf-8", errors="replace")
            wrong += [f"patch {number}: {line}" for line in text.splitlines()
                      if line.startswith("warning:") or ": warning:" in line]
    except ui.Fail as failure:
        wrong.append(str(failure))
    repository.git("checkout", "-q", "main")
    return wrong


# name: (options of the kernel, what is done with it, what is wrong after that)
ALL = {
    "inkernel.root": (_BUILT_IN, lambda settings, _, *words: built_in(settings, *words)),
    "inkernel.patches": (_PATCHES, lambda settings, here, build, _:
                         each_patch(settings, here, build)),
    # it is built, which is what can fail
    "inkernel.mixed": (_MIXED, lambda *_: []),
    "inkernel.modules": (_MODULAR, lambda settings, _, build, out:
                         modules(settings, build, build / "fs/rust_mpage", out)),
}


def run(settings, names, outcome):
    """These tests."""
    with settings.cache.locked():
        out = guest.fresh_out(settings, "inkernel")
    with kunit.place(settings) as here:
        for name in names:
            begin = time.monotonic()
            options, use = ALL[name]
            try:
                wrong = use(settings, here, _build(settings, here, name, options), out)
            except ui.Fail as failure:
                wrong = [str(failure)]
            outcome.add(name, "fail" if wrong else "pass", "\n".join(wrong),
                        time.monotonic() - begin)
