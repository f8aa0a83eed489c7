"""Line charts as inline SVG: few grid lines, labels at the lines' ends, values as tooltips. Colours come from the
page's style.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .page import text

_WIDTH, _HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 78, 14, 34


@dataclass(frozen=True)
class Series:
    """One line: points (x, y), a name for its end, a CSS class ("one", "two", "faint"), and whether each point is
    marked.
    """

    name: str
    points: Sequence[tuple[float, float]]
    style: str = "one"
    marked: bool = False


def nice_step(span: float, count: int) -> float:
    """The step of 1, 2 or 5 times a power of ten that divides `span` into at most `count` parts."""
    if not (span > 0 and math.isfinite(span)):
        return 1.0
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= raw * (1 - 1e-9))


def _ticks(low: float, high: float, count: int) -> list[float]:
    step = nice_step(high - low, count)
    first = math.ceil(low / step - 1e-9)
    return [(first + i) * step for i in range(math.floor(high / step + 1e-9) - first + 1)]


@dataclass(frozen=True)
class _Frame:
    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def x(self, value: float) -> float:
        share = (value - self.x_low) / ((self.x_high - self.x_low) or 1)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / ((self.y_high - self.y_low) or 1)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _grid(frame: _Frame, x_name: str, show: Callable[[float], str]) -> list[str]:
    parts = []
    for tick in _ticks(frame.y_low, frame.y_high, 5):
        y = frame.y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text(show(tick))}</text>')
    for tick in _ticks(frame.x_low, frame.x_high, 8):
        if tick == round(tick):
            parts.append(
                f'<text class="tick" x="{frame.x(tick):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{tick:.0f}</text>'
            )
    parts.append(f'<text class="tick" x="{_WIDTH - _RIGHT + 10}" y="{_HEIGHT - 14}">{text(x_name)}</text>')
    return parts


def _line(frame: _Frame, series: Series, show: Callable[[float], str]) -> list[str]:
    points = [(frame.x(x), frame.y(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [f'<polyline class="line {series.style}" points="{path}"/>']
    if series.marked:
        for (x, y), (_, value) in zip(points, series.points, strict=True):
            parts.append(
                f'<circle class="mark {series.style}" cx="{x:.1f}" cy="{y:.1f}" r="4">'
                f"<title>{text(series.name)} {text(show(value))}</title></circle>"
            )
    return parts


def _end_labels(frame: _Frame, series: Sequence[Series], show: Callable[[float], str]) -> list[str]:
    """Name and last value at each line's end, moved apart where they would touch."""
    ends = sorted((frame.y(one.points[-1][1]), one) for one in series) if all(one.points for one in series) else []
    parts, lowest = [], -math.inf
    for y, one in ends:
        y = max(y, lowest + 34)
        lowest = y
        x = frame.x(one.points[-1][0]) + 10
        value = text(show(one.points[-1][1]))
        parts.append(f'<text class="end {one.style}" x="{x:.1f}" y="{y - 1:.1f}">{value}</text>')
        parts.append(f'<text class="end name" x="{x:.1f}" y="{y + 13:.1f}">{text(one.name)}</text>')
    return parts


def line_chart(
    title: str,
    series: Sequence[Series],
    *,
    x_name: str,
    show: Callable[[float], str],
    show_tick: Callable[[float], str] | None = None,
    y_low: float | None = None,
    y_high: float | None = None,
) -> str:
    """A chart. show: a value as text, at the lines' ends and in tooltips; show_tick: on the axis (None = show).

    y_low, y_high: None = from the data.
    """
    drawn = [
        Series(one.name, [p for p in one.points if all(map(math.isfinite, p))], one.style, one.marked) for one in series
    ]
    drawn = [one for one in drawn if one.points]
    if not drawn:
        return '<p class="note">There is nothing to draw.</p>'
    xs = [x for one in drawn for x, _ in one.points]
    ys = [y for one in drawn for _, y in one.points]
    frame = _Frame(min(0.0, *xs), max(xs), min(ys) if y_low is None else y_low, max(ys) if y_high is None else y_high)
    parts = _grid(frame, x_name, show_tick or show)
    for one in drawn:
        parts += _line(frame, one, show)
    parts += _end_labels(frame, drawn, show)
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{text(title)}">'
        + "".join(parts)
        + "</svg>"
    )
