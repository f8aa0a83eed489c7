"""`run`."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from .._files import atomic
from ._common import Answer, UsageError, open_session, shape_text


def _read_array(path: str) -> Any:
    """An `.npy`, mapped rather than read: the library goes through it batch by batch."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError(f"{path} is no .npy of plain numbers: {error}") from None
    if not isinstance(array, np.ndarray):
        raise UsageError(f"{path} is an archive; expected one array (.npy)")
    return array


def run(options: argparse.Namespace) -> Answer:
    """Inference."""
    x = _read_array(options.input)
    if x.ndim not in (2, 4) or x.shape[0] == 0:
        raise UsageError(f"{options.input} has shape {list(x.shape)}; expected [N,H,W,C] with at least one image")
    size = None
    if x.ndim == 4:
        size = (x.shape[1], x.shape[2]) if options.layout == "nhwc" else (x.shape[2], x.shape[3])
    batch = options.batch or min(32, x.shape[0])
    precision = options.precision or "f32"
    with open_session(
        options.network,
        options.seed,
        batch=batch,
        threads=options.threads,
        size=size,
        precision=precision,
        tune=options.tune,
        linear_weights=options.linear_weights,
    ) as session:
        begin = time.perf_counter()
        y = session.run(x, layout=options.layout)
        ms = (time.perf_counter() - begin) * 1000
    if not isinstance(y, np.ndarray):
        raise UsageError("the network has several outputs; `renga run` writes one")
    with atomic(options.output) as file:
        np.save(file, y)
    text = f"{options.output}: {shape_text(y.shape)} in {ms:.1f} ms ({x.shape[0] / ms * 1000:,.0f} images/s)"
    return text, {"output_shape": list(y.shape), "ms": ms, "n": int(x.shape[0]), "batch": batch, "precision": precision}
