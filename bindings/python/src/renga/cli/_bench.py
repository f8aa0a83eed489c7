"""`bench`: times inference or a training step, and says step by step how far it is from what the machine can do."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from .._library import machine_peaks
from .._words import bytes_text
from ..measure import Timing, peak_resident_bytes, time_inference, time_training, with_limits
from ..network import Network
from ._common import Answer, UsageError, open_network

#: Runs of a profile at most: the fastest run settles soon.
_PROFILE_RUNS = 20


def bench(options: argparse.Namespace) -> Answer:
    """Times inference (or a training step) with random input."""
    begin = time.perf_counter()
    network = _network(options)
    load_ms = (time.perf_counter() - begin) * 1000
    precision = options.precision or "f32"
    with network:
        timed = [(threads, *_timed(network, options, threads)) for threads in options.threads]
    threads, timing, steps = timed[-1]
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
    lines = _text(options, timing, load_ms)
    if options.profile:
        peaks = machine_peaks(threads)
        result["steps"] = with_limits(steps, peaks, precision)
        result["peaks"] = peaks
        lines += ["", *profile_text(result["steps"], peaks)]
    if len(timed) > 1:
        first = timed[0][1].median_ms
        result["threads"] = [
            {"threads": count, "median_ms": one.median_ms, "speed_up": first / one.median_ms} for count, one, _ in timed
        ]
        lines += ["", "threads  median ms  speed-up"]
        lines += [f"{row['threads']:>7}  {row['median_ms']:9.3f}  {row['speed_up']:8.2f}" for row in result["threads"]]
    return "\n".join(lines), result


def _timed(network: Network, options: argparse.Namespace, threads: int) -> tuple[Timing, list[dict[str, Any]]]:
    precision = options.precision or "f32"
    profile_runs = min(options.runs, _PROFILE_RUNS) if options.profile else 0
    if options.train:
        if options.linear_weights != "f32":
            raise UsageError("--linear-weights goes with inference: training updates f32 weights")
        return time_training(
            network,
            batch=options.batch or 128,
            runs=options.runs,
            threads=threads,
            precision=precision,
            profile_runs=profile_runs,
            memory_budget=options.memory_budget,
            tune=options.tune,
        )
    if options.memory_budget:
        raise UsageError("--memory-budget goes with --train")
    timing, session = time_inference(
        network,
        batch=options.batch or 1,
        size=options.size,
        runs=options.runs,
        threads=threads,
        precision=precision,
        tune=options.tune,
        linear_weights=options.linear_weights,
    )
    with session:
        return timing, session.profile(profile_runs)["steps"] if profile_runs else []


def _network(options: argparse.Namespace) -> Network:
    """The network; for training of another image size made for that size, which only architectures can be."""
    network = open_network(options.network, options.seed)
    if not (options.train and options.size):
        return network
    if not options.network.startswith("arch:"):
        raise UsageError("--train takes --size with arch:NAME only: a file's network is trained at its own size")
    with network:
        channels = network.info.input_shape[2]
    h, w = options.size
    return open_network(f"{options.network},input={h}x{w}x{channels}", options.seed)


def _text(options: argparse.Namespace, timing: Timing, load_ms: float) -> list[str]:
    what = "training step" if options.train else "inference"
    return [
        f"{what} in {timing.precision}, batch {timing.batch}, {timing.runs} runs",
        f"median  {timing.median_ms:9.3f} ms  ({timing.images_per_second:,.0f} images/s)",
        f"min     {timing.min_ms:9.3f} ms",
        f"p95     {timing.p95_ms:9.3f} ms",
        f"load    {load_ms:9.3f} ms, compile {timing.compile_ms:.3f} ms",
        f"memory  {bytes_text(timing.plan_bytes)} planned, {bytes_text(peak_resident_bytes())} resident at most",
    ]


def profile_text(steps: Sequence[dict[str, Any]], peaks: dict[str, Any]) -> list[str]:
    """A line a step: its time, rates, and the time that the machine's peaks allow as a part of it."""
    lines = [
        f"peaks of {peaks['threads']} threads: {peaks['f32_gflops']:.0f} GFLOP/s in f32, "
        f"{peaks['bf16_gflops']:.0f} in bf16, {peaks['read_gbytes_per_s']:.1f} GB/s read, "
        f"{peaks['write_gbytes_per_s']:.1f} written",
        f"{'ms':>9}  {'GFLOP/s':>8}  {'MB':>8}  {'GB/s':>6}  {'of limit':>8}  step",
    ]
    for step in steps:
        work = ", ".join(filter(None, (step["operator"], step["algorithm"])))
        lines.append(
            f"{step['ms']:9.3f}  {step['gflops']:8.1f}  {step['bytes'] / 1e6:8.2f}  {step['gbytes_per_s']:6.1f}"
            f"  {step['of_limit']:8.0%}  {step['name']}" + (f" ({work})" if work else "")
        )
    total, limit = sum(step["ms"] for step in steps), sum(step["limit_ms"] for step in steps)
    lines.append(f"{total:9.3f}  {'':8}  {'':8}  {'':6}  {limit / total if total else 0:8.0%}  all steps")
    return lines
