# SPDX-License-Identifier: GPL-2.0
"""`make test`: unit tests of this tool, KUnit suites, guest tests.

All guest tests share one boot of the checked kernel. A test that kills the
guest, hangs in the kernel or oopses it fails, and the tests after it get a new
boot.
"""

import json
import re
import time
import unittest

from . import cache, guest, images, ktap, logscan, modules, ui
from .outcome import Outcome
from .prepare import Prepared

BOOT_LIMIT = 900  # seconds until the first marker; emulated, it takes about 60
STEP_LIMIT = 900  # loading a module runs its KUnit suites
SLACK = 120       # beyond a test's own time-out
MAX_BOOTS = 8


def unit_tests(settings, outcome):
    """The tests of this tool itself."""
    folder = settings.testing / "rmp" / "tests"
    suite = unittest.defaultTestLoader.discover(
        str(folder), top_level_dir=str(settings.testing))
    pending = [suite]
    while pending:
        item = pending.pop(0)
        if isinstance(item, unittest.TestSuite):
            pending[:0] = list(item)
            continue
        name = ".".join(item.id().split(".")[-3:])
        if not selected(settings, name):
            continue
        result = item.run()
        trouble = [text for _, text in result.errors + result.failures]
        outcome.add(name, "fail" if trouble else "pass", "\n".join(trouble))


def selected(settings, name):
    return not settings.tests or any(
        re.search(pattern, name) for pattern in settings.tests)


def ensure_images(settings):
    """Directory of the images that tests ask for. Needs the cache's lock."""
    recipes = settings.testing / "guest" / "tests" / "images.py"
    images.load(str(recipes))

    def build(entry):
        with ui.Progress("test images") as step:
            try:
                images.build_all(entry, lambda done, total, name: step.update(
                    f"{name}, {done} of {total}", done / total))
            except images.ImageError as error:
                raise ui.Fail(f"test images: {error}") from error

    key = cache.digest(*images.key_inputs(str(recipes)))
    return settings.cache.make("images", key, build)


class Session:
    """Boots until every test has a result."""

    def __init__(self, settings, prepared, pictures, out, outcome):
        self._settings = settings
        self._prepared = prepared
        self._pictures = pictures
        self._out = out
        self._outcome = outcome
        self._done = []
        self._plan = None
        self._spans = []
        self._deadline = 0.0
        self._current = ""
        self._kunit = False

    def run(self):
        for number in range(1, MAX_BOOTS + 1):
            out = self._out / f"boot{number}"
            again = self._boot(out)
            self._read_log(out)
            if not again:
                break
        for name in self._plan or []:
            if name not in self._done:
                self._outcome.fail(name, "not run: the guest did not get to it")

    def _boot(self, out):
        """One boot; True if another one is needed."""
        machine = self._prepared.guest(memory="4G")
        names = modules.names(self._prepared.objects)
        fields = {
            "trees": self._prepared.trees(machine), "fstype": self._settings.fstype,
            "modules": [{"name": name} for name in names],
            "images": [machine.share("images", self._pictures)],
            "tests": f"{guest.IN_GUEST}/testing/guest/tests",
            "patterns": self._settings.tests, "done": self._done,
            "scratch": "/run/scratch", "kmemleak": True,
        }
        self._deadline = time.monotonic() + BOOT_LIMIT
        self._current = "boot"
        log = out / "console.log"
        with ui.Progress(f"guest, checked kernel ({self._prepared.accel})") as step:

            def limit():
                step.update(f"{len(self._done)} tests done, now {self._current}")
                return self._deadline - time.monotonic()

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
                self._plan = record["tests"]
            elif kind == "test":
                begun = True
                self._done.append(record["name"])
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
        if self._plan and self._current in self._plan:
            self._done.append(self._current)
            return True
        return begun and self._plan is not None and status is None and \
            not self._current.startswith("unload.")

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


def main(settings):
    outcome = Outcome()
    with settings.cache.locked():
        prepared = Prepared(settings, "checked")
        pictures = ensure_images(settings)
        out = guest.fresh_out(settings, "test")
    unit_tests(settings, outcome)
    session = Session(settings, prepared, pictures, out, outcome)
    session.run()
    session.check_kunit()
    return outcome.close(out)
