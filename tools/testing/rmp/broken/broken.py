# SPDX-License-Identifier: GPL-2.0
"""`make broken`: promises are broken in a copy of the sources, one after the other, and
the modules are built of each; then the tests that are to notice run in a guest, and have to
pass with the modules as they are, and to fail with the broken ones. TESTS= says which
promises:

    make broken TESTS='order.rename dirsync'

A test that does not notice is a mistake of the test, and so is one that always fails.
"""

import json
import re
import shutil

from .. import command, ui
from ..build import modules, testtools
from ..cache import Cache, remove
from ..guest import guest
from ..guest.prepared import Prepared
from ..tests import ktap, testrun
from . import promises
from .promise import Broken

LIMIT = 1200  # seconds for a guest, and for each promise in it
PROCESSORS = 2
WHOLE = "as they are"
MODULES = {"rust_mpage": "rust_mpage.ko", "rust_ext2": "ext2/rust_ext2.ko"}  # in this order
_SAYS = re.compile(r"\w*(Error|Exception|Timeout)\b")


def apply(broken, read):
    """{source: its text with the promise broken}; read(source) is what it has."""
    changed = {}
    for path, old, new in broken.edits:
        text = changed.get(path) or read(path)
        if text.count(old) != 1:
            raise ui.Fail(f"{broken.name}: {path} has not once, but {text.count(old)} "
                          f"times:\n{old}")
        changed[path] = text.replace(old, new)
    return changed


class Workshop:
    """A build of the sources in which one promise at a time is broken, so that only one
    module has to be built anew. Needs the lock of the folder that it is in."""

    def __init__(self, settings, prepared, folder):
        self._settings = settings
        self._prepared = prepared
        self._source = folder / "source"
        self.objects = folder / "objects"
        for old in (self._source, self.objects):
            remove(old)
        modules.mirror(settings.top, self._source)
        self.objects.mkdir()
        self._make(WHOLE)

    def _make(self, what):
        chain = self._prepared.chain
        words = [f"M={self._source}", f"MO={self.objects}",
                 f"-j{self._settings.jobs}", "modules"]
        command.step(f"modules: {what}", self._prepared.kernel.make(chain, *words),
                     self._settings.cache.logs / "broken.log", env=chain.environment())

    def build(self, broken, target):
        """The modules with the promise broken, in the new folder `target`."""
        def read(path):
            return (self._settings.top / path).read_text(encoding="utf-8")

        changed = apply(broken, read)
        for path, text in changed.items():
            (self._source / path).write_text(text, encoding="utf-8")
        try:
            self._make(broken.name)
        finally:
            for path in changed:
                (self._source / path).write_text(read(path), encoding="utf-8")
        self.save(target)

    def save(self, target):
        """The modules that were built last, in the new folder `target`."""
        target.mkdir()
        for name, path in MODULES.items():
            shutil.copyfile(self.objects / path, target / f"{name}.ko")


def why(message):
    """The line that says what a test has seen."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    said = [line for line in lines if _SAYS.match(line)]
    return (said or lines or ["?"])[0][:160]


def read(path):
    """{test: (status, message)} of the results of a promise."""
    found = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["kind"] == "test":
                found[record["name"]] = record["status"], record["message"]
    return found


def whole(wanted):
    """What has all the tests of these promises run with the modules as they are: the guest's,
    and each suite of KUnit, of which a module has one at a time."""
    tests = {}
    for one in wanted:
        tests.setdefault(one.suite(), set()).update(one.red)
    return [Broken(f"{WHOLE.replace(' ', '_')}{'.' if suite else ''}{suite}",
                   "nothing is broken", (), tuple(sorted(names)))
            for suite, names in sorted(tests.items())]


def judge(broken, results, unbroken):
    """Lines about each test that should have noticed, and whether all have. `unbroken` are
    the results of the modules as they are."""
    lines, is_red = [f"{broken.name}: {broken.promise}"], True
    for name in broken.red:
        status, message = results.get(name, ("not run", ""))
        before = unbroken.get(name, ("not run", ""))[0]
        if before != "pass":
            is_red = False
            lines.append(f"    {before.upper():8} {name}, as the modules are")
        elif status == "fail":
            lines.append(f"    red      {name}: {why(message)}")
        else:
            is_red = False
            lines.append(f"    {status.upper():8} {name}")
    return lines, is_red


def run(settings, prepared, folders, built, out):
    """(promise, results) of each that was built, in this order and in as many guests as it
    takes: who kills a guest is not tried again. `folders` are the disk of images and the
    tools for tests."""
    disk, tools = folders
    left = list(built)
    while left:
        machine = prepared.guest(memory=f"{testrun.MEMORY}G")
        machine.disks.append(guest.Disk(disk))
        machine.processors = PROCESSORS
        # the suites that are wanted are chosen with the modules
        machine.kernel_options.append("kunit.filter_glob=none")
        folder = machine.share("broken", out)
        jobs = [{"name": one.name, "tests": one.red, "suite": one.suite(),
                 "modules": {name: f"{folder}/{one.name}/{name}.ko" for name in MODULES}}
                for one in left]
        fields = {"trees": prepared.trees(machine), "fstype": "rust_ext2",
                  "image_disk": "/dev/vda", "broken": jobs, "processors": PROCESSORS,
                  "tests": f"{guest.IN_GUEST}/testing/guest/tests", "seed": 0,
                  "seconds": 0, "scratch": "/run/scratch", "dropin": [],
                  "tools": [machine.share("tools", tools)] if tools else []}
        here = out / f"boot{len(built) - len(left)}"
        with ui.Progress(f"checked kernel, {len(left)} builds"):
            guest.job(machine, settings, here, "broken.py", fields, here / "console.log",
                      guest.until(LIMIT * (1 + len(left))))
        begun = [one for one in left if (here / f"{one.name}.jsonl").exists()]
        if not begun:
            raise guest.fail_no_boot(here / "console.log", here)
        for one in begun:
            yield one, (read(here / f"{one.name}.jsonl") |
                        {name: (status, message) for name, status, message
                         in ktap.read(prepared.source, here / one.name / "kunit")})
        left = left[len(begun):]


def main(settings):
    settings.check_patterns()
    wanted = [one for one in promises.ALL if testrun.selected(settings, one.name)]
    if not wanted:
        raise ui.Fail("there is no such promise; there are: " +
                      " ".join(one.name for one in promises.ALL))
    with settings.cache.locked():
        prepared = Prepared(settings, "checked")
        disk = testrun.ensure_image_disk(settings, testrun.ensure_images(settings))
        tools = testtools.ensure(settings)
        out = guest.fresh_out(settings, "broken")
    folder = settings.cache.path / "broken"
    green = []
    with Cache(folder).locked():
        workshop = Workshop(settings, prepared, folder)
        built, unbroken = [], whole(wanted)
        for one in unbroken:
            workshop.save(out / one.name)
        for one in wanted:
            try:
                workshop.build(one, out / one.name)
                built.append(one)
            except ui.Fail as failure:
                ui.say(f"{one.name}: cannot be broken so: {failure}")
                green.append(one.name)
        prepared.objects = workshop.objects
        before = {}
        for one, results in run(settings, prepared, (disk, tools), unbroken + built, out):
            if one in unbroken:
                before |= results
                continue
            lines, is_red = judge(one, results, before)
            ui.say("\n".join(lines))
            green += [] if is_red else [one.name]
    ui.say(f"\n{len(wanted)} promises broken, {len(green)} not noticed" +
           (": " + " ".join(green) if green else ""))
    return 1 if green else 0
