"""The examples of examples/python, run as a reader would, on small data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import renga

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "python"


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not here: this test needs the source tree")
def test_train_and_run(npz: Path, tmp_path: Path) -> None:
    package = Path(renga.__file__).resolve().parents[1]
    ended = subprocess.run(
        [sys.executable, str(EXAMPLES / "train_and_run.py"), str(npz)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
        text=True,
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "test accuracy" in ended.stdout and ended.stdout.count("answered") == 5
    assert renga.Network.load(tmp_path / "trained.safetensors").info.output_shape == (1, 1, 3)
