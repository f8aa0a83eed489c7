"""Times merge-and-run blocks in two forms: K streams apart, and one stream of K C channels with K groups.

Usage: stream_forms.py [--out FILE.json]. Both forms compute the same (tests prove it); the library makes the first.
Not here: accuracy (experiments.py).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import renga
from renga.measure import time_inference, time_training
from renga.report.machine import machine

HERE = Path(__file__).resolve().parent
BLOCKS, ROUNDS = 4, 4
#: Rows and columns with channels of a stream: the stages of CIFAR networks.
STAGES = ((32, 16), (16, 32), (8, 64))


def streams_apart(builder: renga.Builder, x: int, k: int, c: int) -> int:
    """Blocks m = mean of x_k, x_k = relu(H_k(x_k) + m); the streams joined at the end."""
    streams = [builder.add("convolution", x, channels=c, kernel=1) for _ in range(k)]
    for _ in range(BLOCKS):
        mean = builder.add("mean", *streams)
        streams = [builder.add("relu", builder.add("add", branch(builder, stream, c, 1), mean)) for stream in streams]
    return builder.add("concat", *streams)


def streams_together(builder: renga.Builder, x: int, k: int, c: int) -> int:
    """The same on one map: grouped convolutions, and M as a convolution of one pixel."""
    x = builder.add("convolution", x, channels=k * c, kernel=1)
    for _ in range(BLOCKS):
        mean = builder.add("convolution", x, channels=k * c, kernel=1, bias=False)
        x = builder.add("relu", builder.add("add", branch(builder, x, k * c, k), mean))
    return x


def branch(builder: renga.Builder, x: int, c: int, groups: int) -> int:
    for number in range(2):
        x = builder.add("convolution", x, channels=c, kernel=3, pad=1, groups=groups, bias=False)
        x = builder.add("batch_norm", x)
        if number == 0:
            x = builder.add("relu", x)
    return x


def network(form: str, k: int, size: int, c: int) -> renga.Network:
    builder = renga.Builder()
    x = builder.input(size, size, c)
    x = (streams_apart if form == "apart" else streams_together)(builder, x, k, c)
    return builder.finish(builder.add("linear", builder.add("global_average_pool", x), channels=10))


def measure() -> list[dict[str, float | int]]:
    """Least milliseconds of a few rounds in turn."""
    found = []
    for k in (2, 3, 4):
        for size, c in STAGES:
            row: dict[str, float | int] = {"streams": k, "size": size, "channels": c}
            for _ in range(ROUNDS):
                for form in ("apart", "together"):
                    made = network(form, k, size, c)
                    for batch in (1, 64):
                        timing, session = time_inference(made, batch=batch, runs=5)
                        session.close()
                        key = f"{form}_{batch}_ms"
                        row[key] = round(min(timing.min_ms, row.get(key, timing.min_ms)), 4)
                    timing, _ = time_training(made, batch=64, runs=2)
                    key = f"{form}_step_ms"
                    row[key] = round(min(timing.min_ms, row.get(key, timing.min_ms)), 3)
            found.append(row)
            print(row, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "stream_forms.json")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    rows = measure()
    options.out.write_text(json.dumps({"machine": dict(machine()), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
