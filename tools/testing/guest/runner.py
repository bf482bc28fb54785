# SPDX-License-Identifier: GPL-2.0
"""Run guest tests: find them, run each in its own process, record results.

    runner.py JOB.json

The job names the directories, the modules to load and the tests to run; the
host wrote it (tools/testing/rmp/tests/testrun.py). A test is a function
`test_*(ctx)` in a test_*.py below tests/; its name is "file.function" without the
prefixes "test_". See context.py for what `ctx` offers.

Results go to results.jsonl, one JSON object a line, synced after each test, so
that a guest that dies loses nothing but the test it died in; KTAP goes to
standard output. The kernel log gets a line at the start and the end of each
test, by which the host tells which test a kernel message belongs to.

A test runs in a child process: one that oopses the kernel is killed without the
runner, and one that hangs in the kernel is left behind. After either the kernel
is not trusted any more: the runner ends with status 3, and the host boots again
for the tests that are left.
"""

import importlib
import json
import mmap
import os
import re
import signal
import sys
import time
import traceback

import context
import kleak
import sysapi

DEFAULT_TIMEOUT = 120
MARKER = "rust_mpage_test:"
NEED_REBOOT = 3
TAINT_DIE = 1 << 7
KUNIT = "/sys/kernel/debug/kunit"
NO_SUITE = "none"  # a glob


def timeout(seconds):
    """Decorator: let the test take `seconds`."""

    def mark(function):
        function.timeout = seconds
        return function

    return mark


def timed(seconds):
    """Decorator: the test works for so long, or for the SECONDS= of the user.

    It asks ctx.seconds, and gets that time on top of its time-out.
    """

    def mark(function):
        function.seconds = seconds
        return function

    return mark


def by_chance():
    """A seed for a long test: the short ones have one that is written down, so that
    what has passed passes again."""
    return 1 + time.time_ns() // 1_000_000 % 1_000_000_000


def long(function):
    """Decorator: run the test only when it is asked for by name."""
    function.long = True
    return function


def parallel(function):
    """Decorator: what it tests needs two processors."""
    function.processors = 2
    return function


def pages_of_4k(function):
    """Decorator: what it wants to see is written down for pages of 4 KiB."""
    function.page_size = 4096
    return function


class Case:
    """One test function and its name."""

    def __init__(self, name, function):
        self.name = name
        self.function = function
        self.timeout = getattr(function, "timeout", DEFAULT_TIMEOUT)
        self.seconds = getattr(function, "seconds", 0)
        self.long = getattr(function, "long", False)
        self.processors = getattr(function, "processors", 1)
        self.page_size = getattr(function, "page_size", mmap.PAGESIZE)

    def take_time(self, job):
        """Count in how long the test works by choice."""
        if self.seconds:
            self.seconds = job.get("seconds") or self.seconds
            self.timeout += self.seconds


def find_files(top):
    """Names of all files in the folders of a directory, whose names are unique: they are
    imported by them from anywhere."""
    found = []
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name != "__pycache__"]
        files = [name for name in names if name.endswith(".py")]
        if files:
            sys.path.insert(0, folder)
        found += files
    twice = {name for name in found if found.count(name) > 1}
    if twice:
        raise ImportError(f"more than one file has the name {min(twice)}")
    return found


def discover(top):
    """All cases of a directory, by file name and then by place in the file."""
    cases = []
    for file in sorted(find_files(top)):
        if not file.startswith("test_"):
            continue
        try:
            module = importlib.import_module(file[:-3])
        except Exception:  # pylint: disable=broad-exception-caught
            text = traceback.format_exc()

            def broken(_ctx, text=text):
                raise ImportError(text)

            cases.append(Case(file[5:-3] + ".import", broken))
            continue
        found = [
            function
            for name, function in vars(module).items()
            if name.startswith("test_") and callable(function)
            and getattr(function, "__module__", "") == module.__name__
        ]
        found.sort(key=lambda function: function.__code__.co_firstlineno)
        for function in found:
            cases.append(Case(f"{file[5:-3]}.{function.__name__[5:]}", function))
    return cases


def select(cases, patterns, is_long=True):
    """The cases to run: all but the long ones, or those a pattern finds, if they may be long."""
    if not patterns:
        return [case for case in cases if not case.long]
    return [
        case for case in cases
        if (is_long or not case.long)
        and any(re.search(pattern, case.name) for pattern in patterns)
    ]


def kmsg(text):
    """One line into the kernel log."""
    fd = os.open("/dev/kmsg", os.O_WRONLY)
    try:
        os.write(fd, f"<5>{MARKER} {text}\n".encode())
    finally:
        os.close(fd)


def tainted_by_oops():
    with open("/proc/sys/kernel/tainted", encoding="ascii") as file:
        return bool(int(file.read()) & TAINT_DIE)


class Results:
    """results.jsonl and KTAP on standard output."""

    def __init__(self, path):
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._count = 0
        print("KTAP version 1", flush=True)

    def add(self, name, status, seconds, message="", allowed=(), kind="test"):
        record = {
            "name": name, "kind": kind, "status": status,
            "seconds": round(seconds, 2), "message": message,
            "allowed": list(allowed),
        }
        os.write(self._fd, (json.dumps(record) + "\n").encode())
        os.fsync(self._fd)
        self._count += 1
        word = "not ok" if status == "fail" else "ok"
        skip = f" # SKIP {message.strip()}" if status == "skip" else ""
        for line in message.splitlines() if status == "fail" else []:
            print(f"# {line}")
        print(f"{word} {self._count} {name}{skip}", flush=True)

    def note(self, **fields):
        os.write(self._fd, (json.dumps(fields) + "\n").encode())
        os.fsync(self._fd)


def run_here(case, job, tmp):
    """Run a case in this process; (status, message, allowed patterns)."""
    ctx = context.Context(job, tmp, case.seconds)
    status, text = "pass", ""
    try:
        if case.page_size != mmap.PAGESIZE:
            ctx.skip(f"it is for pages of {case.page_size} bytes")
        case.function(ctx)
    except context.Skip as reason:
        status, text = "skip", str(reason)
    except BaseException:  # pylint: disable=broad-exception-caught
        status, text = "fail", traceback.format_exc()
    try:
        ctx.close()
    except Exception:  # pylint: disable=broad-exception-caught
        if status == "pass":
            status = "fail"
        text += "while cleaning up:\n" + traceback.format_exc()
    if status == "fail" and ctx.messages:
        text += "".join(f"log: {line}\n" for line in ctx.messages)
    return status, text, ctx.allowed


def _child(case, job, tmp, pipe):
    def expired(_signal, _frame):
        raise TimeoutError(f"not done after {case.timeout} seconds")

    signal.signal(signal.SIGALRM, expired)
    signal.alarm(case.timeout)
    answer = json.dumps(run_here(case, job, tmp)).encode()
    while answer:
        answer = answer[os.write(pipe, answer):]
    os._exit(0)


def _wait(pid, seconds):
    """Wait for a child; its status, or None if it is still there."""
    end = time.monotonic() + seconds
    pause = 0.01
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    return None


def run_apart(case, job, tmp):
    """Run a case in a child process; (status, message, allowed, stuck)."""
    path = tmp + ".answer"
    pipe = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            _child(case, job, tmp, pipe)
        finally:
            os._exit(1)
    status = _wait(pid, case.timeout + 20)
    stuck = False
    if status is None:
        os.kill(pid, signal.SIGKILL)
        stuck = _wait(pid, 10) is None
        answer = ["fail", f"not done after {case.timeout} seconds" +
                  (", and stuck in the kernel" if stuck else ""), []]
    else:
        os.lseek(pipe, 0, os.SEEK_SET)
        try:
            answer = json.loads(os.read(pipe, 1 << 24))
        except ValueError:
            answer = ["fail", f"the test's process died (status {status})", []]
    os.close(pipe)
    os.unlink(path)
    return (*answer, stuck)


def load_modules(job, results):
    """Insert the modules under test, each as a step with a result."""
    for entry in job.get("modules", []):
        name, params = entry["name"], entry.get("params", "")
        kmsg(f"start load.{name}")
        begin = time.monotonic()
        status, text = "pass", ""
        try:
            context.load_module(job["trees"], name, params)
        except (OSError, ValueError):
            status, text = "fail", traceback.format_exc()
        kmsg(f"end load.{name}")
        results.add(f"load.{name}", status, time.monotonic() - begin, text,
                    kind="step")


def _filesystems(beginning):
    """Names of filesystem types that begin in this way."""
    with open("/proc/filesystems", encoding="ascii") as file:
        return [line.split()[-1] for line in file
                if line.split()[-1].startswith(beginning)]


def unload_modules(job, results):
    """Remove them again: nothing that the tests did may hold them."""
    for entry in reversed(job.get("modules", [])):
        name = entry["name"]
        kmsg(f"start unload.{name}")
        begin = time.monotonic()
        status, text = "pass", ""
        try:
            if name in sysapi.loaded_modules():
                sysapi.rmmod(name)
            if name == "rust_mpage_test":
                left = _filesystems("rust_mpage_")
                if left:
                    raise OSError(f"{left} are registered without a module")
        except OSError as error:
            status, text = "fail", str(error)
        kmsg(f"end unload.{name}")
        results.add(f"unload.{name}", status, time.monotonic() - begin, text,
                    kind="step")


def kunit_suites(base=KUNIT):
    """Names of the KUnit suites that have been run."""
    return set(os.listdir(base)) if os.path.isdir(base) else set()


def save_kunit(out, others, base=KUNIT):
    """Copy the results of the KUnit suites out of debugfs.

    `others`: suites that had been run before our modules came. They are built into
    the kernel, and test the kernel.
    """
    target = os.path.join(out, "kunit")
    for suite in sorted(kunit_suites(base) - others):
        os.makedirs(target, exist_ok=True)
        with open(os.path.join(base, suite, "results"), "rb") as file:
            data = file.read()
        with open(os.path.join(target, suite + ".ktap"), "wb") as file:
            file.write(data)


def choose_kunit(suites):
    """The KUnit suites that are run when modules are loaded from now on, by a glob."""
    path = "/sys/module/kunit/parameters/filter_glob"
    if os.path.exists(path):
        with open(path, "w", encoding="ascii") as file:
            file.write(suites)


def claim(folder, name):
    """True for the first who asks: guests share the tests, each runs once."""
    try:
        os.close(os.open(os.path.join(folder, name), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def run_cases(cases, job, results):
    """Run the cases in order; True if the kernel can be trusted after them."""
    for case in cases:
        if case.processors > job["processors"] or not claim(job["claims"], case.name):
            continue
        tmp = os.path.join(job["scratch"], case.name)
        os.makedirs(tmp)
        kmsg(f"start {case.name} timeout={case.timeout}")
        begin = time.monotonic()
        status, text, allowed, stuck = run_apart(case, job, tmp)
        end = time.monotonic()
        if not stuck:
            context.remove_tree(tmp)
        kmsg(f"end {case.name} {status}")
        results.add(case.name, status, end - begin, text, allowed)
        results.note(kind="span", name=case.name, begin=begin, end=end)
        if stuck or tainted_by_oops():
            return False
    return True


def main(path):
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    out = job["out"]
    os.makedirs(job["scratch"], exist_ok=True)
    results = Results(os.path.join(out, "results.jsonl"))
    cases = select(discover(job["tests"]), job.get("patterns"), job.get("long", True))
    for case in cases:
        case.take_time(job)
    results.note(kind="plan", tests=[case.name for case in cases])
    if job.get("image_disk"):
        job["images"] = [context.mount_images(job)]
    built_in = kunit_suites()
    load_modules(job, results)
    save_kunit(out, built_in)
    # tests load modules again, whose suites have been run
    choose_kunit(NO_SUITE)
    if not run_cases(cases, job, results):
        results.note(kind="reboot")
        return NEED_REBOOT
    unload_modules(job, results)
    if job.get("kmemleak"):
        leaks = kleak.scan()
        if leaks is not None:
            results.note(kind="kmemleak", leaks=leaks)
    results.note(kind="complete")
    return 0


if __name__ == "__main__":
    # the tests import this file by its name, not as __main__
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import runner

    sys.exit(runner.main(sys.argv[1]))
