"""How time and memory grow with batch, image size and depth: Renga beside ONNX Runtime, run by run in turn.

Usage: growth.py [--threads N] [--seconds S] [--missing] [--prepare] [batch|size|depth …]
Each point is written to results/growth.json when it is done.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import machine
import models

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "growth.json"
#: axis -> points (network, batch, image size); the axis's own value is what changes.
AXES = {
    "batch": [("resnet20", batch, 32) for batch in (1, 2, 4, 8, 16, 32, 64, 128, 256)],
    "size": [("resnet20", 1, size) for size in (32, 64, 96, 128, 192, 256, 384, 512)],
    "depth": [(f"resnet{depth}", 1, 32) for depth in (20, 32, 56, 80, 110, 152, 200)],
}
ENGINES = ("renga", "onnxruntime")


def work(engine: str, network: str, batch: int, size: int, threads: int):
    """The engine's run on a batch of images of a size, and the bytes that its plan holds (0: it does not say)."""
    images = models.images(network, batch, size)
    if engine == "renga":
        import renga

        loaded = renga.Network.load(models.path(network, "renga.safetensors"))
        session = renga.Session(loaded, batch=batch, threads=threads, size=(size, size))
        return lambda: session.run(images), session.memory.total
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(models.path(network, "b0.onnx"), options, providers=["CPUExecutionProvider"])
    feed = {"x": np.ascontiguousarray(images.transpose(0, 3, 1, 2))}
    return lambda: session.run(None, feed), 0


def serve() -> None:
    """One engine at one point: prints the plan's bytes, then milliseconds for each line read."""
    engine, network, *numbers = sys.argv[2:]
    run, planned = work(engine, network, *map(int, numbers))
    run()
    print(planned, flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        run()
        print((time.perf_counter() - begin) * 1e3, flush=True)


def train_bytes(network: str, batch: int, threads: int) -> int:
    """What a training plan of that batch holds."""
    import renga

    loaded = renga.Network.load(models.path(network, "renga.safetensors"))
    with renga.Trainer(loaded, threads=threads, batch=batch) as trainer:
        return trainer.memory.total


def measure(point: tuple[str, int, int], threads: int, seconds: float) -> dict:
    """A point's medians and minima in turn."""
    command = [sys.executable, __file__, "serve"]
    asked = [str(value) for value in (*point, threads)]
    workers = {
        engine: subprocess.Popen([*command, engine, *asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for engine in ENGINES
    }
    planned = {engine: int(worker.stdout.readline()) for engine, worker in workers.items()}
    times: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    begin = time.monotonic()
    for round_number in range(40):
        for engine, worker in workers.items():
            time.sleep(0.1)  # a peer's workers may spin for 50 ms after a run, where the next engine's would be
            worker.stdin.write("run\n")
            worker.stdin.flush()
            milliseconds = float(worker.stdout.readline())
            if round_number > 0:
                times[engine].append(milliseconds)
        if round_number >= 4 and time.monotonic() - begin > seconds:
            break
    for worker in workers.values():
        worker.communicate()
    found = {engine: {"median": statistics.median(values), "min": min(values)} for engine, values in times.items()}
    return {"engines": found, "runs": len(times["renga"]), "plan_bytes": planned["renga"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", default=list(AXES))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    options = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    library = machine.library_version()
    for axis in options.axes:
        for point in AXES[axis]:
            network, batch, size = point
            models.need("renga", network, 0)
            models.need("onnx", network, 0)
            key = f"{axis} {network} b{batch} {size}"
            if options.prepare or (options.missing and kept.get(key, {}).get("library") == library):
                continue
            result = measure(point, options.threads, options.seconds)
            if axis == "batch":
                result["train_bytes"] = train_bytes(network, batch, options.threads)
            depth = int(network.removeprefix("resnet"))
            result |= {"axis": axis, "batch": batch, "size": size, "depth": depth, **machine.facts(options.threads)}
            kept[key] = result
            order = [f"{a} {p[0]} b{p[1]} {p[2]}" for a, points in AXES.items() for p in points]
            RESULTS.write_text(json.dumps({name: kept[name] for name in order if name in kept}, indent=1) + "\n")
            shown = "  ".join(f"{name} {value['median'] / batch:8.3f} ms" for name, value in result["engines"].items())
            print(f"{key:32} an image: {shown}  plan {result['plan_bytes'] / 2**20:7.1f} MiB", flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:2] == ["serve"] else main()
