"""What is timed side by side: the networks and the rows of the table. Not here: how an engine does it (engines.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Net:
    """A network by Renga's words; torch_networks.py builds the same under the same name."""

    architecture: str
    options: dict[str, Any]
    size: int
    classes: int


NETS: dict[str, Net] = {
    "vgg16": Net("vgg", dict(depth=16, norm="no", classes=1000, input="224x224x3"), 224, 1000),
    "resnet50": Net("resnet", dict(depth=50, stem="imagenet", classes=1000, input="224x224x3"), 224, 1000),
    "resnext50": Net(
        "resnext",
        dict(depth=50, groups=32, width=4, stem="imagenet", classes=1000, input="224x224x3"),
        224,
        1000,
    ),
    "resnet56": Net("resnet", dict(depth=56), 32, 10),
    "pyramidnet110": Net("pyramidnet", dict(depth=110, alpha=48), 32, 10),
}


@dataclass(frozen=True)
class Target:
    """The faster of `peers` must take at least `ratio` times Renga's time (memory: hold that many times its bytes)."""

    peers: tuple[str, ...]
    ratio: float


@dataclass(frozen=True)
class Row:
    """One row. kind: "infer" (one run), "train" (forward, loss, backward, SGD-Nesterov), "memory" (bytes that training
    adds to the process), "first" (load and first run, a process each time) or "size" (bytes of the stripped library).
    """

    title: str
    kind: str
    network: str
    batch: int
    precision: str
    targets: tuple[Target, ...]
    runs: int
    extra: tuple[str, ...] = field(default=())  #: engines shown without a target

    @property
    def peers(self) -> tuple[str, ...]:
        """Every engine beside Renga, each once."""
        return tuple(dict.fromkeys([peer for target in self.targets for peer in target.peers] + list(self.extra)))


_GRAPHS = ("onnxruntime", "openvino")
_ALL = (*_GRAPHS, "ncnn", "mnn")
_TORCH = ("torch", "torch_compile")


def _infer(title: str, network: str, batch: int, precision: str, runs: int, *targets: Target) -> Row:
    return Row(f"{title}, batch {batch}, {precision}", "infer", network, batch, precision, targets, runs)


def _train(title: str, network: str, batch: int, precision: str, ratio: float, runs: int) -> Row:
    title = f"{title} training step, batch {batch}, {precision}"
    return Row(title, "train", network, batch, precision, (Target(_TORCH, ratio),), runs)


ROWS: dict[str, Row] = {
    "vgg16-f32": _infer("VGG-16", "vgg16", 1, "f32", 20, Target(_GRAPHS, 2.0), Target(("ncnn", "mnn"), 1.6)),
    "resnet50-f32": _infer("ResNet-50", "resnet50", 1, "f32", 40, Target(_ALL, 1.2)),
    "resnext50-f32": _infer(
        "ResNeXt-50 (32x4d)", "resnext50", 1, "f32", 30, Target((*_GRAPHS, "torch"), 1.0)
    ),
    "resnet56-f32": _infer("ResNet-56", "resnet56", 64, "f32", 30, Target(_GRAPHS, 2.0)),
    "pyramidnet110-f32": _infer("PyramidNet-110", "pyramidnet110", 64, "f32", 15, Target(_GRAPHS, 1.5)),
    "vgg16-bf16": _infer("VGG-16", "vgg16", 1, "bf16", 30, Target(("openvino",), 1.15)),
    "resnet50-bf16": _infer("ResNet-50", "resnet50", 1, "bf16", 40, Target(("openvino",), 1.15)),
    "resnet56-bf16": _infer("ResNet-56", "resnet56", 64, "bf16", 40, Target(("openvino",), 1.0)),
    "resnet56-train-f32": _train("ResNet-56", "resnet56", 128, "f32", 3.0, 9),
    "pyramidnet110-train-f32": _train("PyramidNet-110", "pyramidnet110", 64, "f32", 2.5, 7),
    "resnet56-train-bf16": _train("ResNet-56", "resnet56", 128, "bf16", 2.5, 9),
    "train-memory": Row(
        "ResNet-56 training, batch 128, f32: bytes above the process's start",
        "memory", "resnet56", 128, "f32", (Target(("torch",), 2.0),), 1,
    ),
    "first-run": Row(
        "ResNet-50: load the file and run once", "first", "resnet50", 1, "f32", (Target(("onnxruntime",), 5.0),), 7
    ),
    "size": Row("Stripped librenga.so", "size", "", 0, "", (), 1),
}  # fmt: skip

#: The bound of the row "size".
LARGEST_LIBRARY = 8_000_000
