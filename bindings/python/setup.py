"""Puts librenga.so, and the OpenMP runtime that it needs, into the wheel and names the systems it runs on. The rest is
pyproject.toml.

RENGA_WHEEL_LIBRARY names the library to take in (`make wheel` sets it). Without it the engine is built here: from
`engine/` in a source distribution (`make sdist`), from the tree above in a checkout; that takes Swift. With the value
"system" the package holds no library and looks for an installed one.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
CHOICE = os.environ.get("RENGA_WHEEL_LIBRARY", "")
HOLDS_LIBRARY = CHOICE != "system"
# Not renamed, unlike what auditwheel does: two copies of libomp in one process abort, and the loader shares this one
# with any other package that brings it under its own name.
OPENMP = "libomp.so.5"


def run(*command: str | Path) -> str:
    """The output of a command; ends the build with one sentence where it fails."""
    try:
        return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout
    except FileNotFoundError:
        sys.exit(f"renga: '{command[0]}' is missing; see 'From source' in this package's README")
    except subprocess.CalledProcessError as error:
        sys.exit(f"renga: '{' '.join(map(str, command))}' failed ({error.returncode})")


@cache
def library() -> Path:
    """The library to take in; built where none was named."""
    if CHOICE:
        return Path(CHOICE)
    engine = next((folder for folder in (HERE / "engine", CHECKOUT) if (folder / "Package.swift").is_file()), None)
    if engine is None:
        sys.exit("renga: no engine to build: RENGA_WHEEL_LIBRARY must name a librenga.so, or be 'system'")
    run("swift", "build", "-c", "release", "--product", "renga", "--package-path", engine)
    return engine / ".build" / "release" / "librenga.so"


@cache
def openmp() -> Path:
    """The OpenMP runtime that the loader gives the library on this machine."""
    found = re.search(rf"{re.escape(OPENMP)} => (/\S+)", run("ldd", library()))
    return Path(found.group(1)) if found else sys.exit(f"renga: {OPENMP} is missing: install libomp")


def newest_glibc() -> tuple[int, int]:
    """The newest GLIBC version that a symbol of the library or of the OpenMP runtime needs."""
    listed = run("objdump", "-T", library()) + run("objdump", "-T", openmp())
    return max((int(major), int(minor)) for major, minor in re.findall(r"GLIBC_(\d+)\.(\d+)", listed))


class BuildWithLibrary(build_py):
    """Copies the licences and the libraries, stripped where `strip` is at hand, beside the modules."""

    def run(self) -> None:
        super().run()
        package = Path(self.build_lib) / "renga"
        licence = next((path for path in (HERE / "LICENSE", CHECKOUT / "LICENSE") if path.is_file()), None)
        if self.editable_mode:
            return
        if licence:
            shutil.copyfile(licence, package / "LICENSE")
        if HOLDS_LIBRARY:
            shutil.copyfile(HERE / "THIRD-PARTY", package / "THIRD-PARTY")
            for source, name in ((library(), "librenga.so.0"), (openmp(), OPENMP)):
                shutil.copyfile(source, package / name)
                if shutil.which("strip"):
                    run("strip", "--strip-unneeded", package / name)


class PlatformWheel(bdist_wheel):
    """Any Python 3, but only systems whose C library is new enough where a library is inside."""

    def get_tag(self) -> tuple[str, str, str]:
        if not HOLDS_LIBRARY:
            return ("py3", "none", "any")
        major, minor = newest_glibc()
        return ("py3", "none", f"manylinux_{major}_{minor}_{platform.machine()}")


class PlatformDistribution(Distribution):
    """Installed where platform-dependent packages go, when a library is inside."""

    def has_ext_modules(self) -> bool:
        return HOLDS_LIBRARY


setup(distclass=PlatformDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
