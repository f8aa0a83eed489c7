"""Evaluation of a network over a set.

Not here: training (trainer.py), single answers (session.py).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from ._arrays import I64Array, pointer
from ._library import call
from ._options import MAX_THREADS, precision_code, whole
from .dataset import Dataset
from .network import Network

#: Above this many classes the library counts no confusion matrix.
_MOST_CONFUSED_CLASSES = 4096


@dataclass(frozen=True)
class Evaluation:
    """What a network made of a set."""

    accuracy: float
    loss: float
    confusion: I64Array  #: [classes,classes] counts, row = label, column = answer; [0,0] above 4096 classes
    n: int


def evaluate(network: Network, dataset: Dataset, *, threads: int = 0, precision: str = "f32") -> Evaluation:
    """Accuracy, mean loss and confusion matrix over a set; normalisation as the network's metadata says. The matrix has
    the network's classes; the set may have fewer. precision: as a session's.
    """
    accuracy, loss = ctypes.c_double(), ctypes.c_double()
    classes = network.info.output_shape[-1]
    counted = classes if classes <= _MOST_CONFUSED_CLASSES else 0
    confusion = np.zeros((counted, counted), dtype=np.int64)
    count = whole(threads, "threads", 0, MAX_THREADS)
    code = precision_code(precision)
    with network._in_use() as handle, dataset._in_use() as data:
        call(
            "renga_evaluate_in",
            handle,
            data,
            code,
            count,
            ctypes.byref(accuracy),
            ctypes.byref(loss),
            pointer(confusion) if counted else None,
            confusion.size,
        )
    return Evaluation(accuracy.value, loss.value, confusion, len(dataset))
