"""The picture of an experiment, as SVG without any library: test errors with every seed's spread, and training losses.

Not here: the numbers (summary.py).
"""

from __future__ import annotations

from html import escape
from math import ceil, floor, log2
from pathlib import Path
from typing import Any

WIDTH, PANEL, LEFT, GAP = 1000, 230, 150, 50
COLOURS = ("#1f5fa8", "#c2571a", "#2c8a4b", "#8a4bb0", "#a0364a")


def draw(found: dict[str, Any], file: Path) -> None:
    """Writes the picture: a row for each group, errors left and losses right."""
    parts = [title(f"Fashion-MNIST, plan {found['plan']}: test error after training, and training loss")]
    for row, group in enumerate(found["groups"]):
        top = 60 + row * (PANEL + 20)
        parts += errors_panel(group, top) + curve_panel(group, top)
    height = 60 + len(found["groups"]) * (PANEL + 20)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    )
    file.write_text(head + "\n".join(parts) + "</svg>\n", encoding="utf-8")


def words(x: float, y: float, what: str, *, anchor: str = "start", size: int = 13, colour: str = "#222") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{escape(what)}</text>'
    )


def title(what: str) -> str:
    return words(20, 30, what, size=18)


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def errors_panel(group: dict[str, Any], top: float) -> list[str]:
    """Mean test error of each network as a dot, one standard deviation each way as a bar."""
    nets = group["nets"]
    deviations = [net["test_error"]["sd"] if net["test_error"]["n"] > 1 else 0.0 for net in nets]
    means = [net["test_error"]["mean"] for net in nets]
    low = min(m - d for m, d in zip(means, deviations, strict=True))
    high = max(m + d for m, d in zip(means, deviations, strict=True))
    room = (high - low) * 0.15 or 0.005
    low, high = low - room, high + room
    right = WIDTH / 2 - GAP

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (right - LEFT)

    parts = [words(20, top + 8, f"{group['group']} ({group['data']}): test error, %, mean ± sd", size=14)]
    bottom = top + 30 + 40 * len(nets)
    for tick in range(5):
        value = low + (high - low) * tick / 4
        parts += [
            line(x(value), top + 25, x(value), bottom, "#ddd"),
            words(x(value), bottom + 16, f"{100 * value:.2f}", anchor="middle", size=11, colour="#666"),
        ]
    for index, (net, mean, deviation) in enumerate(zip(nets, means, deviations, strict=True)):
        y = top + 50 + 40 * index
        colour = COLOURS[index % len(COLOURS)]
        parts += [
            words(LEFT - 10, y + 4, net["net"], anchor="end"),
            line(x(mean - deviation), y, x(mean + deviation), y, colour, 3),
            f'<circle cx="{x(mean):.1f}" cy="{y:.1f}" r="6" fill="{colour}"/>',
            words(x(mean), y - 10, f"{100 * mean:.2f}", anchor="middle", size=12, colour=colour),
        ]
    return parts


def curve_panel(group: dict[str, Any], top: float) -> list[str]:
    """Training losses over the epochs, mean over the seeds, on a logarithmic axis."""
    nets = [net for net in group["nets"] if net["curve"]]
    losses = [loss for net in nets for _, loss in net["curve"]]
    last = max(at for net in nets for at, _ in net["curve"])
    low, high = floor(2 * log2(min(losses))) / 2, ceil(2 * log2(max(losses))) / 2
    left, right, bottom = WIDTH / 2 + 40, WIDTH - 150, top + PANEL - 40

    def x(at: float) -> float:
        return left + at / last * (right - left)

    def y(loss: float) -> float:
        return bottom - (log2(loss) - low) / ((high - low) or 1) * (bottom - top - 20)

    parts = [words(left, top + 8, f"training loss over {last:.0f} epochs, mean of the seeds", size=14)]
    for power in range(ceil(low), floor(high) + 1):
        parts += [
            line(left, y(2.0**power), right, y(2.0**power), "#ddd"),
            words(left - 6, y(2.0**power) + 4, f"{2.0**power:.3g}", anchor="end", size=11, colour="#666"),
        ]
    beneath = 0.0
    ends = sorted((y(net["curve"][-1][1]), index) for index, net in enumerate(nets))
    for index, net in enumerate(nets):
        points = " ".join(f"{x(at):.1f},{y(loss):.1f}" for at, loss in net["curve"])
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for end, index in ends:  # names at the lines' ends, moved apart where they would touch
        beneath = max(end, beneath + 16)
        parts.append(words(right + 8, beneath + 4, nets[index]["net"], colour=COLOURS[index % len(COLOURS)]))
    return parts
