"""Plots of what bench/run.py --record has kept, as SVG for the site.

The bars are CPU time for each request, message or delivery, so shorter is better.
Each row of a bench is a picture, and all figures stand in a table below.
"""

import html
import json
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RESULTS = os.path.join("bench", "results")
UNITS = {"http": "request", "framework": "request", "ws": "message",
         "tls": "request", "fan": "delivery"}
WIDTH, LABEL, VALUE, BAR, STEP = 420, 112, 58, 14, 21


def load(name):
    """What was recorded; None before that."""
    if not os.path.exists(os.path.join(ROOT, RESULTS, name + ".json")):
        return None
    with open(os.path.join(ROOT, RESULTS, name + ".json"), encoding="utf-8") as file:
        return json.load(file)


def number(value):
    return "%.3g" % value if value < 1000 else "%.0f" % value


def bars(row, servers, unit):
    """One picture; the floor, which is no server to use, is pale."""
    most = max(one["cpu_us"] for one in servers.values())
    said = ", ".join("%s %s" % (name, number(one["cpu_us"]))
                     for name, one in servers.items())
    out = ['<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s">' % (
        WIDTH, STEP * len(servers) + 4,
        html.escape("%s, microseconds of CPU for each %s: %s" % (row, unit, said)))]
    for i, (name, one) in enumerate(servers.items()):
        y = i * STEP + 2
        length = max(1, (WIDTH - LABEL - VALUE) * one["cpu_us"] / most)
        kind = ("ours" if name.startswith(("wsocket", "topics")) else
                "floor" if name == "null" else "other")
        out.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (
            LABEL - 6, y + 12, html.escape(name)))
        out.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>' % (
            kind, LABEL, y, length, BAR))
        out.append('<text x="%.1f" y="%d">%s</text>' % (
            LABEL + length + 6, y + 12, number(one["cpu_us"])))
    return "".join([*out, "</svg>"])


def table(kept):
    lines = ["| | per second | CPU µs | × %s | × %s |" % (kept["floor"], kept["ours"]),
             "|---|--:|--:|--:|--:|"]
    for row, servers in kept["rows"].items():
        lines.append("| **%s** | | | | |" % row)
        for name, one in servers.items():
            lines.append("| %s | %s | %s | %s | %s |" % (
                name, format(one["rate"], ","), number(one["cpu_us"]),
                one["floor"].replace("-", "–"), one["ours"].replace("-", "–")))
    return lines


def markdown(name):
    """The pictures of a bench, and its figures, folded."""
    kept = load(name)
    if kept is None:
        return "No figures are recorded for this bench."
    unit = UNITS[name]
    out = ["µs of CPU for each %s. Shorter is better." % unit, ""]
    for row, servers in kept["rows"].items():
        out += ['<figure markdown="0"><figcaption>%s</figcaption>%s</figure>' % (
            html.escape(row), bars(row, servers, unit)), ""]
    return "\n".join([*out, '<details markdown="1"><summary>All figures</summary>', "",
                      *table(kept), "", "%s." % kept["machine"], "", "</details>"])
