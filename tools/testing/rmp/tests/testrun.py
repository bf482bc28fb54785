# SPDX-License-Identifier: GPL-2.0
"""`make test`: unit tests of this tool, KUnit suites, guest tests.

The guest tests share the boots of two guests, side by side: an emulated guest
is busy on little more than one processor. The first also runs the KUnit suites;
each takes the next test that neither has begun. The second has a single
processor, which spares it half of what waking each other costs two emulated ones;
it leaves the tests of things at the same time (runner.parallel) to the first. A test that kills its guest,
hangs in the kernel or oopses it fails, and that guest boots again for what is
left.
"""

import json
import os
import re
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from .. import cache, command, ui
from ..arm64 import machine as arm64
from ..build import dropin, modules, testtools
from ..debian import tests as debian
from ..guest import accel, guest, logscan
from ..guest.prepared import Prepared
from ..images import images
from ..images import recipes  # pylint: disable=unused-import  # registers them
from ..series import kunit, older
from ..series import tests as inkernel
from ..without import tests as without
from ..xfstests import whole
from . import ktap, labels, panics, powercut
from .outcome import Outcome

BOOT_LIMIT = 900  # seconds until the first marker; emulated, it takes about 60
STEP_LIMIT = 900  # loading a module runs its KUnit suites
SLACK = 120       # beyond a test's own time-out
MAX_BOOTS = 8
MEMORY = 4        # GiB, of each guest
IMAGE_DISK_SIZE = "1G"  # most of it is a hole
# what the names begin with of tests that have kernels of their own
OWN_KERNELS = ("debian", "inkernel", "kunit", "compat", "with", "make_xfstests")
# what is run on arm64 if nobody says what: where the size of a page and the order of memory count
ON_ARM64 = tuple(rf"^{name}\." for name in (
    "block_state", "blocks", "churn", "crash", "delayed", "delayed_cuts", "direct", "file_end",
    "file_io", "index", "known_runs", "namespace", "page_races", "quota", "seek",
    "twin", "xattr"))
# what the names of our KUnit suites begin with
SUITES = "rust_"
# tests that have a guest for themselves
SOLO = (powercut, panics, labels)
# these are nothing but KUnit suites
KUNIT_MODULES = ("rust_mpage_test", "rust_mpage_contract")


def unit_tests(settings, outcome):
    """The tests of this tool itself, and of what it runs in guests. Each is
    run with its class set up."""
    unit = settings.testing / "guest" / "unit"
    pending = [
        unittest.TestLoader().discover(str(folder), "test_*.py", str(top))
        for folder, top in ((settings.testing / "rmp", settings.testing),
                            (unit, unit))]
    while pending:
        item = pending.pop(0)
        if isinstance(item, unittest.TestSuite):
            pending[:0] = list(item)
            continue
        name = ".".join(item.id().split(".")[-3:])
        if not selected(settings, name):
            continue
        # a suite of one sets its class up, which a test does not
        result = unittest.TestSuite([item]).run(unittest.TestResult())
        trouble = [text for _, text in result.errors + result.failures]
        outcome.add(name, "fail" if trouble else "pass", "\n".join(trouble))


def selected(settings, name):
    return not settings.tests or any(
        re.search(pattern, name) for pattern in settings.tests)


def suites_wanted(settings):
    """Whether to run the KUnit suites, which takes minutes."""
    return not settings.tests or any(SUITES in text for text in settings.tests)


def ensure_images(settings):
    """Directory of the images that tests ask for. Needs the cache's lock."""

    def build(entry):
        with ui.Progress("test images") as step:
            try:
                images.build_all(entry, lambda done, total, name: step.update(
                    f"{name}, {done} of {total}", done / total))
            except images.ImageError as error:
                raise ui.Fail(f"test images: {error}") from error

    key = cache.digest(*images.key_inputs())
    return settings.cache.make("images", key, build)


def ensure_image_disk(settings, folder):
    """A disk that holds the images, which are mostly holes. Needs the cache's lock.

    A guest reads them ten times as fast from a disk as from a shared directory,
    and finds the holes.
    """

    def build(entry):
        command.step("disk of the test images", [
            "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-b", "4096",
            "-d", folder, entry / "disk", IMAGE_DISK_SIZE,
        ], settings.cache.logs / "image-disk.log")

    key = cache.digest(folder.name, IMAGE_DISK_SIZE)
    return settings.cache.make("imagedisk", key, build) / "disk"


class Guests:
    """What the guests of one run share. `patterns` say which tests are run, without the long
    ones, if the user does not."""

    def __init__(self, settings, prepared, folders, out, outcome, patterns=()):
        self.settings = settings
        self.patterns = settings.tests or list(patterns)
        self.prepared = prepared
        self.folders = folders
        self.out = out
        self.outcome = outcome
        self.plan = []
        self.stop = threading.Event()
        self.current = {}
        self.claims = out / "claims"
        self.claims.mkdir()

    def run(self):
        """Run everything; KUnit's results are the first guest's."""
        names = modules.names(self.prepared.objects)
        suites = suites_wanted(self.settings)
        sessions = [Session(self, 1, names, Session.WITH_KUNIT if suites
                            else Session.WITHOUT_KUNIT)]
        if not self.settings.tests and room_for_two():
            sessions.append(Session(self, 2, names, Session.WITHOUT_KUNIT))
        with ui.Progress(f"checked kernel, {len(sessions)} x {self.prepared.accel}") \
                as self.step, ThreadPoolExecutor() as pool:
            try:
                for future in [pool.submit(session.run) for session in sessions]:
                    future.result()
            except BaseException:
                self.stop.set()
                raise
        for name in self.plan:
            if name not in self.outcome.status:
                self.outcome.fail(name, "not run: no guest got to it")
        if suites:
            sessions[0].check_kunit()

    def progress(self):
        """One line for all guests."""
        begun = sum(1 for _ in self.claims.iterdir())
        self.step.update(f"{begun} tests begun, now " +
                         ", ".join(sorted(self.current.values())))


def room_for_two():
    """Whether the machine can hold two guests beside each other."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 30
    return (os.cpu_count() or 1) > 1 and memory >= 3 * MEMORY


class Session:
    """One guest: boots until every test has a result.

    The KUnit suites run until there are results of them, so once as a rule.
    """

    WITH_KUNIT = "with KUnit"
    WITHOUT_KUNIT = "without KUnit"

    def __init__(self, guests, number, names, kunit):
        self._guests = guests
        self._settings = guests.settings
        self._prepared = guests.prepared
        self._outcome = guests.outcome
        self._number = number
        self._names = names
        self._spans = []
        self._deadline = 0.0
        self._current = ""
        self._wanted = kunit
        self._kunit = False

    def run(self):
        for boot in range(1, MAX_BOOTS + 1):
            out = self._guests.out / f"guest{self._number}-boot{boot}"
            again = self._boot(out)
            self._read_log(out)
            if not again or self._guests.stop.is_set():
                break

    def _boot(self, out):
        """One boot; True if another one is needed."""
        machine = self._prepared.guest(memory=f"{MEMORY}G")
        machine.disks.append(guest.Disk(self._guests.folders["disk"]))
        machine.processors = 2 if self._number == 1 else 1
        names = self._names
        if self._wanted == self.WITHOUT_KUNIT or self._kunit:
            machine.kernel_options.append("kunit.enable=0")
            names = [name for name in names if name not in KUNIT_MODULES]
        fields = {
            "trees": self._prepared.trees(machine), "fstype": self._settings.fstype,
            "mount_options": self._settings.mount_options,
            "modules": [{"name": name} for name in names],
            "image_disk": "/dev/vda",
            "tools": [machine.share(name, self._guests.folders[name])
                      for name in ("tools",) if self._guests.folders[name]],
            "dropin": [machine.share(name, self._guests.folders[name])
                       for name in ("dropin",) if self._guests.folders[name]],
            "tests": f"{guest.IN_GUEST}/testing/guest/tests",
            "patterns": self._guests.patterns, "long": bool(self._settings.tests),
            "seconds": int(self._settings.seconds or 0),
            "seed": int(self._settings.seed or 0),
            "processors": machine.processors,
            "claims": machine.share("claims", self._guests.claims, writable=True),
            "scratch": "/run/scratch", "kmemleak": True,
        }
        self._deadline = time.monotonic() + BOOT_LIMIT
        self._current = "boot"
        log = out / "console.log"

        def limit():
            self._guests.current[self._number] = self._current
            self._guests.progress()
            return 0 if self._guests.stop.is_set() else \
                self._deadline - time.monotonic()

        status = guest.job(machine, self._settings, out, "runner.py", fields,
                           log, limit, self._on_line)
        return self._collect(out, log, status)

    def _on_line(self, line):
        found = logscan.MARKER.search(line)
        if not found:
            return
        kind, name, seconds = found.groups()
        if kind == "start":
            self._current = name
            limit = int(seconds) + SLACK if seconds else STEP_LIMIT
        else:
            limit = STEP_LIMIT
        self._deadline = time.monotonic() + limit

    def _collect(self, out, log, status):
        """Take the results of a boot; True if another one is needed."""
        complete, reboot, begun = False, False, False
        records = out / "results.jsonl"
        lines = records.read_text(encoding="utf-8").splitlines() \
            if records.exists() else []
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                continue  # the guest died while it wrote this line
            kind = record["kind"]
            if kind == "plan":
                self._guests.plan = record["tests"]
            elif kind == "test":
                begun = True
                self._outcome.add(record["name"], record["status"],
                                  record["message"], record["seconds"])
            elif kind == "step" and record["status"] == "fail":
                self._outcome.add(record["name"], "fail", record["message"])
            elif kind == "span":
                self._spans.append(record)
            elif kind == "kmemleak":
                self._leaks(record["leaks"])
            complete = complete or kind == "complete"
            reboot = reboot or kind == "reboot"
        self._spans.append({"name": "unload", "begin": 0, "end": 0})
        self._take_kunit(out)
        if complete:
            return False
        if reboot:
            return True
        return self._died(out, log, status, begun)

    def _died(self, out, log, status, begun):
        """The guest ended before the tests did; True if a new one may help."""
        if status is None:
            why = "the guest died or hung here"
        else:
            why = f"the guest's test runner ended with status {status}"
        self._outcome.add(self._current, "fail",
                          f"{why}\nits last words:\n{ui.tail(out / 'stdout', 12)}\n"
                          f"the end of its console:\n{ui.tail(log, 25)}")
        if self._current in self._guests.plan:
            return True
        return begun and status is None and not self._current.startswith("unload.")

    def _take_kunit(self, out):
        if self._kunit:
            return
        results = ktap.read(self._prepared.source, out / "kunit")
        self._kunit = bool(results)
        for name, status, message in results:
            if status == "fail" or selected(self._settings, name):
                self._outcome.add(name, status, message)

    def _leaks(self, leaks):
        """A lost object belongs to the test that ran when it was allocated."""
        for leak in leaks:
            name, when = "kmemleak", leak["seconds"]
            for span in self._spans:
                if when is not None and span["begin"] - 1 <= when <= span["end"] + 1:
                    name = span["name"]
                    break
            self._outcome.fail(name, leak["report"])

    def _read_log(self, out):
        records = out / "results.jsonl"
        allowed = {}
        if records.exists():
            for line in records.read_text(encoding="utf-8").splitlines():
                if '"allowed"' in line:
                    record = json.loads(line)
                    allowed[record["name"]] = record["allowed"]
        text = (out / "console.log").read_text(encoding="utf-8", errors="replace")
        for complaint in logscan.scan(text.splitlines(), allowed):
            self._outcome.fail(complaint.test, "in the kernel log:\n" +
                               "\n".join("  " + line for line in complaint.lines))

    def check_kunit(self):
        """A kernel with KUnit that ran no suite has not been tested."""
        on = self._prepared.kernel.config().get("CONFIG_KUNIT", "n") != "n"
        if on and not self._kunit:
            self._outcome.fail("kunit", "the kernel has KUnit, and no suite was run")


def on_debian(settings, outcome):
    """The tests on Debian's own kernel, which are long: by name only."""
    wanted = [test for test in debian.ALL if settings.tests
              and selected(settings, test.NAME)]
    if not wanted:
        return
    with settings.cache.locked():
        out = guest.fresh_out(settings, "debian")
        try:
            prepared = [test.prepare(settings, out) for test in wanted]
        except ui.Fail as failure:
            for test in wanted:
                outcome.add(test.NAME, "fail", str(failure))
            return
    for test, disk in zip(wanted, prepared):
        test.run(settings, disk, accel.known(settings), out, outcome)


def in_tree(settings, outcome):
    """The tests of kernels that have the modules in their tree: by name only."""
    wanted = [name for name in inkernel.ALL if settings.tests and selected(settings, name)]
    if wanted:
        inkernel.run(settings, wanted, outcome)


def by_kunit(settings, outcome):
    """The suites on processors, by kunit.py: by name only."""
    wanted = [name for name in kunit.NAMES if settings.tests and selected(settings, name)]
    if wanted:
        kunit.run(settings, wanted, outcome)


def without_options(settings, outcome):
    """The tests of kernels without an option: by name only."""
    wanted = [name for name in without.NAMES if settings.tests and selected(settings, name)]
    if wanted:
        without.run(settings, wanted, outcome)


def on_older(settings, outcome):
    """The tests of older kernels: by name only."""
    wanted = [name for name in older.NAMES if settings.tests and selected(settings, name)]
    older.run(settings, wanted, outcome)


def of_xfstests(settings, outcome):
    """The test of `make xfstests`: by name only."""
    if settings.tests and selected(settings, whole.NAME):
        whole.run(settings, outcome)


def not_on_arm64():
    """The names of tests with kernels, or boots, of their own, which are of this machine's
    processor."""
    return [*(test.NAME for test in debian.ALL), *inkernel.ALL, *kunit.NAMES, *without.NAMES,
            *older.NAMES, whole.NAME, *(solo.NAME for solo in SOLO)]


def checked_wanted(patterns):
    """Whether these may be names of tests that run on the checked kernel."""
    return not patterns or not all(text.removeprefix("^").startswith(OWN_KERNELS)
                                   for text in patterns)


def on_arm64(settings):
    """The KUnit suites and a part of the tests, with pages of each size; the exit status."""
    flavours = [name for name in arm64.FLAVOURS if name.startswith(settings.arch)]
    status, is_run = 0, False
    for flavour in flavours:
        outcome = Outcome()
        with settings.cache.locked():
            prepared = arm64.Prepared(settings, flavour)
            pictures = ensure_images(settings)
            folders = {"disk": ensure_image_disk(settings, pictures),
                       # these are for this machine's processor
                       "tools": None, "dropin": None}
            out = guest.fresh_out(settings, flavour)
        ui.say(f"arm64 with pages of {arm64.FLAVOURS[flavour]} bytes:")
        Guests(settings, prepared, folders, out, outcome, ON_ARM64).run()
        # with pages of one size all may be skipped
        if outcome.count("pass") + outcome.count("fail"):
            status |= outcome.close(out, prepared.boots_again())
            is_run = True
    if not is_run:
        raise ui.Fail("no test was run")
    return status


def main(settings):
    settings.check_patterns()
    if settings.arch:
        others = [name for name in not_on_arm64() if settings.tests and selected(settings, name)]
        if others:
            raise ui.Fail(f"these are run without ARCH=: {' '.join(others)}")
        return on_arm64(settings)
    outcome = Outcome()
    on_debian(settings, outcome)
    in_tree(settings, outcome)
    by_kunit(settings, outcome)
    without_options(settings, outcome)
    on_older(settings, outcome)
    of_xfstests(settings, outcome)
    if not checked_wanted(settings.tests):
        return outcome.close(settings.cache.path / "results", 0)
    with settings.cache.locked():
        prepared = Prepared(settings, "rt" if settings.kernel == "rt" else "checked")
        pictures = ensure_images(settings)
        folders = {"disk": ensure_image_disk(settings, pictures),
                   "tools": testtools.ensure(settings),
                   "dropin": dropin.for_tests(settings, prepared)}
        out = guest.fresh_out(settings, "test")
    unit_tests(settings, outcome)
    Guests(settings, prepared, folders, out, outcome).run()
    with ThreadPoolExecutor(2 if room_for_two() else 1) as pool:
        for done in [pool.submit(solo.run, settings, prepared, pictures, out, outcome)
                     for solo in SOLO if selected(settings, solo.NAME)]:
            done.result()
    return outcome.close(out, prepared.boots_again())
