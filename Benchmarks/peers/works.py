"""What is timed side by side: one entry a row of the table. Not here: how an engine does it (worker.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """One row: a network, a batch and whether it is inference or a whole training step (forward, loss, backward, SGD-Nesterov)."""

    network: str
    batch: int
    size: int
    train: bool
    peers: tuple[str, ...]
    runs: int
    floor: float


# `floor` is the ratio (peer's median / Renga's median) that the project holds itself to.
WORKS: dict[str, Work] = {
    "resnet20-train-b128": Work("resnet20", 128, 32, True, ("torch",), 15, 1.5),
    "resnet56-train-b128": Work("resnet56", 128, 32, True, ("torch",), 9, 1.5),
    "resnet56-infer-b64": Work("resnet56", 64, 32, False, ("onnxruntime", "torch"), 25, 1.2),
    "resnet50-infer-b1": Work("resnet50", 1, 224, False, ("onnxruntime", "torch"), 25, 0.9),
}
