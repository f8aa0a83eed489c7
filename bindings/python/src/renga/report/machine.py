"""What a measurement was made on: processor, memory, system, versions. Not here: the measurements."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np

from .._library import runtime_info
from .._words import bytes_text


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _system() -> str:
    for line in _lines("/etc/os-release"):
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def machine() -> list[tuple[str, str]]:
    """(what, value) rows."""
    info = runtime_info()
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        ("Processor", f"{_processor()}, {cores} core{'s' if cores != 1 else ''} usable"),
        ("Instruction set used", str(info.get("isa", "?"))),
        ("Threads used", str(info.get("threads", "?"))),
        ("Memory", bytes_text(memory)),
        ("System", f"{_system()}, Linux {platform.release()}"),
        ("Renga", str(info.get("version", "?"))),
        ("Python, NumPy", f"{platform.python_version()}, {np.__version__}"),
    ]
