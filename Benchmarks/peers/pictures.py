"""Draws the stored results: how many times faster each row is. Usage: pictures.py RESULTS.json OUT.svg."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "renga"
import matplotlib.pyplot as plt  # noqa: E402
from tables import NAMES, limit  # noqa: E402

_COLOURS = {
    "torch": "#c8553d", "torch_compile": "#e09f7d", "onnxruntime": "#6c757d", "openvino": "#2a6f97", "ncnn": "#74a57f",
    "mnn": "#b5a642",
}  # fmt: skip


def draw(results: dict, out: Path) -> None:
    """One bar a peer and row: the peer's median over Renga's; whiskers to the ratio of minima; ticks where the target stands."""
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
            axes.text(max(ratio, least) + 0.05, y, f"{ratio:.2f}x", va="center", fontsize=8)
            if engine in targets:
                axes.plot([targets[engine]] * 2, [y - 0.45, y + 0.45], color="black", linewidth=2.5)
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
    axes.legend(used.values(), used.keys(), fontsize=8, loc="lower right")
    first = rows[-1]
    axes.set_title(f"{first['machine']}, {first['threads']} threads, {first['date']}", fontsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
