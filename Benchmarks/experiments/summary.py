"""Means, spreads and tests over seeds, as JSON and as Markdown tables. Not here: drawing (picture.py).

With n seeds a difference between two networks is judged by Student's paired t-test over the seeds (a seed fixes the
order of the images, the mirrored ones, the wrong labels and the chosen images for all networks of a group): two-sided,
n - 1 degrees of freedom.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import plans

Run = dict[str, Any]


def student_two_sided(t: float, freedom: int) -> float:
    """P(|T| > t) of Student's distribution, by the trapezoid rule in the angle atan(T / sqrt(freedom))."""
    angles = np.linspace(0, math.atan(abs(t) / math.sqrt(freedom)), 20_001)
    density = np.cos(angles) ** (freedom - 1)
    scale = math.gamma((freedom + 1) / 2) / (math.gamma(freedom / 2) * math.sqrt(math.pi))
    return max(0.0, 1 - 2 * scale * float(np.trapezoid(density, angles)))


def spread(values: list[float]) -> dict[str, float]:
    """Mean, sample standard deviation and n."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return {"mean": float(np.mean(values)), "sd": deviation, "n": len(values)}


def compared(a: dict[int, float], b: dict[int, float]) -> dict[str, Any] | None:
    """b - a over the seeds that both have; None below two."""
    seeds = sorted(a.keys() & b.keys())
    differences = [b[seed] - a[seed] for seed in seeds]
    if len(seeds) < 2:
        return None
    mean, deviation = float(np.mean(differences)), float(np.std(differences, ddof=1))
    error = deviation / math.sqrt(len(seeds))
    p = student_two_sided(mean / error, len(seeds) - 1) if error > 0 else float(mean == 0)
    return {"mean": mean, "sd": deviation, "n": len(seeds), "p": p, "lower_in": sum(d < 0 for d in differences)}


def summarise(plan: str, folder: Path) -> dict[str, Any]:
    """Reads every run of the folder; writes summary.json and summary.md there; returns the former."""
    names = ("summary.json", "costs.json")
    runs = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json")) if file.name not in names]
    costs = json.loads((folder / "costs.json").read_text())
    groups = [group_summary(group, [run for run in runs if run["group"] == group.name]) for group in plans.GROUPS]
    found = {"plan": plan, "costs": costs, "groups": [group for group in groups if group["nets"]]}
    (folder / "summary.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / "summary.md").write_text(markdown(found), encoding="utf-8")
    return found


def group_summary(group: plans.Group, runs: list[Run]) -> dict[str, Any]:
    by_net = {net.name: [run for run in runs if run["net"] == net.name] for net in group.nets}
    by_net = {name: mine for name, mine in by_net.items() if mine}
    errors = {name: {run["seed"]: run["test_error"] for run in mine} for name, mine in by_net.items()}
    losses = {name: {run["seed"]: run["train_loss"] for run in mine} for name, mine in by_net.items()}
    nets = [
        {
            "net": name,
            "parameters": mine[0]["parameters"],
            "macs": mine[0]["macs"],
            "test_error": spread(list(errors[name].values())),
            "train_loss": spread(list(losses[name].values())),
            "peak_bytes": max(run["peak_bytes"] for run in mine),
            "plan_bytes": mine[0]["plan_bytes"],
            "curve": mean_curve([run["curve"] for run in mine]),
        }
        for name, mine in by_net.items()
    ]
    pairs = [
        {"a": a, "b": b, "test_error": compared(errors[a], errors[b]), "train_loss": compared(losses[a], losses[b])}
        for a, b in itertools.combinations(by_net, 2)
    ]
    return {
        "group": group.name,
        "question": group.question,
        "data": group.data,
        "epochs": sorted({run["epochs"] for run in runs}),
        "commits": sorted({run["commit"] for run in runs}),
        "nets": nets,
        "pairs": [pair for pair in pairs if pair["test_error"] is not None],
    }


def mean_curve(curves: list[list[list[float]]]) -> list[tuple[float, float]]:
    """Point by point over the seeds."""
    return [(points[0][0], float(np.mean([loss for _, loss in points]))) for points in zip(*curves, strict=False)]


def markdown(found: dict[str, Any]) -> str:
    """The tables."""
    lines = []
    for group in found["groups"]:
        lines += [f"### {group['group']}: {DATA[group['data']]}", "", group["question"], ""]
        lines += [
            "| network | parameters | MMACs | test error, % | last epoch's training loss | seeds |",
            "|---|---|---|---|---|---|",
        ]
        for net in group["nets"]:
            error, loss = net["test_error"], net["train_loss"]
            lines.append(
                f"| {net['net']} | {net['parameters']:,} | {net['macs'] / 1e6:.1f} | {100 * error['mean']:.2f} ± "
                f"{100 * error['sd']:.2f} | {loss['mean']:.4f} ± {loss['sd']:.4f} | {error['n']} |"
            )
        lines += [""] + [sentence(pair) for pair in group["pairs"]]
        lines += ["", f"Epochs: {', '.join(map(str, group['epochs']))}; commit {', '.join(group['commits'])}.", ""]
    return "\n".join(lines + cost_lines(found))


#: What a group's data is, for people.
DATA = {
    "all": "all training images",
    "noisy": "10,000 training images, 20 % of their labels wrong",
    "few": "5,000 training images",
}


def sentence(pair: dict[str, Any]) -> str:
    """One comparison in words that claim no more than the test does."""
    error = pair["test_error"]
    order = "lower" if error["mean"] < 0 else "higher"
    verdict = "significant at 5 %" if error["p"] < 0.05 else "not significant: these seeds cannot tell the two apart"
    return (
        f"- {pair['b']} against {pair['a']}: test error {100 * abs(error['mean']):.2f} points {order} "
        f"(lower in {error['lower_in']} of {error['n']} seeds; paired t-test p = {error['p']:.3f}, {verdict})."
    )


def cost_lines(found: dict[str, Any]) -> list[str]:
    peaks = {net["net"]: net["peak_bytes"] for group in found["groups"] for net in group["nets"]}
    plan_bytes = {net["net"]: net["plan_bytes"] for group in found["groups"] for net in group["nets"]}
    costs = found["costs"]
    lines = [
        "### Costs",
        "",
        "| network | epoch, s | latency of 1 image, ms | of 64, ms | training plan, MB | peak of the process, MB |",
        "|---|---|---|---|---|---|",
    ]
    for name, cost in costs["nets"].items():
        if name in peaks:
            lines.append(
                f"| {name} | {cost['epoch_seconds']:.1f} | {cost['latency_1_ms']:.3f} | {cost['latency_64_ms']:.2f} | "
                f"{plan_bytes[name] / 1e6:.1f} | {peaks[name] / 1e6:.0f} |"
            )
    where = ", ".join(f"{name}: {value}" for name, value in costs["machine"].items())
    return [
        *lines,
        "",
        f"Least of {costs['rounds']} rounds in turn (of an epoch: of medians of nine steps). {where}.",
        "",
    ]
