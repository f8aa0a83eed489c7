"""Each step of Renga's plans beside the roofline of this machine: time, GFLOP/s, bytes, part of what the peaks allow.

Usage: roofline.py [--threads N] [--runs N] [NAME …]. Writes results/roofline.json; pictures.py draws it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import machine
import models

RESULTS = Path(__file__).parents[1] / "results" / "roofline.json"
#: name -> network, batch, training or not, precision.
PLANS = {
    "VGG-16, batch 1, f32": ("vgg16", 1, False, "f32"),
    "ResNet-50, batch 1, f32": ("resnet50", 1, False, "f32"),
    "ResNet-56, batch 64, f32": ("resnet56", 64, False, "f32"),
    "ResNet-56 training, batch 128, f32": ("resnet56", 128, True, "f32"),
    "PyramidNet-110 training, batch 64, f32": ("pyramidnet110", 64, True, "f32"),
    "ResNet-50, batch 1, bf16": ("resnet50", 1, False, "bf16"),
}


def profiled(network: str, batch: int, train: bool, precision: str, threads: int, runs: int) -> dict:
    """The plan's steps with their times in the fastest run and their limits."""
    import renga
    from renga.measure import with_limits

    loaded = renga.Network.load(models.need("renga", network, 0))
    peaks = renga.machine_peaks(threads)
    if train:
        with renga.Trainer(loaded, threads=threads, batch=batch, precision=precision) as trainer:
            steps = trainer.profile(runs)["steps"]
    else:
        with renga.Session(loaded, batch=batch, threads=threads, precision=precision) as session:
            steps = session.profile(runs)["steps"]
    return {"peaks": peaks, "steps": with_limits(steps, peaks, precision)}


def lines(results: dict) -> str:
    """JSON with a step a line."""
    return json.dumps(results).replace('{"name"', '\n{"name"') + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(PLANS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in options.names:
        result = profiled(*PLANS[name], options.threads, options.runs)
        kept[name] = {**result, "precision": PLANS[name][3], **machine.facts(options.threads)}
        RESULTS.write_text(lines({key: kept[key] for key in PLANS if key in kept}))
        total, limit = (sum(step[key] for step in result["steps"]) for key in ("ms", "limit_ms"))
        part, steps = limit / total, len(result["steps"])
        print(f"{name}: {total:.1f} ms in {steps} steps; the peaks allow {limit:.1f} ms, {part:.0%}")
        for step in sorted(result["steps"], key=lambda step: step["ms"] - step["limit_ms"], reverse=True)[:3]:
            work = ", ".join(filter(None, (step["operator"], step["algorithm"])))
            print(f"  most above its limit: {step['name']} ({work}) {step['ms']:.2f} ms, limit {step['limit_ms']:.2f}")


if __name__ == "__main__":
    main()
