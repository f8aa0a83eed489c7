"""What the machine is and can: its name, its measured peaks, and the library that is timed."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path


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
    import renga

    one, every = renga.machine_peaks(1), renga.machine_peaks(threads)
    return {key: [one[key], every[key]] for key in one if key != "threads"}


def best(one: dict[str, list[float]], two: dict[str, list[float]]) -> dict[str, list[float]]:
    """The higher figures of two measurements."""
    return {key: [max(pair) for pair in zip(one[key], two[key], strict=True)] for key in one}


def facts(threads: int) -> dict[str, str | int]:
    """What every result says of where it comes from."""
    return {"date": today(), "machine": cpu_name(), "threads": threads, "library": library_version()}
