# SPDX-License-Identifier: GPL-2.0
"""A guest that does not come up."""

import unittest
from pathlib import Path
from unittest import mock

from rmp.guest import guest, prepared


class Console(unittest.TestCase):
    def setUp(self):
        self.seconds = 0
        self.lines = []

    def console(self, patient=False):
        return guest._Console(self.lines.append, patient, now=lambda: self.seconds)

    def test_silence_while_booting(self):
        console = self.console()
        self.seconds = guest.STILL
        self.assertFalse(console.stands_still())
        self.seconds += 1
        self.assertTrue(console.stands_still())
        console.line("smp: Brought up 1 node, 2 CPUs")
        self.assertFalse(console.stands_still())
        self.assertEqual(self.lines, ["smp: Brought up 1 node, 2 CPUs"])

    def test_silence_of_a_job(self):
        console = self.console()
        console.line("virtme-ng-init: starting script (console fallback)")
        self.seconds = 10 * guest.STILL
        self.assertFalse(console.stands_still())

    def test_timer_measured_wrong(self):
        """Told at once, not when it has been silent."""
        said = "APIC delta adjusted to PM-Timer: {} (202619498)"
        for count, wrong in ((6_249_477, False), (6_250_342, False), (840_890_179, True),
                             (4904, True)):
            console = self.console()
            console.line(said.format(count))
            self.assertEqual(console.stands_still(), wrong, count)

    def test_the_last_boot(self):
        console = self.console(patient=True)
        self.seconds = 10 * guest.STILL
        self.assertFalse(console.stands_still())


class Again(unittest.TestCase):
    """A boot that stood still is counted."""

    def prepared(self):
        made = object.__new__(prepared.Prepared)
        made.virtme, made.accel, made._guests = "virtme-run", "tcg", []
        made.kernel = mock.Mock(image="bzImage")
        return made

    def boot(self, machine, still):
        """Run a guest that stands still `still` times."""
        boots = []

        def run(_argv, _log, _limit, console, _record):
            boots.append(console)
            if len(boots) > still:
                return True
            console._heard -= guest.STILL + 1
            return False

        with mock.patch.object(guest, "_run", run), \
                mock.patch.object(guest.ui, "warn"):
            ended = machine.run("true", Path("/dev/null"), lambda: 1)
        return ended, len(boots)

    def test_boots_of_all_guests(self):
        made = self.prepared()
        self.assertEqual(self.boot(made.guest(), 0), (True, 1))
        self.assertEqual(made.boots_again(), 0)
        self.assertEqual(self.boot(made.guest(), 2), (True, 3))
        self.assertEqual(self.boot(made.guest(), 1), (True, 2))
        self.assertEqual(made.boots_again(), 3)


if __name__ == "__main__":
    unittest.main()
