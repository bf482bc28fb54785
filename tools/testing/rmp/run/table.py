# SPDX-License-Identifier: GPL-2.0
"""The tables of `make run`, made of what the guest counted."""

from .. import ui

MIB = 1 << 20


def reading(result):
    """Rows of (label, value)."""
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


def writing(written):
    """Rows of (label, our value, C's value); C's is missing within an image."""
    copies = written["copies"]
    rows = [("driver", *(copy["fstype"] for copy in copies)),
            ("bytes written", *(f"{copy['bytes']:,}" for copy in copies)),
            ("bios, metadata too", *(f"{copy['bios']:,}" for copy in copies)),
            ("bytes per bio", *(f"{copy['bytes'] / max(copy['bios'], 1):,.0f}"
                                for copy in copies)),
            ("mapper calls", *(f"{copy['mapper_calls']:,}" for copy in copies)),
            ("mapper calls per MiB", *(
                f"{copy['mapper_calls'] * MIB / max(copy['bytes'], 1):,.1f}"
                for copy in copies))]
    rows.append(("e2fsck", "clean" if not written["e2fsck"] else "NOT CLEAN"))
    if written.get("was_broken"):
        rows[-1] = ("e2fsck", "not clean before")
    rows.append(("mismatches", f"{len(written['wrong']):,}"))
    return rows


def two_columns(rows):
    """Print rows, labels to the left, values to the right."""
    width = max(len(row[0]) for row in rows)
    for label, *values in rows:
        ui.say(f"  {label:<{width}}" + "".join(f"  {value:>15}" for value in values))
