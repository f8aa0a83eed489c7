"""Puts librenga.so into the wheel and names the platform it was built for. The rest is pyproject.toml.

RENGA_WHEEL_LIBRARY names the library to take in (`make wheel` sets it); without it the package holds none and looks for
one on the system. The tag is linux_ARCH, not manylinux: the library needs libomp5 and zlib1g from the system, which
manylinux does not grant.
"""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

LIBRARY = os.environ.get("RENGA_WHEEL_LIBRARY", "")


class BuildWithLibrary(build_py):
    """Copies the licence, and the library, stripped where `strip` is at hand, beside the modules."""

    def run(self) -> None:
        super().run()
        licence = Path(__file__).resolve().parents[2] / "LICENSE"
        if licence.is_file():
            shutil.copyfile(licence, Path(self.build_lib) / "renga" / "LICENSE")
        if LIBRARY:
            target = Path(self.build_lib) / "renga" / "librenga.so.0"
            shutil.copyfile(LIBRARY, target)
            if shutil.which("strip"):
                subprocess.run(["strip", "--strip-unneeded", str(target)], check=True)


class PlatformWheel(bdist_wheel):
    """Any Python 3, but only this platform where a library is inside."""

    def get_tag(self) -> tuple[str, str, str]:
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        return ("py3", "none", platform if LIBRARY else "any")


class PlatformDistribution(Distribution):
    """Installed where platform-dependent packages go, when a library is inside."""

    def has_ext_modules(self) -> bool:
        return bool(LIBRARY)


setup(distclass=PlatformDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
