"""Plots as inline SVG, whose colours are those of the page, light or dark."""

from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 460, 200
LEFT, RIGHT, TOP, BOTTOM = 14, 14, 12, 26
"""Around the plot, for its labels."""
TICKS = 5
MARK = 16
"""Height of a mark's name, above the bars."""
ROW = 24
"""Height of a row of `intervals`."""
NAMES = 170
"""Width of its names."""


def histogram(spread: dict[str, Any], title: str, *, mark: tuple[float, str] | None = None) -> str:
    """Bars of a `Spread`, with a line at the value of `mark`, which may lie outside of the bars, and its name."""
    edges, counts = spread["edges"], spread["counts"]
    low, high = edges[0], edges[-1]
    if mark:
        low, high = min(low, mark[0]), max(high, mark[0])
    scale = _Scale(low, high, LEFT, WIDTH - RIGHT)
    most = max(*counts, 1)
    tallest = HEIGHT - TOP - BOTTOM - (MARK if mark else 0)
    parts = []
    for start, stop, count in zip(edges, edges[1:], counts, strict=False):
        x, width = scale(start), max(scale(stop) - scale(start) - 0.5, 0.5)
        height = tallest * count / most
        tip = f"{_text(start)} to {_text(stop)}: {count:,}"
        parts.append(f'<rect class="bar" x="{x:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{width:.1f}" height="{height:.1f}">')
        parts.append(f"<title>{tip}</title></rect>")
    if mark:
        x = scale(mark[0])
        anchor = "end" if x > WIDTH / 2 else "start"
        parts.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(
            f'<text class="name" x="{x + (-5 if anchor == "end" else 5):.1f}" y="{TOP + 9}" text-anchor="{anchor}">{escape(mark[1])}</text>'
        )
    return _svg(title, HEIGHT, "".join(parts) + _axis(scale, HEIGHT - BOTTOM))


def cumulative(shares: Sequence[float], title: str) -> str:
    """How the sum of shares grows from the first on, which is to be the largest."""
    scale = _Scale(0, len(shares), LEFT, WIDTH - RIGHT)
    total, points = 0.0, [f"{LEFT},{HEIGHT - BOTTOM}"]
    for place, share in enumerate(shares, 1):
        total += share
        points.append(f"{scale(place):.1f},{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(total, 1):.1f}")
    lines = []
    for level in (0.5, 0.9):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * level
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text class="tick" x="{WIDTH - RIGHT}" y="{y + 10:.1f}" text-anchor="end">{level:.0%}</text>')
    return _svg(title, HEIGHT, "".join(lines) + f'<polyline class="line" points="{" ".join(points)}"/>' + _axis(scale, HEIGHT - BOTTOM))


def intervals(
    rows: Sequence[tuple[str, dict[str, float | None]]], title: str, *, low: float, high: float, reference: float | None = None
) -> str:
    """A dot for each name's value, with a line over its interval; what lies beyond `low` and `high` ends there."""
    height = TOP + ROW * len(rows) + BOTTOM
    scale = _Scale(low, high, NAMES, WIDTH - RIGHT - 34)
    parts = (
        [f'<line class="mark" x1="{scale(reference):.1f}" x2="{scale(reference):.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>']
        if reference is not None
        else []
    )
    for place, (name, estimate) in enumerate(rows):
        y = TOP + ROW * (place + 0.5)
        parts.append(f'<text class="name" x="{NAMES - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        value, first, last = estimate["value"], estimate["low"], estimate["high"]
        if value is None:
            parts.append(f'<text class="tick" x="{NAMES}" y="{y + 4:.1f}">not there</text>')
            continue
        if first is not None and last is not None:
            parts.append(f'<line class="span" x1="{scale(first):.1f}" x2="{scale(last):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        tip = f"{name}: {interval_text(estimate)}"
        parts.append(f'<circle class="dot" cx="{scale(value):.1f}" cy="{y:.1f}" r="4.5"><title>{escape(tip)}</title></circle>')
        parts.append(f'<text class="tick" x="{WIDTH - 2}" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    return _svg(title, height, "".join(parts) + _axis(scale, height - BOTTOM))


def interval_text(estimate: dict[str, float | None]) -> str:
    """A figure with its interval, for people."""
    value, low, high = estimate["value"], estimate["low"], estimate["high"]
    if value is None:
        return "not there"
    return f"{value:.3f}" + (f" ({low:.3f} to {high:.3f})" if low is not None and high is not None else "")


class _Scale:
    """Values to pixels; those outside are at the end."""

    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        self.low, self.high = (low, high) if high > low else (low - 0.5, low + 0.5)
        self._start, self._stop = start, stop

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self._start + share * (self._stop - self._start)


def _axis(scale: _Scale, y: float) -> str:
    ends = f'x1="{scale(scale.low):.1f}" x2="{scale(scale.high):.1f}"'
    parts = [f'<line class="axis" {ends} y1="{y}" y2="{y}"/>']
    for place in range(TICKS):
        value = scale.low + (scale.high - scale.low) * place / (TICKS - 1)
        anchor = {0: "start", TICKS - 1: "end"}.get(place, "middle")
        parts.append(f'<text class="tick" x="{scale(value):.1f}" y="{y + 16}" text-anchor="{anchor}">{_text(value)}</text>')
    return "".join(parts)


def _svg(title: str, height: int, content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{content}</svg>'


def _text(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"  # noqa: PLR2004 - where digits need commas
