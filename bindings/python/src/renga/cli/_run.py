"""`run` and `bench`."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from .._files import atomic
from .._words import bytes_text
from ..measure import Timing, peak_resident_bytes, time_inference, time_training
from ..network import Network
from ..session import Session
from ._common import Answer, UsageError, open_network, shape_text


def _read_array(path: str) -> Any:
    """An `.npy`, mapped rather than read: the library goes through it batch by batch."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError(f"{path} is no .npy of plain numbers: {error}") from None
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{path} is an archive; expected one array (.npy)")
    return array


def run(options: argparse.Namespace) -> Answer:
    """Inference."""
    x = _read_array(options.input)
    if x.ndim not in (2, 4) or x.shape[0] == 0:
        raise UsageError(f"{options.input} has shape {list(x.shape)}; expected [N,H,W,C] with at least one image")
    with open_network(options.network, options.seed) as network:
        size = None
        if x.ndim == 4:
            given = (x.shape[1], x.shape[2]) if options.layout == "nhwc" else (x.shape[2], x.shape[3])
            size = None if given == network.info.input_shape[:2] else given
        batch = options.batch or min(32, x.shape[0])
        precision = options.precision or "f32"
        with Session(network, batch=batch, threads=options.threads, size=size, precision=precision) as session:
            begin = time.perf_counter()
            y = session.run(x, layout=options.layout)
            ms = (time.perf_counter() - begin) * 1000
    if not isinstance(y, np.ndarray):
        raise UsageError("the network has several outputs; `renga run` writes one")
    with atomic(options.output) as file:
        np.save(file, y)
    text = f"{options.output}: {shape_text(y.shape)} in {ms:.1f} ms ({x.shape[0] / ms * 1000:,.0f} images/s)"
    return text, {"output_shape": list(y.shape), "ms": ms, "n": int(x.shape[0]), "batch": batch, "precision": precision}


def bench(options: argparse.Namespace) -> Answer:
    """Times inference (or a training step) with random input."""
    begin = time.perf_counter()
    network = open_network(options.network, options.seed)
    load_ms = (time.perf_counter() - begin) * 1000
    steps: list[dict[str, Any]] = []
    with network:
        if options.train:
            if options.profile or options.size:
                raise UsageError("--train goes with neither --profile nor --size in this version")
            timing = time_training(
                network,
                batch=options.batch or 128,
                runs=options.runs,
                threads=options.threads,
                precision=options.precision or "f32",
            )
        else:
            timing, steps = _bench_inference(network, options)
    result: dict[str, Any] = {
        "median_ms": timing.median_ms,
        "min_ms": timing.min_ms,
        "p95_ms": timing.p95_ms,
        "images_per_second": timing.images_per_second,
        "peak_bytes": timing.plan_bytes,
        "peak_resident_bytes": peak_resident_bytes(),
        "load_ms": load_ms,
        "compile_ms": timing.compile_ms,
        "batch": timing.batch,
        "runs": timing.runs,
        "precision": timing.precision,
    }
    if options.profile:
        result["steps"] = steps
    return _bench_text(options, timing, load_ms, steps), result


def _bench_inference(network: Network, options: argparse.Namespace) -> tuple[Timing, list[dict[str, Any]]]:
    timing, session = time_inference(
        network,
        batch=options.batch or 1,
        size=options.size,
        runs=options.runs,
        threads=options.threads,
        precision=options.precision or "f32",
    )
    with session:
        steps = session.profile(min(options.runs, 20))["steps"] if options.profile else []
    return timing, steps


def _bench_text(options: argparse.Namespace, timing: Timing, load_ms: float, steps: list[dict[str, Any]]) -> str:
    what = "training step" if options.train else "inference"
    lines = [
        f"{what} in {timing.precision}, batch {timing.batch}, {timing.runs} runs",
        f"median  {timing.median_ms:9.3f} ms  ({timing.images_per_second:,.0f} images/s)",
        f"min     {timing.min_ms:9.3f} ms",
        f"p95     {timing.p95_ms:9.3f} ms",
        f"load    {load_ms:9.3f} ms, compile {timing.compile_ms:.3f} ms",
        f"memory  {bytes_text(timing.plan_bytes)} planned, {bytes_text(peak_resident_bytes())} resident at most",
    ]
    if steps:
        lines.append("")
        lines.append(f"{'ms':>9}  {'GFLOP/s':>8}  step")
        for step in steps:
            name = f"{step.get('name', '')} ({step.get('operator', '')}, {step.get('algorithm', '')})"
            lines.append(f"{step.get('ms', 0):9.3f}  {step.get('gflops', 0):8.1f}  {name}")
    return "\n".join(lines)
