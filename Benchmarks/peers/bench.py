"""Times Renga beside its peers, run by run in turn, and keeps the result of each row. See README.md in this folder.

Usage: bench.py [--threads N] [--row-seconds S] [--start-seconds S] [--limit S] [--missing] [--prepare] [--check] [ROW]…
--start-seconds: an engine that is not ready by then (torch.compile of a deep network) is left out, and said to be.
--limit: no row begins after S seconds. --missing: only rows that have no result with this very library.
--prepare: only make models and compile (slow, not timed). --check: exit 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import machine
import models
import numpy as np
import tables
from engines import FILES
from rows import LARGEST_LIBRARY, ROWS, Row

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results" / "bench.json"
#: Largest difference of answers from PyTorch's in f32, by root mean square (training: of the first three losses).
TOLERANCE = {("infer", "f32"): 5e-3, ("train", "f32"): 2e-3, ("train", "bf16"): 0.05}
#: Inference in bf16: how far an answer may lie from f32's, as a multiple of the distance of PyTorch's own in bf16. A
#: deep network of random weights multiplies each rounding (ResNet-50: 0.12 by root mean square, VGG-16: 0.007).
BF16_TOLERANCE = 1.25


class NotStarted(Exception):
    """An engine that cannot do a row; its text says why."""


class AnswersOtherwise(Exception):
    """An engine whose answers are not those of the reference: its times would mean nothing."""


class Worker:
    """One engine in its own process, answering one run at a time."""

    def __init__(self, engine: str, row: str, threads: int) -> None:
        self.engine = engine
        command = [sys.executable, str(HERE / "worker.py"), engine, row, str(threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.errors = (models.FOLDER / f"{engine}.log").open("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment
        )
        self.milliseconds: list[float] = []
        self.facts: dict = {}

    def wait_ready(self, seconds: float) -> None:
        begin = time.monotonic()
        limit = threading.Timer(seconds, self.process.kill)
        limit.start()
        try:
            for line in self.process.stdout:
                if line.startswith("ready"):
                    self.facts = json.loads(line.removeprefix("ready"))
                    return
        finally:
            limit.cancel()
        if time.monotonic() - begin >= seconds:
            raise NotStarted(f"not ready within {seconds:g} s")
        self.errors.seek(0)
        raise NotStarted((self.errors.read().strip().splitlines() or ["no word"])[-1])

    def ask(self, word: str) -> float:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.communicate("end\n")


def prepare(name: str) -> None:
    """Makes what the row's engines read."""
    row = ROWS[name]
    if not row.network:
        return
    for engine in ("renga", *row.peers):
        for maker in FILES[engine]:
            models.need(maker, row.network, row.batch)
    if row.kind in ("infer", "first"):
        models.need("reference", row.network, row.batch)
    if row.kind == "infer" and row.precision == "bf16":
        models.need("reference_bf16", row.network, row.batch)


def compile_ahead(name: str, threads: int, seconds: float) -> None:
    """Lets torch.compile fill its cache."""
    if "torch_compile" in ROWS[name].peers:
        worker = Worker("torch_compile", name, threads)
        try:
            worker.wait_ready(seconds)
            worker.end()
        except NotStarted as problem:
            print(f"{name}: torch_compile: {problem}", file=sys.stderr)


def distance(answer: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square of the difference, as a part of the reference's."""
    difference = answer.reshape(reference.shape) - reference
    return float(np.sqrt(np.mean(difference**2) / np.mean(reference**2)))


def check_answers(row: Row, workers: list[Worker]) -> dict[str, float]:
    """Each engine's distance from the reference; an engine that answers something else must not be timed."""
    answers = {worker.engine: np.load(worker.facts["answers"]) for worker in workers}
    there = row.kind == "infer"
    if not there and "torch" not in answers:
        raise NotStarted("nothing to compare with")
    reference = np.load(models.path(row.network, f"b{row.batch}.npy")) if there else answers["torch"]
    if row.kind == "infer" and row.precision == "bf16":
        rounded = np.load(models.path(row.network, f"b{row.batch}-bf16.npy"))
        limit = BF16_TOLERANCE * distance(rounded, reference)
    else:
        limit = TOLERANCE["infer" if row.kind == "infer" else "train", row.precision]
    found = {engine: distance(answer, reference) for engine, answer in answers.items()}
    for engine, error in found.items():
        if not error <= limit:
            raise AnswersOtherwise(f"{engine} answers otherwise: {error:.2g} from the reference, at most {limit:.2g}")
    return found


def start(name: str, threads: int, seconds: float) -> tuple[list[Worker], dict[str, str]]:
    """Renga and the peers, each after another so that none disturbs another's start; and who could not."""
    workers, missing = [], {}
    for engine in ("renga", *ROWS[name].peers):
        worker = Worker(engine, name, threads)
        try:
            worker.wait_ready(seconds)
            workers.append(worker)
        except NotStarted as problem:
            if engine == "renga":
                raise
            missing[engine] = str(problem)
            print(f"{name}: {engine} is left out: {problem}", file=sys.stderr)
    return workers, missing


def time_row(name: str, threads: int, seconds: float, start_seconds: float) -> dict:
    """Warm-up, then rounds: every engine runs once, after a pause in which the last one's threads fall asleep."""
    row = ROWS[name]
    workers, missing = start(name, threads, start_seconds)
    try:
        errors = check_answers(row, workers)
        peaks = machine.peaks(threads)
        begin = time.monotonic()
        for round_number in range(row.runs + 2):
            turn = round_number % len(workers)
            for worker in workers[turn:] + workers[:turn]:
                time.sleep(0.1)
                milliseconds = worker.ask("run")
                if round_number >= 2:
                    worker.milliseconds.append(milliseconds)
            if time.monotonic() - begin > seconds and round_number >= 6:
                break
        peaks = machine.best(peaks, machine.peaks(threads))
    finally:
        for worker in workers:
            worker.end()
    engines = {
        worker.engine: {
            "median": statistics.median(worker.milliseconds),
            "min": min(worker.milliseconds),
            "max": max(worker.milliseconds),
            "error": errors[worker.engine],
            "added_bytes": worker.facts["added_bytes"],
        }
        for worker in workers
    }
    gflop = 2e-9 * models.macs(row.network) * row.batch * (3 if row.kind == "train" else 1)
    runs = len(workers[0].milliseconds)
    return {"unit": "ms", "runs": runs, "engines": engines, "missing": missing, "peaks": peaks, "gflop": gflop}


def single_row(name: str, threads: int, start_seconds: float) -> dict:
    """Rows whose every sample is a process of its own."""
    row = ROWS[name]
    samples: dict[str, list[float]] = {engine: [] for engine in ("renga", *row.peers)}
    for round_number in range(row.runs + (1 if row.kind == "first" else 0)):
        for engine, values in samples.items():
            worker = Worker(engine, name, threads)
            worker.wait_ready(start_seconds)
            worker.end()
            if row.kind == "memory":
                values.append(worker.facts["added_bytes"] / 2**20)
            elif round_number >= 1:  # the first round brings the files into memory
                values.append(worker.facts["first_ms"])
    engines = {
        engine: {"median": statistics.median(values), "min": min(values), "max": max(values)}
        for engine, values in samples.items()
    }
    return {"unit": "MiB" if row.kind == "memory" else "ms", "runs": row.runs, "engines": engines}


def judged(name: str, result: dict) -> dict:
    """The result with the targets' ratios."""
    result |= {"title": ROWS[name].title, "kind": ROWS[name].kind, "targets": []}
    ours = result["engines"]["renga"]
    for target in ROWS[name].targets:
        there = [peer for peer in target.peers if peer in result["engines"]]
        if not there:
            continue
        best = min(there, key=lambda peer: result["engines"][peer]["median"])
        figures = {key: result["engines"][best][key] / ours[key] for key in ("median", "min")}
        met = figures["median"] >= target.ratio
        result["targets"].append({"best": best, "asked": target.ratio, "met": met, **figures})
    return result


def library_row() -> dict:
    """The size of the library without symbols, in MB."""
    megabytes = machine.stripped_size() / 1e6
    figures = {"median": megabytes, "min": megabytes, "max": megabytes}
    most = LARGEST_LIBRARY / 1e6
    target = {"best": "bound", "asked": 1.0, "median": most / megabytes, "min": most / megabytes}
    target["met"] = megabytes < most
    row = ROWS["size"]
    engines = {"renga": figures}
    return {"title": row.title, "kind": "size", "unit": "MB", "runs": 1, "engines": engines, "targets": [target]}


def run_row(name: str, threads: int, seconds: float, start_seconds: float) -> dict:
    """A row's result."""
    kind = ROWS[name].kind
    if kind == "size":
        return library_row()
    prepare(name)
    timed = kind in ("infer", "train")
    result = time_row(name, threads, seconds, start_seconds) if timed else single_row(name, threads, start_seconds)
    return judged(name, result)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--row-seconds", type=float, default=60)
    parser.add_argument("--start-seconds", type=float, default=600)
    parser.add_argument("--limit", type=float, default=float("inf"))
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]}; known: {', '.join(ROWS)}")
    models.FOLDER.mkdir(parents=True, exist_ok=True)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    begin, missed = time.monotonic(), False
    print(f"{machine.cpu_name()}, {options.threads} threads, {machine.today()}")
    for name in options.rows:
        if options.prepare:
            prepare(name)
            compile_ahead(name, options.threads, options.start_seconds)
            continue
        if options.missing and kept.get(name, {}).get("library") == machine.library_version():
            continue
        if time.monotonic() - begin > options.limit:
            print(f"{name}: not run, {options.limit:g} s are over")
            continue
        try:
            result = run_row(name, options.threads, options.row_seconds, options.start_seconds)
        except (NotStarted, AnswersOtherwise) as problem:
            print(f"{name}: skipped, {problem}")
            missed = True
            continue
        result |= machine.facts(options.threads)
        missed |= any(not target["met"] for target in result["targets"])
        kept[name] = result
        ordered = {row: kept[row] for row in ROWS if row in kept}
        RESULTS.write_text(json.dumps(ordered, indent=1) + "\n")
        print(tables.row_text(result), flush=True)
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
