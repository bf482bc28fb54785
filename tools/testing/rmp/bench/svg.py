# SPDX-License-Identifier: GPL-2.0
"""The pictures of `make bench`, as SVG text.

Bars: each column of the table relative to C ext2, which is the line at 1. Lines:
cost against size, both on logarithmic scales.
"""

import math
from xml.sax.saxutils import escape

from . import plan

COLOURS = {
    plan.C_EXT2: "#7f7f7f", plan.EXT4: "#4477aa",
    plan.XFS: "#66ccee", plan.RUST_EXT2: "#ee6677",
    plan.ON_RUST: "#ccbb44",
}
HIGHEST = 2.0  # a bar that is longer is cut, and says how long it is
_STYLE = "font-family='sans-serif' font-size='12'"


def _head(width, height):
    return [f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' "
            f"height='{height}' viewBox='0 0 {width} {height}' {_STYLE}>",
            f"<rect width='{width}' height='{height}' fill='white'/>"]


def _text(x, y, text, more=""):
    return f"<text x='{x:.1f}' y='{y:.1f}' {more}>{escape(str(text))}</text>"


def _rect(x, y, width, height, colour):
    return (f"<rect x='{x:.1f}' y='{y:.1f}' width='{width:.1f}' "
            f"height='{height:.1f}' fill='{colour}'/>")


def _line(x1, y1, x2, y2, colour="#cccccc"):
    return (f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' "
            f"stroke='{colour}'/>")


def _legend(names, x, y):
    out = []
    for name in names:
        out.append(_rect(x, y - 10, 12, 12, COLOURS[name]))
        out.append(_text(x + 17, y, name))
        x += 40 + 7 * len(name)
    return out


def bars(costs, title):
    """costs: {(filesystem, column): cost}."""
    names = [name for name in plan.FILESYSTEMS if name != plan.C_EXT2]
    columns = [(column, heading) for column, heading, _ in plan.COLUMNS
               if (plan.C_EXT2, column) in costs]
    left, top, group, scale = 60, 70, 76, 150
    width = left + group * len(columns) + 20
    bottom = top + HIGHEST * scale
    out = _head(width, int(bottom) + 60)
    out.append(_text(left, 24, title, "font-weight='bold'"))
    out += _legend(names, left, 48)
    for tick in (0, 0.5, 1, 1.5, 2):
        y = bottom - tick * scale
        out.append(_line(left, y, width - 20, y,
                         "#333333" if tick in (0, 1) else "#dddddd"))
        out.append(_text(left - 8, y + 4, f"{tick:g}", "text-anchor='end'"))
    bar = (group - 12) / len(names)
    for place, (column, heading) in enumerate(columns):
        x = left + place * group + 6
        base = costs[plan.C_EXT2, column]
        for number, name in enumerate(names):
            cost = costs.get((name, column))
            if cost is None or not base:
                continue
            ratio = cost / base
            height = min(ratio, HIGHEST) * scale
            at = x + number * bar
            out.append(_rect(at, bottom - height, bar - 1, height, COLOURS[name]))
            label = f"{ratio:.2f}" if ratio <= HIGHEST else f"{ratio:.1f}"
            out.append(_text(at + bar / 2 + 3, bottom - height - 3, label,
                             f"font-size='8' transform='rotate(-60 "
                             f"{at + bar / 2 + 3:.1f} {bottom - height - 3:.1f})'"))
        out.append(_text(x + group / 2 - 6, bottom + 18, heading,
                         "text-anchor='middle' font-size='10'"))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def _ticks(low, high):
    """Powers of ten, and twice and five times them, in a range."""
    found = []
    power = 10 ** math.floor(math.log10(low))
    while power <= high:
        found += [power * step for step in (1, 2, 5) if low <= power * step <= high]
        power *= 10
    return found


def _panel(by_name, title, unit, x, y, width, height):
    sizes = sorted({size for points in by_name.values() for size, _ in points})
    costs = [cost for points in by_name.values() for _, cost in points if cost > 0]
    if not costs or len(sizes) < 2:
        return []
    low, high = min(costs) / 1.3, max(costs) * 1.3

    def across(size):
        span = math.log(sizes[-1] / sizes[0])
        return x + width * math.log(size / sizes[0]) / span

    def up(cost):
        return y + height - height * math.log(cost / low) / math.log(high / low)

    out = [_text(x, y - 8, title, "font-weight='bold'")]
    for cost in _ticks(low, high):
        out.append(_line(x, up(cost), x + width, up(cost), "#dddddd"))
        out.append(_text(x - 6, up(cost) + 4, f"{cost:g}",
                         "text-anchor='end' font-size='10'"))
    for size in sizes:
        out.append(_text(across(size), y + height + 16, size,
                         "text-anchor='middle' font-size='10'"))
    out.append(_text(x + width, y + height + 30, unit, "text-anchor='end'"))
    for name in plan.FILESYSTEMS:
        points = [(size, cost) for size, cost in by_name.get(name, []) if cost > 0]
        path = " ".join(f"{across(size):.1f},{up(cost):.1f}" for size, cost in points)
        out.append(f"<polyline points='{path}' fill='none' stroke-width='2' "
                   f"stroke='{COLOURS[name]}'/>")
        out += [f"<circle cx='{across(size):.1f}' cy='{up(cost):.1f}' r='3' "
                f"fill='{COLOURS[name]}'/>" for size, cost in points]
    return out


def lines(series):
    """series: {column: {filesystem: [(size, cost)]}}."""
    columns = [column for column, _, _ in plan.COLUMNS if column in series]
    panel, across = (300, 200), 3
    rows = -(-len(columns) // across)
    width, height = across * (panel[0] + 80) + 20, rows * (panel[1] + 80) + 60
    out = _head(width, height)
    out += _legend(plan.FILESYSTEMS, 60, 30)
    for number, column in enumerate(columns):
        unit = "MiB" if plan.UNITS[column] == "page" else "files"
        out += _panel(series[column], plan.HEADINGS[column], unit,
                      70 + number % across * (panel[0] + 80),
                      70 + number // across * (panel[1] + 80), *panel)
    out.append("</svg>")
    return "\n".join(out) + "\n"
