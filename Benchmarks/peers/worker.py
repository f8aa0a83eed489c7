"""One engine, one row, one process. Usage: worker.py ENGINE ROW THREADS.

Loads, runs once, prints `ready {json}` with the memory it took and the file of its answers; then waits on its standard
input and for each line runs once and prints milliseconds, until `end`. Rows of kind "first" and "memory" end after
`ready`, which has their figure. Not here: what an engine does (engines.py), who asks when (bench.py).
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path

import models
import numpy as np
from engines import ENGINES, MODULES
from rows import ROWS


def _status(key: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    engine, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    row = ROWS[name]
    module = importlib.import_module(MODULES.get(engine, engine))
    if engine == "renga":
        module.runtime_info()  # loads the library, as the others' import does
    models.images(row.network, row.batch)  # the generator's own work and memory are not the engine's
    before = _status("VmRSS")
    begin = time.perf_counter()
    work = ENGINES[engine](row, threads)
    answers = work()
    first_ms = (time.perf_counter() - begin) * 1e3
    if row.kind in ("train", "memory"):
        answers = [answers, work(), work()]  # the second and third loss tell of the gradients and of the step
    file = models.FOLDER / "answers" / f"{name}-{engine}.npy"
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.asarray(answers, np.float32))
    facts = {"first_ms": first_ms, "answers": str(file), "start_bytes": before, "added_bytes": _peak() - before}
    print("ready", json.dumps(facts), flush=True)
    if row.kind in ("first", "memory"):
        return
    for line in sys.stdin:
        if line.strip() == "end":
            return
        begin = time.perf_counter()
        work()
        print((time.perf_counter() - begin) * 1e3, flush=True)


if __name__ == "__main__":
    main()
