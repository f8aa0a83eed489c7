"""Trains one network once and writes what came of it as JSON. A process of its own, so that its peak memory is its own.

Usage: one_run.py PLAN GROUP NET SEED FILE.json (experiments.py calls it). Not here: what the runs are (plans.py).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import plans

import renga
from renga.measure import peak_resident_bytes
from renga.report import Recorder

WRONG_LABELS = 0.2
#: Images of the kinds of data that take a part only; chosen by the seed.
PARTS = {"noisy": 10_000, "few": 5_000}


def shrunk(opened: renga.Dataset, side: int) -> np.ndarray:
    """The images as u8 `[N,side,side,C]`, by averaging squares of pixels; a few at a time, for a small peak."""
    n, h, w, c = opened.shape
    k = h // side
    if h != w or k * side != h:
        raise ValueError(f"images of {h}x{w} cannot be averaged to {side}x{side}")
    found = np.empty((n, side, side, c), dtype=np.uint8)
    for begin in range(0, n, 1000):
        some = opened.images(begin, min(1000, n - begin))
        found[begin : begin + 1000] = np.rint(some.reshape(-1, side, k, side, k, c).mean(axis=(2, 4)))
    return found


def data(plan: plans.Plan, kind: str, seed: int) -> tuple[renga.Dataset, renga.Dataset]:
    """The training and the test set. A seed's wrong labels and chosen images are the same for all networks."""
    parts = []
    for part in ("train", "test"):
        with renga.open_part("fashion-mnist", part) as opened:
            parts.append((shrunk(opened, plan.side), opened.labels()))
    (x, y), test = parts
    x, y = x[: plan.train_images], y[: plan.train_images].copy()
    random = np.random.default_rng([20, seed])
    if kind in PARTS:
        chosen = random.permutation(len(y))[: PARTS[kind]]
        x, y = x[chosen], y[chosen]
    if kind == "noisy":
        wrong = random.random(len(y)) < WRONG_LABELS
        y[wrong] = (y[wrong] + random.integers(1, 10, int(wrong.sum()))) % 10
    return renga.Dataset(x, y, classes=10), renga.Dataset(*test, classes=10)


def run(plan_name: str, group_name: str, net_name: str, seed: int) -> dict[str, object]:
    """One training."""
    plan = plans.PLANS[plan_name]
    group = next(group for group in plans.GROUPS if group.name == group_name)
    net = next(net for net in group.nets if net.name == net_name)
    train, test = data(plan, group.data, seed)
    epochs = max(1, round(group.epochs * plan.effort * plan.train_images / len(train)))
    network = renga.Network.create(net.architecture, seed=seed, input=(plan.side, plan.side, 1), **net.options)
    recorder = Recorder()
    begin = time.time()
    trainer = renga.Trainer(network, "fast", epochs=epochs, seed=seed, **plan.recipe)
    # The test set is asked once, at the end: nothing is chosen by it.
    history = trainer.fit(train, progress=recorder)
    judged = trainer.evaluate(test)
    return {
        "plan": plan_name,
        "group": group.name,
        "net": net.name,
        "seed": seed,
        "epochs": epochs,
        "train_images": len(train),
        "test_error": 1 - judged.accuracy,
        "test_loss": judged.loss,
        "train_loss": history["epochs"][-1]["loss"],
        "curve": [(round(at, 4), round(loss, 5)) for at, loss in recorder.loss],
        "seconds": round(time.time() - begin, 1),
        "parameters": network.info.parameters,
        "macs": network.info.macs,
        "plan_bytes": trainer.memory.total,
        "peak_bytes": peak_resident_bytes(),
        "recipe": history["recipe"],
        "options": {name: str(value) for name, value in net.options.items()},
        "library": {name: renga.runtime_info()[name] for name in ("version", "isa", "threads")},
        "commit": os.environ.get("RENGA_COMMIT", "unknown"),
    }


def main(plan: str, group: str, net: str, seed: str, file: str) -> None:
    found = run(plan, group, net, int(seed))
    partial = Path(file + ".partial")
    partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)  # a file that is there is whole


if __name__ == "__main__":
    main(*sys.argv[1:])
