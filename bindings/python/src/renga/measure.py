"""Times inference and training steps of a network on random input. Not here: comparing with other libraries
(Benchmarks/).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._errors import InvalidArgument
from ._options import MAX_EXTENT, whole
from .network import Network
from .session import Session
from .trainer import Trainer

_WARM_UP_SECONDS = 0.2


@dataclass(frozen=True)
class Timing:
    """Wall-clock milliseconds of one call over `runs` calls, after a warm-up; and what the plan holds."""

    batch: int
    runs: int
    median_ms: float
    min_ms: float
    p95_ms: float
    compile_ms: float  #: making the session, or the trainer's first step
    plan_bytes: int  #: weights, activations and scratch
    precision: str

    @property
    def images_per_second(self) -> float:
        """By the median."""
        return self.batch / self.median_ms * 1000


def peak_resident_bytes() -> int:
    """The most memory this process has had in RAM so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def time_calls(work: Callable[[], Any], runs: int) -> list[float]:
    """Milliseconds of each of `runs` calls, after a warm-up of at least one call."""
    begin = time.perf_counter()
    work()
    while time.perf_counter() - begin < _WARM_UP_SECONDS:
        work()
    times = []
    for _ in range(whole(runs, "runs", 1, MAX_EXTENT)):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return times


def _timing(times: list[float], batch: int, compile_ms: float, plan_bytes: int, precision: str) -> Timing:
    p95 = float(np.percentile(times, 95))
    return Timing(batch, len(times), float(np.median(times)), min(times), p95, compile_ms, plan_bytes, precision)


def time_inference(
    network: Network,
    *,
    batch: int = 1,
    size: tuple[int, int] | None = None,
    runs: int = 20,
    threads: int = 0,
    precision: str = "f32",
    tune: bool = False,
    linear_weights: str = "f32",
) -> tuple[Timing, Session]:
    """Times `Session.run` on normally distributed f32 input; returns the session too, which the caller closes."""
    begin = time.perf_counter()
    session = Session(
        network,
        batch=batch,
        size=size,
        threads=threads,
        precision=precision,
        tune=tune,
        linear_weights=linear_weights,
    )
    compile_ms = (time.perf_counter() - begin) * 1000
    random = np.random.default_rng(1)
    inputs = [random.standard_normal((batch, *shape), dtype=np.float32) for shape in session.input_shapes]
    x = inputs[0] if len(inputs) == 1 else inputs
    times = time_calls(lambda: session.run(x), runs)
    return _timing(times, batch, compile_ms, session.memory.total, precision), session


def time_training(
    network: Network,
    *,
    batch: int = 128,
    recipe: str | None = None,
    runs: int = 20,
    threads: int = 0,
    precision: str = "f32",
    memory_budget: int = 0,
    tune: bool = False,
    profile_runs: int = 0,
) -> tuple[Timing, list[dict[str, Any]]]:
    """Times `Trainer.step` on normally distributed f32 images with random labels; then the steps of
    `Trainer.profile(profile_runs)`, none for 0.
    """
    info = network.info
    classes = info.output_shape[2]
    if info.inputs != 1:
        raise InvalidArgument(f"the network has {info.inputs} inputs; training takes networks of one")
    random = np.random.default_rng(1)
    x = random.standard_normal((batch, *info.input_shape), dtype=np.float32)
    y = random.integers(0, classes, batch, dtype=np.int32)
    # Noise teaches nothing: a tiny rate takes the same time and keeps networks without batch norm from diverging.
    with Trainer(
        network,
        recipe,
        threads=threads,
        memory_budget=memory_budget,
        tune=tune,
        batch=batch,
        learning_rate=1e-6,
        precision=precision,
    ) as trainer:
        begin = time.perf_counter()
        trainer.step(x, y)
        compile_ms = (time.perf_counter() - begin) * 1000
        times = time_calls(lambda: trainer.step(x, y), runs)
        steps = trainer.profile(profile_runs)["steps"] if profile_runs else []
        return _timing(times, batch, compile_ms, trainer.memory.total, precision), steps


def with_limits(steps: Sequence[dict[str, Any]], peaks: dict[str, Any], precision: str = "f32") -> list[dict[str, Any]]:
    """The steps of a profile beside a roofline: `limit_ms` is the time that its operations take at the measured peak or
    its bytes from memory, whichever is longer; `of_limit` that time over the step's own. Above 1: an algorithm with
    fewer operations than the direct one (Winograd), or bytes that lay in a cache.
    """
    flops = 1e6 * (peaks["bf16_gflops"] if precision == "bf16" and peaks["bf16_gflops"] else peaks["f32_gflops"])
    rate = 1e6 * max(peaks["read_gbytes_per_s"], peaks["write_gbytes_per_s"])
    beside = []
    for step in steps:
        limit_ms = max(2 * step["macs"] / flops if flops else 0.0, step["bytes"] / rate if rate else 0.0)
        beside.append({**step, "limit_ms": limit_ms, "of_limit": limit_ms / step["ms"] if step["ms"] else 0.0})
    return beside
