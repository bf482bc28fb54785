# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel with virtme-ng, run one job in it, bring the results back.

The guest's root is the host's, read-only over 9p. Directories of ours appear in
it at fixed places under /run, so that it does not matter where they are on the
host. Results come back as files in a directory that the guest may write; the
console is kept whole in a log, and is what is left when a guest dies.

A guest that is not done in time is killed, with everything it started. One that
stands still before its userland has come up, which an emulated machine with two
processors does now and then, is booted again; what its processors do then is
written down first (still.py).
"""

import json
import os
import re
import subprocess
import tempfile
import threading
import time

from .. import command, ui
from . import still

IN_GUEST = "/run/rust_mpage"
PYTHON = "/usr/bin/python3"

# A question to the host takes longer than anything else in an emulated guest,
# so what the host does not change meanwhile is asked for once.
KEPT = "version=9p2000.L,trans=virtio,access=any,msize=524288,cache=loose"

_LONGEST = 7200  # seconds that a run may take
STILL = 180  # seconds without a word from a kernel that boots
BOOTS = 3
_BOOTED = re.compile(r"virtme-ng-init: starting script|rust_mpage: the job begins")
# The kernel measures the local APIC's timer for 100 ms, and corrects the result by the
# PM timer. It reads one after the other: if the emulator is held up in between, a timer
# takes many times too long from then on (Documentation/testing.rst). QEMU's counts this far.
_MEASURED = re.compile(r"APIC delta adjusted to PM-Timer: (\d+)")
_COUNT = 6_250_000


def _keep(points):
    """Shell words that mount shares again so that what was read is kept.

    The table of mounts is read before: a share that is mounted again is at its end.
    """
    return ("while read -r tag point type rest; do "
            f"case ' {' '.join(points)} ' in *\" $point \"*) "
            f"umount $point && mount -n -t 9p -o ro,{KEPT} $tag $point;; "
            "esac; done <<MOUNTS\n$(cat /proc/mounts)\nMOUNTS\n")


class Disk:
    """A file as a virtio disk: the first is /dev/vda, and so on."""

    READ_ONLY = "readonly=on,file.locking=off"
    READ_WRITE = "readonly=off"
    OVERLAY = "readonly=off,snapshot=on"  # writes go to a file that is forgotten
    SCRATCH = "readonly=off,cache=unsafe"  # of no use once the host has died

    def __init__(self, path, mode=READ_ONLY):
        self.path = path
        self.mode = mode

    def options(self, number):
        path = str(self.path).replace(",", ",,")
        return ["-drive",
                f"file={path},if=none,id=disk{number},format=raw,{self.mode}",
                "-device", f"virtio-blk-pci,drive=disk{number}"]


class Guest:
    """What to boot. `shares` maps a name to a directory: IN_GUEST/name.

    accel: "kvm", "tcg", or "icount" for one emulated processor whose time is
    the number of its instructions. `kernel_options`: more for the kernel's
    command line; `qemu`: more options for QEMU.
    """

    def __init__(self, virtme, kernel, accel, memory="3G"):
        self.processors = 1 if accel == "icount" else 2
        self._virtme = virtme
        self._kernel = kernel
        self.accel = accel
        self._memory = memory
        self.shares = {}
        self.disks = []
        self.kernel_options = []
        self.qemu = []
        self.boots_again = 0

    def share(self, name, path, writable=False):
        self.shares[name] = (path, writable)
        return f"{IN_GUEST}/{name}"

    def add(self, disk):
        """One more disk; the name of its device in the guest."""
        self.disks.append(disk)
        return f"/dev/vd{chr(ord('a') + len(self.disks) - 1)}"

    def devices(self):
        """QEMU's options for shares and disks, for who boots without virtme-ng."""
        argv = []
        for name, (path, writable) in self.shares.items():
            readonly = "" if writable else ",readonly=on"
            argv += ["-virtfs", f"local,path={path},mount_tag={name},security_model=none"
                     f"{readonly},multidevs=remap"]
        for number, disk in enumerate(self.disks):
            argv += disk.options(number)
        return argv

    def command(self, words):
        argv = [self._virtme, "--kimg", str(self._kernel.image), "--mods", "none",
                "--memory", self._memory, "--force-9p",
                "--cpus", str(self.processors),
                "--name", "rust-mpage", "--cwd", "/", "--disable-monitor",
                f"--kopt=rootflags={KEPT}"]
        if self.accel != "kvm":
            # The kernel's test of the timer expects a machine that keeps time;
            # an emulated one on a busy host does not, and the kernel panics.
            argv += ["--disable-kvm", "--kopt=no_timer_check"]
        argv += [f"--kopt={option}" for option in self.kernel_options]
        for name, (path, writable) in self.shares.items():
            flag = "--rwdir" if writable else "--rodir"
            argv.append(f"{flag}={IN_GUEST}/{name}={path}")
        options = []
        for number, disk in enumerate(self.disks):
            options += disk.options(number)
        if self.accel == "tcg":
            # Emulated "rep movsb" goes byte by byte, so the guest is told that
            # it is not fast: reading through the page cache is eight times as
            # quick without it. With five levels of page tables, KASAN takes every
            # address for wild while the boot processor is identified.
            options += ["-accel", "tcg,thread=multi",
                        "-cpu", "max,-erms,-fsrm,la57=off"]
            # It does not speculate either. Where the kernel is has to be known to say
            # what it does if it stands still.
            argv += ["--kopt=mitigations=off", "--kopt=nokaslr"]
        elif self.accel == "icount":
            # The instruction clock: a nanosecond of the guest's time is an
            # instruction, whatever the host does meanwhile.
            options += ["-accel", "tcg,thread=single", "-cpu", "max,-erms,-fsrm",
                        "-icount", "shift=0,sleep=off"]
        options += self.qemu
        for option in options:
            argv.append(f"--qemu-opt={option}")
        return argv + words

    def run(self, shell, log, limit, on_line=lambda line: None):
        """Run a shell command in the guest; the console goes to `log`.

        limit() says how many seconds the guest may still take. True if the
        guest ended by itself. `boots_again` counts the boots that stood still; the
        log says what their processors did.
        """
        words = [
            "--show-boot-console", "--verbose", "-a", "ignore_loglevel",
            "-a", "printk.devkmsg=on", "--script-sh", shell,
        ]
        log.parent.mkdir(parents=True, exist_ok=True)
        for boot in range(1, BOOTS + 1):
            console = _Console(on_line, patient=boot == BOOTS)
            ended = self._boot(words, log, limit, console)
            if ended or limit() <= 0 or not console.stands_still():
                break
            self.boots_again += 1
            ui.warn(f"the guest stood still while it booted: once more ({log})")
        return ended

    def _boot(self, words, log, limit, console):
        # a short path, as a socket's must be
        with tempfile.TemporaryDirectory(prefix="rmp-") as folder:
            monitor = os.path.join(folder, "monitor")
            argv = self.command([f"--qemu-opt={option}" for option in
                                 still.options(monitor)] + words)
            return _run(argv, log, limit, console,
                        lambda: still.record(monitor, self._kernel.build))


class _Console:
    """What a guest says, and whether it still says something while it boots, or will."""

    def __init__(self, on_line, patient, now=time.monotonic):
        self._on_line = on_line
        self._patient = patient
        self._is_wrong = False
        self._now = now
        self._heard = now()

    def line(self, text):
        """The guest has said something."""
        self._patient = self._patient or bool(_BOOTED.search(text))
        measured = _MEASURED.search(text)
        if measured:
            self._is_wrong = not _COUNT / 2 < int(measured[1]) < _COUNT * 2
        self._heard = self._now()
        self._on_line(text)

    def stands_still(self):
        """It should be booted again."""
        silent = self._now() - self._heard > STILL
        return not self._patient and (silent or self._is_wrong)


def _run(argv, log, limit, console, record):
    """Start a guest; True if it ended by itself. If it stands still, what record() says
    of it goes to the log."""
    with open(log, "ab") as out:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
            env=command.environment(),
        )
        reader = threading.Thread(
            target=_copy, args=(process.stdout, out, console.line), daemon=True)
        reader.start()
        try:
            ended = _wait(process, limit, console)
            if not ended and console.stands_still():
                out.write(record().encode())
            return ended
        finally:
            command.end_group(process)
            reader.join(10)


def _copy(pipe, out, on_line):
    with pipe:
        for line in pipe:
            out.write(line)
            out.flush()
            on_line(line.decode("utf-8", "replace").rstrip())


def _wait(process, limit, console):
    while True:
        try:
            process.wait(0.2)
            return True
        except subprocess.TimeoutExpired:
            if limit() <= 0 or console.stands_still():
                return False


def until(seconds):
    """A limit() for Guest.run: so many seconds from now."""
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


def job(guest, settings, out, script, fields, log, limit, on_line=lambda line: None):
    """Run tools/testing/guest/<script> with a job file; its exit status.

    None: the guest did not get so far, or was killed.
    """
    out.mkdir(parents=True, exist_ok=True)
    code = guest.share("testing", settings.testing)
    where = guest.share("out", out, writable=True)
    fields = dict(fields, out=where)
    (out / "job.json").write_text(json.dumps(fields, indent=1), encoding="utf-8")
    status = out / "status"
    status.unlink(missing_ok=True)
    # emulated vector instructions are slow, too: let OpenSSL hash without them
    plain = "" if guest.accel == "kvm" else "OPENSSL_ia32cap=0 "
    kept = _keep(f"{IN_GUEST}/{name}" for name, (_, writable) in guest.shares.items()
                 if not writable)
    shell = (f"{kept}export PYTHONDONTWRITEBYTECODE=1 {plain}"
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin; "
             f"{PYTHON} {code}/guest/{script} {where}/job.json "
             f">{where}/stdout 2>&1 </dev/null; "
             f"echo $? >{where}/status; sync -f {where}/status")
    # the kernel's command line is too short for it
    (out / "job.sh").write_text(shell, encoding="utf-8")
    guest.run(f". {where}/job.sh", log, limit, on_line)
    try:
        return int(status.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def fail_no_boot(log, out):
    """The message for a guest that did not do its job."""
    told = ui.tail(out / "stdout")
    return ui.Fail(
        "the guest did not finish its job\n" +
        (f"its last words:\n{told}\n" if told else "") +
        f"the last lines of its console:\n{ui.tail(log)}\nthe whole log: {log}"
    )


def fresh_out(settings, name):
    """A new directory for results, in the cache; the last one's is replaced."""
    path = settings.cache.path / "results" / f"{name}-{os.getpid()}"
    path.mkdir(parents=True)
    last = settings.cache.path / "results" / name
    new = path.with_name(name + ".new")
    new.unlink(missing_ok=True)
    new.symlink_to(path.name)
    new.rename(last)
    runs = sorted(path.parent.glob(f"{name}-*"), key=lambda run: run.stat().st_mtime)
    for old in runs[:-5]:
        # not one that another make may be filling
        if time.time() - old.stat().st_mtime > _LONGEST:
            command.text("rm", "-rf", "--", old)
    return path
