# SPDX-License-Identifier: GPL-2.0
"""The results of all tests of one run, added up and printed."""

from .. import ui


class Outcome:
    """{name: status}, and why the failed ones failed."""

    WORDS = {"pass": "ok", "fail": "FAIL", "skip": "skip"}

    def __init__(self):
        self.status = {}
        self.reasons = {}

    def add(self, name, status, message="", seconds=None):
        """One result; a failure is not undone by a later success."""
        if self.status.get(name) == "fail":
            status = "fail"
        self.status[name] = status
        if status == "fail" and message:
            self.reasons.setdefault(name, []).append(message)
        took = f" ({ui.duration(seconds)})" if seconds and seconds >= 1 else ""
        why = f": {message}" if status == "skip" and message else ""
        ui.say(f"  {self.WORDS[status]:<4}  {name}{took}{why}")

    def fail(self, name, message):
        """A test fails for something that was found out later."""
        if self.status.get(name) != "fail":
            self.status[name] = "fail"
        self.reasons.setdefault(name, []).append(message)

    def count(self, status):
        return sum(1 for word in self.status.values() if word == status)

    def close(self, logs, boots_again):
        """Print the failures and the last two lines; the exit status.

        What reads the counts of tests wants them alone in a line.
        """
        for name, messages in self.reasons.items():
            ui.say(f"\nFAIL  {name}")
            for message in messages:
                for line in message.rstrip().splitlines():
                    ui.say(f"    {line}")
        failed, passed, skipped = map(self.count, ("fail", "pass", "skip"))
        if failed:
            ui.say(f"\nlogs: {logs}")
        ui.say(f"\n{passed} passed, {failed} failed" +
               (f", {skipped} skipped" if skipped else ""))
        ui.say(f"guests booted again: {boots_again}")
        if passed + failed == 0:
            raise ui.Fail("no test was run")
        return 1 if failed else 0
