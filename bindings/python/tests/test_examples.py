"""The Python examples and the demo, run as a reader would, on little data."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import renga

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def run(script: str, folder: Path, *arguments: object) -> str:
    """What an example prints, run inside `folder`."""
    package = Path(renga.__file__).resolve().parents[1]
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(package)},
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_train_and_run(npz: Path, tmp_path: Path) -> None:
    printed = run("python/train_and_run.py", tmp_path, npz)
    assert "test accuracy" in printed and printed.count("answered") == 5
    assert renga.Network.load(tmp_path / "trained.safetensors").info.output_shape == (1, 1, 3)


def test_the_demo(tmp_path: Path) -> None:
    """Its C part included: what the C program answers is what Python answers."""
    printed = run("demo/demo.py", tmp_path, "--out", tmp_path / "demo", "--epochs", 1, "--limit", 512)
    assert "epoch 1/1" in printed and "Test accuracy" in printed
    network = renga.Network.load(tmp_path / "demo" / "fashion-mnist.safetensors")
    test = renga.open_part("fashion-mnist", "test")
    answers = renga.Session(network, batch=12).run(test.images(0, 12).astype(np.uint8)).argmax(axis=1)
    from_c = [int(found) for found in re.findall(r"^image .*prediction (\d+)", printed, re.M)]
    assert from_c == answers.tolist()
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    for words in ("Confusion matrix", "Accuracy by class", "Sample answers", "Peak memory", "make demo", "From C"):
        assert words in page
