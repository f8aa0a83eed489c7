"""Does training in bf16 cost accuracy? Trains one residual network in f32 and in bf16, seed by seed, on Fashion-MNIST.

Usage: precision.py [--seeds 1 2 3] [--epochs 3] [--side 28] [--out FILE]. A seed fixes first values, order and
mirroring for both precisions. Runs that the file holds already are not repeated. Not here: speed (Benchmarks/peers).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import one_run
import plans
import summary

import renga
from renga.report.machine import machine

HERE = Path(__file__).resolve().parent
NETWORK = {"depth": 8, "width": 16}
PRECISIONS = ("f32", "bf16")


def train(options: argparse.Namespace, precision: str, seed: int) -> dict[str, Any]:
    """One training with the preset "fast"; the test set is asked once, at the end, in both precisions."""
    plan = plans.Plan(options.side, 1.0, (seed,), 60_000, {})
    train_set, test_set = one_run.data(plan, "all", seed)
    network = renga.Network.create("resnet", seed=seed, input=(options.side, options.side, 1), classes=10, **NETWORK)
    begin = time.time()
    with renga.Trainer(network, "fast", epochs=options.epochs, seed=seed, precision=precision) as trainer:
        history = trainer.fit(train_set)
        judged = {name: trainer.evaluate(test_set, precision=name) for name in PRECISIONS}
        return {
            "precision": precision,
            "seed": seed,
            "side": options.side,
            "epochs": options.epochs,
            "test_error": {name: 1 - one.accuracy for name, one in judged.items()},
            "test_loss": {name: one.loss for name, one in judged.items()},
            "train_loss": [epoch["loss"] for epoch in history["epochs"]],
            "seconds": round(time.time() - begin, 1),
            "activation_bytes": trainer.memory.activations,
            "recipe": history["recipe"],
            "isa": renga.runtime_info()["isa"],
        }


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Test errors and losses by precision, each judged in its own, and their differences over the seeds."""
    found: dict[str, Any] = {}
    for measure in ("test_error", "test_loss"):
        values = {
            name: {run["seed"]: run[measure][name] for run in runs if run["precision"] == name} for name in PRECISIONS
        }
        found[measure] = {name: summary.spread(list(of.values())) for name, of in values.items() if of}
        found[measure]["bf16_minus_f32"] = summary.compared(values["f32"], values["bf16"])
    return found


def write(runs: list[dict[str, Any]], file: Path) -> None:
    """All runs with their summary; a file that is there is whole."""
    found = {"network": NETWORK, "machine": dict(machine()), "summary": summarise(runs), "runs": runs}
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    partial.replace(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--side", type=int, default=28, choices=(14, 28))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "precision.json")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    runs = json.loads(options.out.read_text())["runs"] if options.out.exists() else []
    if any((run["side"], run["epochs"]) != (options.side, options.epochs) for run in runs):
        parser.error(f"{options.out} holds runs of another size or length: name another file by --out")
    done = {(run["precision"], run["seed"]) for run in runs}
    for seed in options.seeds:
        for precision in PRECISIONS:
            if (precision, seed) in done:
                continue
            runs.append(train(options, precision, seed))
            write(runs, options.out)
            print(f"{precision} seed {seed}: {runs[-1]['test_error']} in {runs[-1]['seconds']:.0f} s", flush=True)
    write(runs, options.out)
    print(json.dumps(summarise(runs), indent=1))


if __name__ == "__main__":
    main()
