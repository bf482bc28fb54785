# SPDX-License-Identifier: GPL-2.0
"""`make run`: boot, load, mount, read everything, compare, print a table."""

import json

from . import diskimage, guest, ksource, logscan, modules, superblock, ui
from .prepare import Prepared

LIMIT = 1800  # seconds for the guest; an emulated one takes a minute of it


def module_names(prepared, fstype):
    """Modules to load for reading; C ext2 is read without ours."""
    names = modules.names(prepared.objects)
    if fstype != "rust_ext2":
        return []
    if "rust_ext2" not in names:
        raise ui.Fail("the build made no rust_ext2.ko")
    return [name for name in names if name in ("rust_mpage", "rust_ext2")]


def main(settings):
    if settings.image:
        superblock.check(settings.image)
    manifest = None
    with settings.cache.locked():
        prepared = Prepared(settings, "lean")
        if settings.image:
            image = settings.image
        else:
            version = ksource.version(prepared.source)
            image, manifest = diskimage.ensure(settings, prepared.source, version)
        out = guest.fresh_out(settings, "run")
    result, log = boot(settings, prepared, image, manifest, out)
    return report(settings, prepared, image, result, log)


def boot(settings, prepared, image, manifest, out):
    """Run the guest; (result, console log)."""
    machine = prepared.guest()
    machine.disks.append(guest.Disk(image))
    fields = {
        "trees": prepared.trees(machine), "fstype": settings.fstype,
        "modules": module_names(prepared, settings.fstype), "device": "/dev/vda",
        "scratch": "/run/verify",
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
    return json.loads((out / "result.json").read_text(encoding="utf-8")), log


def table(result):
    """[(label, value)] of the result."""
    counters = result["counters"]
    rows = [("files", f"{result['files']:,}"), ("bytes", f"{result['bytes']:,}"),
            ("mismatches", f"{result['mismatches']:,}")]
    bios = counters.get("bios", 0)
    if counters:
        holes = counters.get("hole_folios", 0)
        folios = counters.get("folios", 0) - holes  # a hole takes no bio
        rows.append(("bios", f"{bios:,}"))
        if bios:
            rows.append(("bytes per bio", f"{counters['bytes'] / bios:,.0f}"))
            rows.append(("folios per bio", f"{folios / bios:,.1f}"))
        rows.append(("folios without I/O (holes)", f"{holes:,}"))
        rows.append(("mapper calls", f"{counters.get('mapper_calls', 0):,}"))
        reasons = {key: value for key, value in counters.items()
                   if key.startswith("fallback")}
        rows.append(("fallbacks", f"{sum(reasons.values()):,}"))
        for key, value in reasons.items():
            name = key.removeprefix("fallback").strip("_/").replace("_", " ")
            rows.append((f"  {name}", f"{value:,}"))
    requests, sectors = result["disk"]
    rows += [("disk requests", f"{requests:,}"), ("disk bytes", f"{sectors:,}")]
    return rows


def report(settings, prepared, image, result, log):
    """Print the table and what is wrong; the exit status."""
    if "error" in result:
        raise ui.Fail(f"{image}: {result['error']}\n"
                      f"the last lines of its console:\n{ui.tail(log)}\n"
                      f"the whole log: {log}")
    version = ksource.version(prepared.source)
    rows = table(result)
    width = max(len(label) for label, _ in rows)
    ui.say(f"\n{image.name} as {settings.fstype}, Linux {version} "
           f"({prepared.accel}), read in {result['seconds']['read']:.0f} s")
    for label, value in rows:
        ui.say(f"  {label:<{width}}  {value:>15}")
    bad = result["mismatches"] > 0
    for line in result["wrong"]:
        ui.say(f"  wrong: {line}")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for complaint in logscan.scan(lines):
        bad = True
        ui.say("\nin the kernel log:\n" +
               "\n".join("    " + line for line in complaint.lines))
    if bad:
        ui.say(f"\nFAILED; the kernel log: {log}")
    return 1 if bad else 0
