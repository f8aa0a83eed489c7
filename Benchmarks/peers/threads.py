"""What threads bring: each network's run with one thread, with all processors, and with twice as many as there are.

Usage: threads.py [--runs N]
Sessions take turns, run by run, in one process; the result goes to results/threads.json. Twice as many threads as
processors should cost at most a tenth. Not here: peers (bench.py).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import machine
import models
from rows import ROWS

import renga

RESULTS = Path(__file__).parent.parent / "results" / "threads.json"
NAMES = ("vgg16-f32", "resnet50-f32", "resnet50-bf16", "resnet56-f32", "resnet56-bf16")


def session_of(name: str, threads: int) -> renga.Session:
    """The row's session with so many threads."""
    row = ROWS[name]
    network = renga.Network.load(models.need("renga", row.network, row.batch))
    precision = {} if row.precision == "f32" else {"precision": row.precision}
    return renga.Session(network, batch=row.batch, threads=threads, **precision)


def measured(name: str, runs: int, processors: int) -> dict:
    """Milliseconds of a row by number of threads, and what they say."""
    row = ROWS[name]
    images = models.images(row.network, row.batch)
    counts = (1, processors, 2 * processors)
    sessions = {count: session_of(name, count) for count in counts}
    times: dict[int, list[float]] = {count: [] for count in counts}
    for round_number in range(runs + 2):
        for count, session in sessions.items():
            begin = time.perf_counter()
            session.run(images)
            if round_number >= 2:
                times[count].append((time.perf_counter() - begin) * 1e3)
    for session in sessions.values():
        session.close()
    medians = {count: statistics.median(values) for count, values in times.items()}
    least = {count: min(values) for count, values in times.items()}
    one, all_of_them, twice = counts
    return {
        "title": row.title,
        "milliseconds": {str(count): {"median": medians[count], "min": least[count]} for count in counts},
        "speedup": {"median": medians[one] / medians[all_of_them], "min": least[one] / least[all_of_them]},
        "oversubscribed": {"median": medians[twice] / medians[all_of_them], "min": least[twice] / least[all_of_them]},
        "runs": runs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    options = parser.parse_args()
    processors = len(os.sched_getaffinity(0))
    found = {}
    for name in NAMES:
        found[name] = measured(name, options.runs, processors) | machine.facts(processors)
        figures = " ".join(f"{count}: {ms['median']:.1f} ms" for count, ms in found[name]["milliseconds"].items())
        faster, twice = found[name]["speedup"]["median"], found[name]["oversubscribed"]["median"]
        print(f"{name}: {figures}; {faster:.2f} times as fast with all, {twice:.2f} the time with twice as many")
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
