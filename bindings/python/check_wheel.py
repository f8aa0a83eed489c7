"""Checks a built wheel as a user meets it: contents, tag, the C library it asks for, and that it runs from a folder.

Usage: check_wheel.py WHEEL. Needs NumPy in the running Python. Not here: building it (setup.py).
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
    "renga/librenga.so.0",
    "renga/py.typed",
    "renga/report/report.css",
    "renga/cli/__init__.py",
)
SMOKE = """
import numpy, renga
network = renga.Network.create("resnet", depth=8, classes=3, input=(8, 8, 3))
answers = renga.Session(network, batch=2).run(numpy.ones((2, 8, 8, 3), numpy.float32))
assert answers.shape == (2, 3) and numpy.isfinite(answers).all()
info = renga.runtime_info()
assert info["library"].startswith({folder!r}), info["library"]
print("renga", info["version"], "runs from the wheel on", info["isa"])
"""


def glibc_floor(library: Path) -> str:
    """The newest GLIBC version whose symbols the library needs."""
    listed = subprocess.run(["objdump", "-T", str(library)], check=True, capture_output=True, text=True).stdout
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([\d.]+)", listed)}
    return ".".join(map(str, max(versions)))


def main(wheel: Path) -> int:
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in REQUIRED if name not in names]
    strange = [name for name in names if not re.match(r"renga(-[\d.]+\.dist-info)?/", name)]
    if missing or strange or not re.search(r"-py3-none-linux_\w+\.whl$", wheel.name):
        print(f"{wheel.name}: missing {missing}, unexpected {strange}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        # -I: neither this folder nor PYTHONPATH; the wheel's own folder comes first.
        program = f"import sys; sys.path.insert(0, {folder!r})" + SMOKE.format(folder=folder)
        subprocess.run([sys.executable, "-I", "-c", program], check=True)
        floor = glibc_floor(Path(folder) / "renga" / "librenga.so.0")
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB; needs glibc {floor}, libomp5 and zlib1g")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
