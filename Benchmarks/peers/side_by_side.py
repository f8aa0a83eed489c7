"""Times Renga beside its peers, run by run in turn, and prints one table. See README.md in this folder.

Usage: side_by_side.py [--threads N] [--out FILE.json] [--check] [WORK …]
--check exits 1 where a row's ratio of medians is under its floor.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from works import WORKS

HERE = Path(__file__).parent


class Worker:
    """One engine in its own process, answering one run at a time."""

    def __init__(self, engine: str, work: str, threads: int) -> None:
        self.engine = engine
        command = [sys.executable, str(HERE / "worker.py"), engine, work, str(threads)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.milliseconds: list[float] = []

    def wait_ready(self) -> None:
        for line in self.process.stdout:
            if line.startswith("ready"):
                return
        raise SystemExit(f"{self.engine} did not start:\n{self.process.stderr.read()[-2000:]}")

    def ask(self, word: str) -> float:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> int:
        peak = int(self.ask("end"))
        self.process.wait()
        return peak


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def time_work(name: str, threads: int) -> dict:
    """One row: warm-up, then `runs` rounds in which every engine runs once. A pause lets the last engine's threads fall asleep."""
    work = WORKS[name]
    workers = [Worker(engine, name, threads) for engine in ("renga", *work.peers)]
    for worker in workers:
        worker.wait_ready()
    for round_number in range(work.runs + 2):
        for worker in workers:
            time.sleep(0.05)
            milliseconds = worker.ask("run")
            if round_number >= 2:
                worker.milliseconds.append(milliseconds)
    row: dict = {"work": name, "runs": work.runs, "floor": work.floor, "engines": {}}
    for worker in workers:
        row["engines"][worker.engine] = {
            "median_ms": statistics.median(worker.milliseconds),
            "min_ms": min(worker.milliseconds),
            "max_ms": max(worker.milliseconds),
            "peak_bytes": worker.end(),
        }
    ours = row["engines"]["renga"]
    best = min(work.peers, key=lambda peer: row["engines"][peer]["median_ms"])
    floor_peer = work.peers[0]
    row["best_peer"] = best
    row["ratio_median"] = row["engines"][floor_peer]["median_ms"] / ours["median_ms"]
    row["ratio_min"] = row["engines"][floor_peer]["min_ms"] / ours["min_ms"]
    return row


def print_row(row: dict) -> None:
    for engine, figures in row["engines"].items():
        ratio = figures["median_ms"] / row["engines"]["renga"]["median_ms"]
        ratio_min = figures["min_ms"] / row["engines"]["renga"]["min_ms"]
        print(
            f"{row['work']:22} {engine:12} {figures['median_ms']:9.2f} {figures['min_ms']:9.2f} {figures['max_ms']:9.2f}"
            f" {ratio:7.2f}x {ratio_min:7.2f}x {figures['peak_bytes'] / 2**20:8.0f}"
        )
    verdict = "met" if row["ratio_median"] >= row["floor"] else "NOT MET"
    print(f"{'':22} floor {row['floor']:.2f}x {verdict} ({row['runs']} interleaved runs)", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", default=list(WORKS))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.works if name not in WORKS]
    if unknown:
        parser.error(f"unknown work {unknown[0]}; known: {', '.join(WORKS)}")
    print(f"{cpu_name()}, {arguments.threads} threads, {datetime.now(timezone.utc):%Y-%m-%d}")
    print(f"{'work':22} {'engine':12} {'median ms':>9} {'min ms':>9} {'max ms':>9} {'median':>8} {'min':>8} {'peak MiB':>8}")
    rows = []
    for name in arguments.works:
        rows.append(time_work(name, arguments.threads))
        print_row(rows[-1])
    if arguments.out:
        result = {"machine": cpu_name(), "threads": arguments.threads, "date": f"{datetime.now(timezone.utc):%Y-%m-%d}", "rows": rows}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    return int(arguments.check and any(row["ratio_median"] < row["floor"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
