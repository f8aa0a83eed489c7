"""Small networks and sets that train in a moment. Not here: tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import renga

TINY = {"depth": 8, "classes": 3, "input": (8, 8, 3)}
TINY_SPEC = "arch:resnet,depth=8,classes=3,input=8x8x3"


def stripes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`n` u8 images `[n,8,8,3]` of three classes, told apart by the bright channel: learnt within a few steps."""
    random = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int32) % 3
    images = random.integers(0, 90, (n, 8, 8, 3), dtype=np.uint8)
    images[np.arange(n), :, :, labels] += 120
    return images, labels


@pytest.fixture(scope="session", autouse=True)
def heeded_interrupts() -> None:
    """A job in a shell's background is started with SIGINT ignored, and so would be all that it starts."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture()
def network() -> renga.Network:
    return renga.Network.create("resnet", seed=1, **TINY)


@pytest.fixture(scope="session")
def train_set() -> renga.Dataset:
    return renga.Dataset(*stripes(192), classes=3, class_names=["red", "green", "blue"])


@pytest.fixture(scope="session")
def test_set() -> renga.Dataset:
    return renga.Dataset(*stripes(60, seed=1), classes=3, class_names=["red", "green", "blue"])


@pytest.fixture(scope="session")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("set") / "stripes.npz"
    x_train, y_train = stripes(192)
    x_test, y_test = stripes(60, seed=1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, class_names=["red", "green", "blue"])
    return path


class CommandLine:
    """Runs `python -m renga` as a user would, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        package = Path(renga.__file__).resolve().parents[1]
        environment = {**os.environ, "PYTHONPATH": str(package)}
        return subprocess.Popen(
            [sys.executable, "-m", "renga", *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.fixture()
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a process of its own, with the package and the library under test."""
    package = str(Path(renga.__file__).resolve().parents[1])
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": package, **environment},
        text=True,
        capture_output=True,
        timeout=60,
    )
