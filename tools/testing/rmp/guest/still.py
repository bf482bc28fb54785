# SPDX-License-Identifier: GPL-2.0
"""What the processors of a guest are doing that stands still, asked of QEMU's monitor:
their registers a few times, a second apart, and what of the kernel's text is on their
stacks, by name.

A guest is not slowed down by a monitor that nobody talks to. Names are those of the
kernel's System.map, so the kernel must be where that says: nokaslr.
"""

import bisect
import contextlib
import json
import re
import socket
import time

SAMPLES = 4
PAUSE = 1  # second
PATIENCE = 10  # seconds for an answer
STACK = 96  # words that are looked at

_PROCESSOR = re.compile(r"^CPU#(\d+)", re.MULTILINE)
_VALUE = re.compile(r"\b[ER]?(IP|SP|FL|HLT)=([0-9a-f]+)")
_WORD = re.compile(r"0x([0-9a-f]{16})")
_INTERRUPTS = 1 << 9  # of the flags


def options(path):
    """QEMU's: a monitor at a socket."""
    return ["-qmp", f"unix:{path},server=on,wait=off"]


class Symbols:
    """The kernel's functions, by address."""

    def __init__(self, lines=()):
        found = sorted((int(address, 16), name) for address, kind, name in
                       (line.split()[:3] for line in lines) if kind in "tTwW")
        self._addresses = [address for address, _ in found]
        self._names = [name for _, name in found]

    @classmethod
    def of(cls, build):
        """Of a kernel's build tree; none if it has no System.map."""
        try:
            with open(build / "System.map", encoding="ascii") as file:
                return cls(file)
        except OSError:
            return cls()

    def name(self, address):
        """function+0xoffset, or None for what is no address in a function."""
        at = bisect.bisect_right(self._addresses, address) - 1
        if at < 0 or at + 1 == len(self._addresses):
            return None
        return f"{self._names[at]}+{address - self._addresses[at]:#x}"


class _Monitor:
    def __init__(self, file):
        self._file = file
        self._file.readline()  # its greeting
        self._ask("qmp_capabilities")

    def _ask(self, what, **arguments):
        self._file.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
        self._file.flush()
        while line := self._file.readline():
            answer = json.loads(line)
            if "error" in answer:
                raise OSError(answer["error"]["desc"])
            if "return" in answer:
                return answer["return"]
        raise OSError("QEMU has gone")

    def say(self, words, processor=0):
        """What the monitor for people answers."""
        answer = self._ask("human-monitor-command",
                           **{"command-line": words, "cpu-index": processor})
        return answer.replace("\r", "")


@contextlib.contextmanager
def _monitor(path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        with connection.makefile("rw", encoding="utf-8") as file:
            yield _Monitor(file)


def _states(registers):
    """{processor: {register: value}} of `info registers -a`."""
    parts = _PROCESSOR.split(registers)[1:]
    return {int(number): {name: int(value, 16) for name, value in _VALUE.findall(text)}
            for number, text in zip(parts[::2], parts[1::2])}


def _line(number, state, symbols):
    what = symbols.name(state["IP"]) or f"{state['IP']:#x}"
    halted = ", halted" if state.get("HLT") else ""
    off = "" if state["FL"] & _INTERRUPTS else ", interrupts off"
    return f"processor {number}: {what}{halted}{off}"


def _stack(monitor, number, state, symbols):
    words = monitor.say(f"x /{STACK}gx {state['SP']:#x}", number)
    names = (symbols.name(int(word, 16)) for word in _WORD.findall(words))
    return f"processor {number}, of its stack: " + " ".join(name for name in names if name)


def _tell(monitor, symbols):
    registers = monitor.say("info registers -a")
    yield registers
    for number, state in _states(registers).items():
        yield _stack(monitor, number, state, symbols)
        yield monitor.say("info lapic", number)
    yield monitor.say("info pic")
    for sample in range(SAMPLES):
        if sample:
            time.sleep(PAUSE)
        for number, state in _states(monitor.say("info registers -a")).items():
            yield _line(number, state, symbols)


def record(path, build):
    """Lines for a log, of the guest whose monitor is at `path` and whose kernel was built
    in `build`."""
    lines = ["", "the guest stands still; its processors:"]
    try:
        with _monitor(path) as monitor:
            lines.extend(_tell(monitor, Symbols.of(build)))
    except (OSError, ValueError) as error:
        lines.append(f"its monitor does not answer: {error}")
    except KeyError as error:
        lines.append(f"registers of another processor, without {error}")
    return "\n".join(lines) + "\n"
