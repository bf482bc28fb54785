# SPDX-License-Identifier: GPL-2.0
"""`make run`: boot, load, mount, read everything, compare, write, print tables."""

import json

from .. import command, ui
from ..build import ksource
from ..debian.prepared import OnDebian
from ..guest import guest, logscan
from ..guest.prepared import Prepared
from . import diskimage, superblock
from .table import reading, two_columns, writing

LIMIT = 1800  # seconds for the guest; an emulated one takes a tenth of it
SHOWN = 50   # lines of what is wrong


def module_names(prepared, fstype):
    """Modules to load for reading; C ext2 is read without ours."""
    if fstype != "rust_ext2":
        return []
    names = prepared.module_names()
    if "rust_ext2" not in names:
        raise ui.Fail("the build made no rust_ext2.ko")
    return [name for name in names if name in ("rust_mpage", "rust_ext2")]


def prepare(settings):
    """(what a guest needs, the disk, its manifest if it is ours). Needs the
    cache's lock."""
    if settings.image:
        superblock.check(settings.image)
    if settings.kernel == "debian":
        prepared = OnDebian(settings)
    else:
        prepared = Prepared(settings, "lean")
    if settings.image:
        return prepared, settings.image, None
    version = ksource.version(prepared.source)
    return prepared, *diskimage.ensure(settings, prepared.source, version)


def main(settings):
    with settings.cache.locked():
        prepared, image, manifest = prepare(settings)
        out = guest.fresh_out(settings, "run")
    result, log = boot(settings, prepared, image, manifest, out)
    return report(settings, prepared, image, result, log)


def fresh_disks(out, count=2):
    """Empty ext2 filesystems for the guest to write to."""
    paths = [out / f"fresh{number}.img" for number in range(count)]
    for path in paths:
        command.step("disk, empty", [
            "mke2fs", "-q", "-F", "-t", "ext2", "-b", str(diskimage.BLOCK), path,
            diskimage.SIZE], out / "mke2fs.log")
    return paths


def disk_mode(settings):
    """How the guest has the disk that it reads."""
    return {"1": guest.Disk.OVERLAY, "in-place": guest.Disk.READ_WRITE}.get(
        settings.rw, guest.Disk.READ_ONLY)


def wants_writing(settings):
    """Our own disk is copied unless the user says no, an image if he says yes."""
    if settings.fstype != "rust_ext2":
        return False
    return settings.rw in ("1", "in-place") if settings.image else settings.rw != "0"


def boot(settings, prepared, image, manifest, out):
    """Run the guest; (result, console log)."""
    machine = prepared.guest()
    fields = {"device": machine.add(guest.Disk(image, disk_mode(settings))),
              "write": wants_writing(settings)}
    fresh = fresh_disks(out) if fields["write"] and not settings.image else []
    if fresh:
        fields["fresh"] = [machine.add(guest.Disk(path, guest.Disk.SCRATCH))
                           for path in fresh]
    fields |= {
        "trees": prepared.trees(machine), "fstype": settings.fstype,
        "modules": module_names(prepared, settings.fstype), "scratch": "/run/verify",
    }
    if manifest:
        fields["manifest"] = machine.share("disk", manifest.parent) + "/manifest.json"
    log = out / "console.log"
    with ui.Progress(f"guest ({prepared.accel})") as step:
        limit = guest.until(LIMIT)

        def alive():
            step.update(f"at most {ui.duration(limit())} more")
            return limit()

        status = guest.job(machine, settings, out, "verify.py", fields, log, alive)
    if status is None or not (out / "result.json").exists():
        raise guest.fail_no_boot(log, out)
    for path in fresh:
        path.unlink()
    return json.loads((out / "result.json").read_text(encoding="utf-8")), log


def report(settings, prepared, image, result, log):
    """Print the table and what is wrong; the exit status."""
    if "error" in result:
        raise ui.Fail(f"{image}: {result['error']}\n"
                      f"the last lines of its console:\n{ui.tail(log)}\n"
                      f"the whole log: {log}")
    ui.say(f"\n{image.name} as {settings.fstype}, Linux {prepared.version()} "
           f"({prepared.accel}), read in {result['seconds']['read']:.0f} s")
    two_columns(reading(result))
    wrong = list(result["wrong"])
    bad = result["mismatches"] > 0
    written = result["write"]
    if written:
        ui.say(f"\nwritten in {result['seconds']['write']:.0f} s, "
               f"compared through {kernels_ext2(settings)}")
        two_columns(writing(written))
        wrong += written["wrong"][:SHOWN]
        if written["e2fsck"]:
            wrong += ["e2fsck -fn: " + line
                      for line in written["e2fsck"].splitlines()[:SHOWN]]
        bad = bad or bool(written["wrong"] or written["e2fsck"])
    for line in wrong:
        ui.say(f"  wrong: {line}")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for complaint in logscan.scan(lines):
        bad = True
        ui.say("\nin the kernel log:\n" +
               "\n".join("    " + line for line in complaint.lines))
    if bad:
        ui.say(f"\nFAILED; the kernel log: {log}")
    else:
        ui.say("\n" + next_steps(settings))
    return 1 if bad else 0


def kernels_ext2(settings):
    """What "ext2" is where another driver looks at what was written."""
    return "ext4, Debian's ext2" if settings.kernel == "debian" else "C ext2"


def next_steps(settings):
    """What to do after `make run`."""
    steps = [
        ("make run IMAGE=disk.img", "the same with an ext2 of yours; it is not written"),
        ("make shell", "a shell in the guest, with the disk on /mnt"),
        ("make deb", "packages for Debian trixie (README.md, \"On Debian\")"),
        ("make test", "all tests, on a kernel that checks everything"),
    ]
    steps = steps[1:] if settings.image else steps
    return "next:\n" + "\n".join(f"  {what:<24}  {why}" for what, why in steps)
