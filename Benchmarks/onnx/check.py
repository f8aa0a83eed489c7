"""Networks of other programs, imported, compared with ONNX Runtime on real images, and trained on for an epoch where
that makes sense. One line a network; `--store FILE` keeps the figures as JSON. Exit status 1 where one is not equal.

`python3 check.py [--store FILE] [NAME…]`, or `make onnx-models`. Needs requirements.txt and packages.txt, and for the
training Fashion-MNIST (the Debian package dataset-fashion-mnist). Not here: the networks (models.py), large files
(large.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import models
import numpy as np
import onnxruntime

import renga

sys.path.insert(0, str(Path(__file__).parents[2] / "bindings" / "python" / "tests"))
from onnx_support import Runner

#: Of the range of an output: how far the two may differ.
TOLERANCE = 1e-4
FASHION = "/usr/share/datasets/fashion-mnist"


def compare(made: bytes | str, x: np.ndarray) -> tuple[Runner, list[float]]:
    """The import, and for each output the largest difference over the output's range."""
    runtime = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    expected = runtime.run(None, {runtime.get_inputs()[0].name: x})
    sizes = {"height": x.shape[2], "width": x.shape[3]} if x.ndim == 4 else {}
    runner = Runner(made, **sizes)
    results = runner(x)
    differences = []
    for result, wanted in zip(results, expected, strict=True):
        extent = float(np.ptp(wanted))
        if extent == 0:
            raise ValueError("an output is one number throughout: nothing is shown by its being equal")
        differences.append(float(np.abs(result.reshape(wanted.shape) - wanted).max()) / extent)
    return runner, differences


def fashion(shape: tuple[int, int, int], part: str, count: int) -> renga.Dataset:
    """Real images of ten classes, in the size and number of channels that a network takes."""
    from PIL import Image

    whole = renga.Dataset.open(FASHION, part)[:count]
    h, w, c = shape
    small = [Image.fromarray(image[..., 0].astype(np.uint8)).resize((w, h)) for image in whole.images()]
    grey = (np.stack([np.asarray(image) for image in small]).astype(np.float32) - 73) / 90
    return renga.Dataset(np.repeat(grey[..., None], c, axis=3), whole.labels(), classes=10)


def train(network: renga.Network) -> dict[str, Any]:
    """An epoch that moves the statistics alone, then one that learns; losses on images that it does not see."""
    shape = network.info.input_shape
    train_set, test_set = fashion(shape, "train", 1920), fashion(shape, "test", 500)
    before = renga.evaluate(network, test_set)
    statistics = {name for name in network.parameters if name.endswith("running_mean")}
    recipe = "default,epochs=1,batch=32,weight_decay=0,learning_rate="
    trainer = renga.Trainer(network, recipe=recipe + "1e-9")
    trainer.fit(train_set)
    settled = trainer.network()
    if any(np.array_equal(settled.parameters[name], network.parameters[name]) for name in statistics):
        raise ValueError("a batch norm's statistics did not move")
    recalibrated = renga.evaluate(settled, test_set)
    trainer = renga.Trainer(settled, recipe=recipe + "0.01")
    trainer.fit(train_set)
    after = renga.evaluate(trainer.network(), test_set)
    if not after.loss < recalibrated.loss:
        raise ValueError(f"an epoch of training took the loss from {recalibrated.loss} to {after.loss}")
    return {
        "batch_norms": len(statistics),
        "loss": [round(found.loss, 3) for found in (before, recalibrated, after)],
        "accuracy": [round(found.accuracy, 3) for found in (before, recalibrated, after)],
    }


def check(model: models.Model) -> dict[str, Any]:
    """All that is known of one network."""
    made, x = model.make()
    runner, differences = compare(made, x)
    row: dict[str, Any] = {
        "name": model.name,
        "nodes": runner.report["nodes"],
        "operator_set": runner.report["operator_set"],
        "layers": runner.report["layers"],
        "parameters": runner.network.info.parameters,
        "images": len(x),
        "differences": differences,
        "equal": max(differences) < TOLERANCE,
    }
    if model.fine_tune:
        row["training"] = train(runner.network)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", metavar="FILE")
    parser.add_argument("names", metavar="NAME", nargs="*", help="parts of the networks' names (default: all)")
    options = parser.parse_args()
    rows = []
    for model in models.MODELS:
        if options.names and not any(name in model.name for name in options.names):
            continue
        row = check(model)
        rows.append(row)
        training = row.get("training")
        losses = f"; loss {' -> '.join(map(str, training['loss']))} (recalibrated, an epoch)" if training else ""
        print(
            f"{row['name']:24} {row['nodes']:4} nodes -> {row['layers']:3} layers, {row['parameters'] / 1e6:6.2f} M: "
            f"difference {max(row['differences']):.1e} of the range{losses}",
            flush=True,
        )
    if options.store:
        about = {"renga": renga.version(), "onnxruntime": onnxruntime.__version__, "tolerance": TOLERANCE}
        Path(options.store).write_text(json.dumps({**about, "networks": rows}, indent=1) + "\n")
    return 0 if rows and all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
