"""Checks a built wheel as a user meets it: contents, that its tag says the truth of every library inside, and that it
runs from a folder.

Usage: check_wheel.py WHEEL. Needs NumPy in the running Python, and objdump and readelf. Not here: building it
(setup.py), installing it (Tests/PackageTests).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIRED = (
    "renga/LICENSE",
    "renga/THIRD-PARTY",
    "renga/librenga.so.0",
    "renga/libomp.so.5",
    "renga/py.typed",
    "renga/report/report.css",
    "renga/cli/__init__.py",
)
# What every manylinux system has (PEP 600).
SYSTEM = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1"}
SYSTEM |= {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
# The newest of libstdc++ and libgcc that go with a GLIBC of the tag: manylinux_2_34 is RHEL 9, built with GCC 11.
COMPANIONS = {(2, 34): {"GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (7, 0, 0)}}
SMOKE = """
import numpy, renga
network = renga.Network.create("resnet", depth=8, classes=3, input=(8, 8, 3))
answers = renga.Session(network, batch=2).run(numpy.ones((2, 8, 8, 3), numpy.float32))
assert answers.shape == (2, 3) and numpy.isfinite(answers).all()
info = renga.runtime_info()
assert info["library"].startswith({folder!r}), info["library"]
loaded = {{line.split()[-1] for line in open("/proc/self/maps") if "/libomp" in line}}
assert loaded and all(path.startswith({folder!r}) for path in loaded), loaded
print("renga", info["version"], "runs from the wheel on", info["isa"])
"""


def read(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def faults(library: Path, tag: tuple[int, ...], beside: set[str]) -> list[str]:
    """What a library needs that a system of the tag `(major, minor)` of glibc need not have."""
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", read("readelf", "-dW", library)))
    found = [f"{library.name} needs {name}" for name in sorted(needed - SYSTEM - beside)]
    bounds = {"GLIBC": tag, **COMPANIONS.get(tag, {})}
    for family, version in set(re.findall(r"\((GLIBC|GLIBCXX|CXXABI|GCC)_([\d.]+)\)", read("objdump", "-T", library))):
        if numbers(version) > bounds.get(family, numbers(version)):
            found.append(f"{library.name} needs {family}_{version}")
    return found


def main(wheel: Path) -> int:
    names = zipfile.ZipFile(wheel).namelist()
    problems = [f"{name} is missing" for name in REQUIRED if name not in names]
    problems += [f"{name} is unexpected" for name in names if not re.match(r"renga(-[\d.]+\.dist-info)?/", name)]
    tag = re.search(r"-py3-none-manylinux_(\d+)_(\d+)_\w+\.whl$", wheel.name)
    if tag is None:
        problems.append("the tag is not of manylinux")
    if problems or tag is None:
        print(f"{wheel.name}: {'; '.join(problems)}", file=sys.stderr)
        return 1
    floor = (int(tag[1]), int(tag[2]))
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        libraries = sorted(Path(folder).rglob("*.so*"))
        beside = {library.name for library in libraries}
        problems = [fault for library in libraries for fault in faults(library, floor, beside)]
        if problems:
            print(f"{wheel.name}: {'; '.join(problems)}", file=sys.stderr)
            return 1
        # -I: neither this folder nor PYTHONPATH; the wheel's own folder comes first.
        program = f"import sys; sys.path.insert(0, {folder!r})" + SMOKE.format(folder=folder)
        subprocess.run([sys.executable, "-I", "-c", program], check=True)
    size = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {size:.1f} MB; needs glibc {tag[1]}.{tag[2]}; inside: {', '.join(sorted(beside))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
