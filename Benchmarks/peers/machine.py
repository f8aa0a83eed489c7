"""What the machine is and can: its name, its measured peaks, and the library that is timed."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import models

_SOURCE = Path(__file__).parents[1] / "kernels" / "peaks.c"


def cpu_name() -> str:
    """The processor in its own words."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def today() -> str:
    """The date, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def library() -> Path:
    """The librenga.so that is timed."""
    return Path(os.environ["RENGA_LIBRARY"])


def library_version() -> str:
    """Eight digits that change with the library."""
    return hashlib.sha256(library().read_bytes()).hexdigest()[:8]


def stripped_size() -> int:
    """Bytes of the library without symbols."""
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "-o", stripped.name, library()], check=True)
        return os.stat(stripped.name).st_size


def peaks(threads: int) -> dict[str, list[float]]:
    """Measured now: GFLOP/s in f32 and bf16, GB/s read and written, each with one thread and with all."""
    program = models.FOLDER / "peaks"
    if not program.exists() or program.stat().st_mtime < _SOURCE.stat().st_mtime:
        compiler = shutil.which("clang") or "cc"
        models.FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-std=gnu11", "-pthread", str(_SOURCE), "-o", str(program)], check=True)
    found = json.loads(subprocess.run([program, str(threads)], check=True, stdout=subprocess.PIPE).stdout)
    return {key: value for key, value in found.items() if key != "threads"}


def best(one: dict[str, list[float]], two: dict[str, list[float]]) -> dict[str, list[float]]:
    """The higher figures of two measurements."""
    return {key: [max(pair) for pair in zip(one[key], two[key], strict=True)] for key in one}
