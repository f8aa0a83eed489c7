"""Draws results/NAME.json (and the channels' CSV) as results/NAME.png. Usage: pictures.py"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from tables import NAMES, limit

RESULTS = Path(__file__).parents[1] / "results"
_COLOURS = {
    "torch": "#c8553d", "torch_compile": "#e09f7d", "onnxruntime": "#6c757d", "openvino": "#2a6f97", "ncnn": "#74a57f",
    "mnn": "#b5a642",
}  # fmt: skip


def draw(results: dict, out: Path) -> None:
    """A bar a peer and row: the peer's median over Renga's; a line to the ratio of minima; a mark at the target."""
    rows = [result for result in results.values() if result["kind"] != "size"]
    bars = sum(len(result["engines"]) - 1 for result in rows)
    figure, axes = plt.subplots(figsize=(10, 0.34 * bars + 0.5 * len(rows) + 1.2))
    y, ticks, used = 0.0, [], {}
    for result in rows:
        ours, top = result["engines"]["renga"], y
        targets = {peer: target["asked"] for target in result["targets"] for peer in [target["best"]]}
        for engine, figures in result["engines"].items():
            if engine == "renga":
                continue
            ratio, least = figures["median"] / ours["median"], figures["min"] / ours["min"]
            bar = axes.barh(y, ratio, 0.8, color=_COLOURS[engine])
            used.setdefault(NAMES[engine], bar)
            axes.plot([ratio, least], [y, y], color="#222", linewidth=1)
            ends, asked = [ratio, least], targets.get(engine)
            if asked:
                axes.plot([asked] * 2, [y - 0.45, y + 0.45], color="black", linewidth=2.5)
                # The figure stands behind a mark that it would cover, not behind one that is far off.
                ends += [asked] if asked < max(ends) + 0.4 else []
            axes.text(max(ends) + 0.05, y, f"{ratio:.2f}x", va="center", fontsize=8)
            y += 1
        found = limit(result)
        part = f", {found[1]:.0%} of peak" if found else ""
        label = f"{result['title']}\n{ours['median']:.0f} {result['unit']}{part}"
        ticks.append(((top + y - 1) / 2, label))
        y += 0.9
    axes.axvline(1, color="#222", linewidth=0.8)
    axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("times Renga's (medians; line to the ratio of minima; thick mark: what is asked)")
    axes.legend(used.values(), used.keys(), fontsize=8, loc="upper right")
    first = rows[-1]
    axes.set_title(f"{first['machine']}, {first['threads']} threads, {first['date']}", fontsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def draw_growth(results: dict, out: Path) -> None:
    """Time of an image against batch, image size and depth, and the plan's memory against batch; logarithmic axes."""
    figure, panels = plt.subplots(1, 4, figsize=(15, 3.8))
    units = {"batch": "images in a batch", "size": "rows and columns of an image", "depth": "layers"}
    for panel, (axis, label) in zip(panels, units.items(), strict=False):
        points = [result for result in results.values() if result["axis"] == axis]
        x = [point[axis] for point in points]
        for engine, colour in (("renga", "#a23b2a"), ("onnxruntime", _COLOURS["onnxruntime"])):
            y = [point["engines"][engine]["median"] / point["batch"] for point in points]
            panel.plot(x, y, "o-", color=colour, markersize=3, label=NAMES[engine])
        if axis != "batch" and points:
            share = [(value / x[-1]) ** (2 if axis == "size" else 1) for value in x]
            last = points[-1]["engines"]["renga"]["median"] / points[-1]["batch"]
            panel.plot(x, [last * part for part in share], ":", color="#999", label="in proportion")
        _logarithmic(panel, x, label, "ms an image (medians)")
    points = [result for result in results.values() if result["axis"] == "batch"]
    x = [point["batch"] for point in points]
    for key, label, style in (("plan_bytes", "inference", "o-"), ("train_bytes", "training", "s-")):
        panels[3].plot(x, [point[key] / 2**20 for point in points], style, markersize=3, label=label, color="#a23b2a")
    _logarithmic(panels[3], x, "images in a batch", "MiB that Renga's plan holds")
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def _logarithmic(panel, x: list, x_label: str, y_label: str) -> None:
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_xticks(x, [str(value) for value in x], fontsize=7)
    panel.minorticks_off()
    panel.set_xlabel(x_label)
    panel.set_ylabel(y_label)
    panel.legend(fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)


def draw_rooflines(results: dict, out: Path) -> None:
    """GFLOP/s against operations a byte of every step with multiply-adds; area = share of the plan's time."""
    columns = 3
    figure, panels = plt.subplots(-(-len(results) // columns), columns, figsize=(15, 4.2 * -(-len(results) // columns)))
    for panel, (name, result) in zip(panels.flat, results.items(), strict=False):
        peaks, steps = result["peaks"], result["steps"]
        total = sum(step["ms"] for step in steps)
        top = peaks["bf16_gflops" if result["precision"] == "bf16" and peaks["bf16_gflops"] else "f32_gflops"]
        rate = max(peaks["read_gbytes_per_s"], peaks["write_gbytes_per_s"])
        intensity = [1.1**i for i in range(75)]
        panel.plot(intensity, [min(top, rate * value) for value in intensity], color="#222", linewidth=1)
        algorithms = sorted({step["algorithm"] for step in steps if step["macs"]})
        for number, algorithm in enumerate(algorithms):
            some = [step for step in steps if step["macs"] and step["algorithm"] == algorithm]
            panel.scatter(
                [2 * step["macs"] / step["bytes"] for step in some],
                [step["gflops"] for step in some],
                [max(4, 1500 * step["ms"] / total) for step in some],
                color=f"C{number}", alpha=0.55, label=algorithm or "one way", linewidth=0,
            )  # fmt: skip
        rest = sum(step["ms"] for step in steps if not step["macs"]) / total
        limit = sum(step["limit_ms"] for step in steps)
        panel.set_title(
            f"{name}: {total:.0f} ms, limit {limit:.0f} ms\n{rest:.0%} of the time without multiply-adds", fontsize=8
        )
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("operations a byte")
        panel.set_ylabel("GFLOP/s (direct method's)")
        panel.legend(fontsize=7, markerscale=0.4, loc="lower right")
        panel.spines[["top", "right"]].set_visible(False)
    for panel in list(panels.flat)[len(results) :]:
        panel.set_visible(False)
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def draw_channels(results: list[dict], out: Path) -> None:
    """Picoseconds a multiply-accumulate of a convolution's three passes against its number of channels."""
    figure, panel = plt.subplots(figsize=(9, 3.6))
    for number, kind in enumerate(dict.fromkeys(result["pass"] for result in results)):
        some = [result for result in results if result["pass"] == kind]
        x = [int(result["channels"]) for result in some]
        y = [float(result["ps_per_multiply_add"]) for result in some]
        panel.plot(x, y, "o-", color=f"C{number}", markersize=3, linewidth=1, label=kind)
    panel.set_xlabel("channels in and out")
    panel.set_ylabel("ps a multiply-accumulate")
    panel.set_xticks(range(16, 68, 4))
    panel.set_ylim(bottom=0)
    panel.grid(axis="x", color="#ddd", linewidth=0.6)
    panel.legend(fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(out, dpi=110)
    plt.close(figure)


def main() -> None:
    drawings = {"bench": draw, "growth": draw_growth, "roofline": draw_rooflines}
    for name, drawing in drawings.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            drawing(json.loads(file.read_text()), file.with_suffix(".png"))
    channels = RESULTS / "convolution_channels.csv"
    if channels.exists():
        with channels.open() as file:
            draw_channels(list(csv.DictReader(file)), channels.with_suffix(".png"))


if __name__ == "__main__":
    main()
