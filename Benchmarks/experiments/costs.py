"""What the networks cost: time of an epoch, latency, memory; measured in turn, so that a busy minute hits all of them.

Not here: accuracy (one_run.py).
"""

from __future__ import annotations

import json
from pathlib import Path

import plans

import renga
from renga.measure import time_inference, time_training
from renga.report.machine import machine

ROUNDS = 5
BATCHES = (1, 64)


def measure(plan: plans.Plan, file: Path) -> None:
    """Writes, for each network, the least of several rounds of every time in milliseconds."""
    nets = {net.name: net for group in plans.GROUPS for net in group.nets}
    rounds = ROUNDS if plan.effort > 0 else 1
    found: dict[str, dict[str, float]] = {name: {} for name in nets}
    for _ in range(rounds):
        for name, net in nets.items():
            network = renga.Network.create(net.architecture, input=(plan.side, plan.side, 1), **net.options)
            best = found[name]
            for batch in BATCHES:
                timing, session = time_inference(network, batch=batch, runs=10)
                session.close()
                keep_least(best, f"latency_{batch}_ms", timing.min_ms)
                best[f"session_bytes_{batch}"] = timing.plan_bytes
            timing, _ = time_training(network, batch=int(plan.recipe["batch"]), runs=9)
            # The median: with gates the fastest step is the one with most of them closed.
            keep_least(best, "step_ms", timing.median_ms)
    for best in found.values():
        best["epoch_seconds"] = best["step_ms"] / 1000 * (plan.train_images // int(plan.recipe["batch"]))
    described = {"machine": dict(machine()), "rounds": rounds, "nets": found}
    file.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def keep_least(best: dict[str, float], key: str, value: float) -> None:
    best[key] = min(value, best.get(key, value))
