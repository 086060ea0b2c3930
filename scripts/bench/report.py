"""The results as a table in Markdown, as CSV, and as a chart."""

import csv
import io
from collections.abc import Sequence
from html import escape

from scripts.bench.latency import Latency
from scripts.bench.measuring import Result
from scripts.bench.peers import PeerResult

_BAR_PX, _ROW_PX, _LABEL_PX, _FULL_PX, _MOST_RATIO = 22, 34, 400, 420, 1.2


def markdown(results: Sequence[Result], peers: Sequence[PeerResult], latency: Latency | None) -> str:
    """All tables; CPU per request or chunk in milliseconds."""
    lines = ["| | router | mitmproxy alone | ratio | bar |", "|---|---:|---:|---:|---:|"]
    for one in results:
        bar = "" if one.row.bar is None else f"{one.row.bar:.2f}"
        told = f"**{one.ratio:.2f}**" if one.is_kept else f"{one.ratio:.2f} (too much)"
        lines.append(f"| {one.row.name} | {one.ours_ms:.3f} ms | {one.alone_ms:.3f} ms | {told} | {bar} |")
    if peers:
        lines += ["", "| the same routed request | router | peer | ratio | bar |", "|---|---:|---:|---:|---:|"]
        lines += [
            f"| beside {one.name} | {one.ours_ms:.3f} ms | {one.peer_ms:.3f} ms | **{one.ratio:.3f}** | {one.bar:.2f} |"
            for one in peers
        ]
    if latency is not None:
        head = "| | direct | through the router | added | bar | added by mitmproxy alone |"
        lines += ["", head, "|---|---:|---:|---:|---:|---:|"]
        for name, direct, routed, alone, bar in latency.lines():
            added = f"**{routed - direct:.2f} ms** | {bar} | {alone - direct:.2f} ms"
            lines.append(f"| {name} | {direct:.2f} ms | {routed:.2f} ms | {added} |")
    return "\n".join(lines)


def table(results: Sequence[Result]) -> str:
    """The comparison with mitmproxy alone, as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["row", "router_ms", "mitmproxy_ms", "ratio", "bar", "p50_ms", "p99_ms", "resident_mib"])
    for one in results:
        figures = (f"{one.ours_ms:.4f}", f"{one.alone_ms:.4f}", f"{one.ratio:.4f}")
        bar = "" if one.row.bar is None else one.row.bar
        rest = (f"{one.p50_ms:.3f}", f"{one.p99_ms:.3f}", f"{one.resident_mib:.0f}")
        writer.writerow([one.row.name, *figures, bar, *rest])
    return out.getvalue()


def chart(results: Sequence[Result]) -> str:
    """An SVG with a bar for each ratio, a line at mitmproxy alone, and a mark at each bar that is to be kept."""
    height = _ROW_PX * len(results) + 64
    one_px = _FULL_PX / _MOST_RATIO
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LABEL_PX + _FULL_PX + 70} {height}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="14">',
        "<title>CPU per request: the router, as a part of what mitmproxy alone needs</title>",
        "<style>text{fill:#1f2937}.alone{stroke:#6b7280}.bar{fill:#0f766e}.mark{stroke:#b45309}"
        "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.bar{fill:#2dd4bf}.alone{stroke:#9ca3af}"
        ".mark{stroke:#fbbf24}}</style>",
    ]
    for number, result in enumerate(results):
        top = 36 + number * _ROW_PX
        length = min(result.ratio, _MOST_RATIO) * one_px
        parts.append(f'<text x="{_LABEL_PX - 10}" y="{top + 16}" text-anchor="end">{escape(result.row.name)}</text>')
        parts.append(f'<rect class="bar" x="{_LABEL_PX}" y="{top}" width="{length:.1f}" height="{_BAR_PX}" rx="3"/>')
        parts.append(f'<text x="{_LABEL_PX + length + 8:.1f}" y="{top + 16}">{result.ratio:.2f}</text>')
        if result.row.bar is not None:
            parts.append(_line("mark", _LABEL_PX + result.row.bar * one_px, top - 3, top + _BAR_PX + 3, "3"))
    alone = _LABEL_PX + one_px
    parts.append(_line("alone", alone, 28, height - 24, "1.5"))
    parts.append(f'<text x="{alone:.1f}" y="20" text-anchor="middle">mitmproxy alone</text>')
    told = "less is better; a short line marks what is to be kept"
    parts.append(f'<text x="{_LABEL_PX}" y="{height - 6}" font-size="12">{told}</text></svg>')
    return "\n".join(parts) + "\n"


def _line(kind: str, x: float, top: float, bottom: float, width: str) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke-width="{width}"/>'
