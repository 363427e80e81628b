"""The figures as a picture: plain bars, an SVG without anything from elsewhere."""

from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, ROW, HEAD = 880, 290, 450, 22, 34
OURS, THEIRS, INK, FAINT = "#c8102e", "#8a9099", "#1c2024", "#6a7078"


PANELS = (
    ("Datagrams/s, stored and forwarded, on the same cores (more is better)", "throughput",
     "datagrams_per_second", "{datagrams_per_second:,.0f}"),
    ("Datagrams per CPU-second of the forwarder (more is better)", "throughput",
     "datagrams_per_cpu_second", "{datagrams_per_cpu_second:,.0f}"),
    ("Bytes on the wire per datagram of 1,448 (less is better)", "throughput",
     "wire_bytes_per_datagram", "{wire_bytes_per_datagram:,.0f}"),
    ("Seconds until level after 10 s without the far end (less is better)", "outage",
     "level_seconds", "{level_seconds:.1f}"),
    ("Acknowledged datagrams lost by SIGKILL of the forwarder (less is better)", "kill", "lost",
     "{lost:,} of {acknowledged:,}"),
    ("The same while the far end is away (less is better)", "kill_in_outage", "lost",
     "{lost:,} of {acknowledged:,}"),
)


def text(x, y, words, size=13, colour=INK, anchor="start", weight="normal"):
    return (f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(words)}</text>')


def panel(report, y, title, scenario, key, form):
    systems = [each for each in report["systems"] if scenario in each["scenarios"]]
    if not systems:
        return [], y
    parts = [text(16, y + 20, title, 14, weight="bold")]
    y += HEAD
    most = max(each["scenarios"][scenario].get(key, 0) for each in systems) or 1
    for each in systems:
        figures = each["scenarios"][scenario]
        value = figures.get(key)
        parts.append(text(LABEL - 8, y + 15, each["title"], anchor="end"))
        if value is None:
            parts.append(text(LABEL + 4, y + 15, "no figure", colour=FAINT))
        else:
            length = max(1.0, BAR * value / most)
            colour = OURS if each["name"] == "pitbox" else THEIRS
            parts.append(f'<rect x="{LABEL}" y="{y + 3}" width="{length:.1f}" height="{ROW - 6}" '
                         f'fill="{colour}"/>')
            parts.append(text(LABEL + length + 6, y + 15, form.format(**figures)))
        y += ROW
    return parts, y + 12


def draw(report):
    parts, y = [], 8
    for title, scenario, key, form in PANELS:
        more, y = panel(report, y, title, scenario, key, form)
        parts += more
    versions = "; ".join(dict.fromkeys(each["version"] for each in report["systems"]))
    parts.append(text(16, y + 12, f"{versions}. {report['machine']}", 11, FAINT))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 26}" '
            f'viewBox="0 0 {WIDTH} {y + 26}" font-family="sans-serif">\n'
            '<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(parts) +
            "\n</svg>\n")
