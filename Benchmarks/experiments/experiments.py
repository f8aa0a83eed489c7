"""`make experiments`: trains every network of a plan with every seed; writes tables and a picture of what came of it.

Usage: experiments.py [--plan short] [--jobs N] [--only GROUP …] [--out FOLDER]. Runs that are in the folder already are
not repeated, so it goes on where it was stopped. Not here: one training (one_run.py), the arithmetic (summary.py).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import costs
import picture
import plans
import summary

HERE = Path(__file__).resolve().parent


def missing(plan_name: str, only: list[str], folder: Path) -> list[tuple[str, str, int, Path]]:
    """The runs that have no file: seed after seed, so that what is there early is complete for some seeds."""
    plan = plans.PLANS[plan_name]
    wanted = [
        (group.name, net.name, seed, folder / f"{group.name}-{net.name}-{seed}.json")
        for seed in plan.seeds
        for group in plans.GROUPS
        if not only or group.name in only
        for net in group.nets
    ]
    return [run for run in wanted if not run[3].exists()]


def train(plan_name: str, group: str, net: str, seed: int, file: Path) -> bool:
    """One run in a process of its own; whether it ended well."""
    begin = time.time()
    command = [sys.executable, str(HERE / "one_run.py"), plan_name, group, net, str(seed), str(file)]
    ended = subprocess.run(command, capture_output=True, text=True)
    outcome = f"{time.time() - begin:.0f} s" if ended.returncode == 0 else ended.stderr.strip().splitlines()[-1:]
    print(f"{time.strftime('%H:%M:%S')} {group} {net} seed {seed}: {outcome}", flush=True)
    return ended.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plan", choices=plans.PLANS, default="short")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (RENGA_NUM_THREADS threads each)")
    parser.add_argument("--only", nargs="*", default=[], choices=[group.name for group in plans.GROUPS])
    parser.add_argument("--costs", action="store_true", help="measure times and latencies anew (a quiet machine)")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    folder = options.out / options.plan
    folder.mkdir(parents=True, exist_ok=True)
    runs = missing(options.plan, options.only, folder)
    print(f"{len(runs)} runs to do; results in {os.path.relpath(folder)}", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        ended = list(pool.map(lambda run: train(options.plan, *run), runs))
    costs_file = folder / "costs.json"
    if options.costs or not costs_file.exists():
        costs.measure(plans.PLANS[options.plan], costs_file)
    found = summary.summarise(options.plan, folder)
    picture.draw(found, folder / "picture.svg")
    print((folder / "summary.md").read_text(encoding="utf-8"))
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
