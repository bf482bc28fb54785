# SPDX-License-Identifier: GPL-2.0
"""Build the kernels, out of the source tree, into the cache.

lean:    what a distribution would ship; for `make run`.
checked: lean and every debug option that finds a bug; for `make test`.
rt:      checked, with PREEMPT_RT; for `make test KERNEL=rt`.
arm64, arm64_64k: small ones for that processor, with pages of 4 KiB and of 64 KiB;
         for `make test ARCH=arm64`.

A small one, for an older kernel, is of series/older.py.

The configuration is the kernel's defaults (alldefconfig; nothing for small ones) under our
fragments.
An option that we ask for and do not get, for lack of something it depends on,
is an error: a test kernel that silently lacks KASAN finds nothing.
"""

import re

from .. import cache, command, ui
from . import ksource

_FRAGMENTS = {
    "lean": ["lean.config"],
    "checked": ["lean.config", "checked.config"],
    "rt": ["lean.config", "checked.config", "rt.config"],
    "arm64": ["small.config", "arm64.config"],
    "arm64_64k": ["small.config", "arm64.config", "arm64_64k.config"],
}
# what the modules call is there with these
NEEDED = ("CONFIG_RUST", "CONFIG_BLOCK", "CONFIG_BUFFER_HEAD", "CONFIG_FS_IOMAP",
          "CONFIG_FS_MBCACHE")
# about how many lines a build prints; for the percentage only
_LINES = {"lean": 2540, "checked": 2390, "rt": 2390, "arm64": 1640, "arm64_64k": 1640}
_IMAGES = {"": "arch/x86/boot/bzImage", "arm64": "arch/arm64/boot/Image"}
_ASSIGN = re.compile(r"(CONFIG_\w+)=(.*)")
_UNSET = re.compile(r"# (CONFIG_\w+) is not set")


def parse_config(text):
    """{option: value} of a .config or a fragment; what is not set is "n"."""
    options = {}
    for line in text.splitlines():
        if found := _ASSIGN.match(line):
            options[found[1]] = found[2].strip()
        elif found := _UNSET.match(line):
            options[found[1]] = "n"
    return options


def wanted(settings, flavour):
    """The options of a flavour, later fragments over earlier ones."""
    options = {}
    for name in _FRAGMENTS[flavour]:
        path = settings.testing / "kernel" / name
        options.update(parse_config(path.read_text(encoding="utf-8")))
    return options


def merged(options):
    """Options as the text of a fragment."""
    lines = [f"# {name} is not set" if value == "n" else f"{name}={value}"
             for name, value in options.items()]
    return "\n".join(lines) + "\n"


def lacking(config):
    """The options that the modules need and the text of a .config has not."""
    got = parse_config(config)
    return [name for name in NEEDED if got.get(name, "n") == "n"]


def check_config(options, config):
    """The options that were asked for and not given, as "NAME=want, is got"."""
    got = parse_config(config)
    return [f"{name}={value}, is {got.get(name, 'n')}"
            for name, value in options.items() if got.get(name, "n") != value]


class Kernel:
    """A build tree: .build (KDIR), .source, and what it was built as."""

    def __init__(self, build, source, key, arch=""):
        self.build = build
        self.source = source
        self.key = key
        self.image = build / _IMAGES[arch]

    def config(self):
        text = (self.build / ".config").read_text(encoding="utf-8")
        return parse_config(text)

    def make(self, chain, *words):
        return ["make", "-C", self.build, *chain.make_args(), *words]


def check_needed(kdir):
    """Whether a kernel that was built has what the modules call."""
    lacks = lacking((kdir / ".config").read_text(encoding="utf-8"))
    if lacks:
        raise ui.Fail(f"{kdir}: this kernel was built without {', '.join(lacks)}")


def given(settings, kdir, source):
    """A tree that the user built."""
    for name in ("arch/x86/boot/bzImage", "Module.symvers", ".config"):
        if not (kdir / name).exists():
            raise ui.Fail(f"{kdir} is no prepared kernel build: it has no {name}")
    config = (kdir / ".config").read_bytes()
    symvers = (kdir / "Module.symvers").read_bytes()
    check_needed(kdir)
    return Kernel(kdir, source, cache.digest(str(kdir), config, symvers))


def configure(what, source, entry, options, chain, logs, target="alldefconfig"):
    """Configure a build in `entry` with these options over those of the target; its make."""
    (entry / "wanted.config").write_text(merged(options), encoding="utf-8")
    make = ["make", "-C", source, f"O={entry}", *chain.make_args()]
    env = dict(chain.environment(), KCONFIG_ALLCONFIG=str(entry / "wanted.config"))
    command.step(f"{what}, configuration", [*make, target],
                 logs / "kernel-config.log", env=env)
    wrong = check_config(options, (entry / ".config").read_text(encoding="utf-8"))
    if wrong:
        raise ui.Fail(f"{what}: options that did not hold:\n  " + "\n  ".join(wrong))
    return make


def ensure(settings, flavour, source, chain):
    """The kernel of a flavour, built if it is not. Needs the cache's lock."""
    kdir = settings.kdir if flavour == "lean" else settings.kdir_checked
    if kdir and not chain.arch:
        return given(settings, kdir, source)
    options = wanted(settings, flavour)
    key = cache.digest(ksource.version(source), str(source), merged(options),
                       chain.versions())
    logs = settings.cache.logs

    def build(entry):
        ksource.check_rust(source, chain, logs / "rustavailable.log")
        make = configure(f"kernel ({flavour})", source, entry, options, chain, logs,
                         "allnoconfig" if chain.arch else "alldefconfig")
        command.step(f"kernel ({flavour})", [*make, f"-j{settings.jobs}"],
                     logs / f"kernel-{flavour}.log", expect=_LINES[flavour],
                     env=chain.environment(), prefix="  ")

    entry = settings.cache.make(f"kernel_{flavour}", key, build)
    return Kernel(entry, source, key, chain.arch)
