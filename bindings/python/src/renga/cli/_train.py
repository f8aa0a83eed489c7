"""`train` and `eval`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from .._options import OptionValue
from .._progress import ProgressLine
from .._words import bytes_text, percent_text, seconds_text
from ..dataset import Dataset, open_part
from ..evaluation import Evaluation
from ..evaluation import evaluate as evaluate_network
from ..network import Network, architectures
from ..trainer import Trainer
from ._common import Answer, UsageError, architecture_options, open_network, shape_text


def _image_form(spec: str) -> dict[str, Any]:
    """Size and channels that folders of images are read at: what the network says, as far as it does."""
    name, options = architecture_options(spec)
    if name and "input" not in options:
        return {}
    if name:
        parts = options["input"].split("x")
        if len(parts) != 3 or not all(part.isdigit() for part in parts):
            raise UsageError(f"{spec}: input={options['input']!r} is no HxWxC, such as 32x32x3")
        h, w, c = (int(part) for part in parts)
    else:
        with open_network(spec, 0) as network:
            h, w, c = network.info.input_shape
    return {"size": (h, w), "channels": 1 if c == 1 else 3}


def _defaults_from(spec: str, data: Dataset) -> dict[str, str]:
    """`input` and `classes` of an architecture, taken from the data."""
    name, _ = architecture_options(spec)
    options = {option["name"] for one in architectures() if one["name"] == name for option in one["options"]}
    taken = {"input": shape_text(data.shape[1:]), "classes": str(data.classes)}
    return {key: value for key, value in taken.items() if key in options}


def _make_trainer(options: argparse.Namespace, data: Dataset, checkpoint: Path) -> Trainer:
    if options.resume:
        if not checkpoint.is_file():
            raise UsageError(f"nothing to resume: {checkpoint} does not exist")
        if options.tune:
            raise UsageError("--tune goes with a new training: a resumed one keeps its algorithms")
        return Trainer.resume(checkpoint, threads=options.threads, memory_budget=options.memory_budget)
    overrides: dict[str, OptionValue] = {"seed": options.seed} if options.seed else {}
    if options.epochs:
        overrides["epochs"] = options.epochs
    if options.precision:
        overrides["precision"] = options.precision
    with open_network(options.network, options.seed, _defaults_from(options.network, data)) as network:
        return Trainer(
            network,
            options.recipe,
            threads=options.threads,
            memory_budget=options.memory_budget,
            algorithm=None,
            tune=options.tune,
            **overrides,
        )


def train(options: argparse.Namespace) -> Answer:
    """Trains; writes the network, and while it works a checkpoint beside it."""
    out, checkpoint = Path(options.out), Path(options.out + ".checkpoint")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise UsageError(f"{out.parent} is no folder that can be written to")
    if out.exists() and not out.is_file():
        raise UsageError(f"{out} is no regular file")
    form = _image_form(options.network)
    with open_part(options.data, "train", **form) as everything, open_part(options.data, "test", **form) as test:
        limit = min(options.limit or len(everything), len(everything))
        with everything.take(0, limit) as data, _make_trainer(options, data, checkpoint) as trainer:
            quiet = options.quiet or options.json
            try:
                with ProgressLine() as line:
                    history = trainer.fit(data, test, progress=None if quiet else line, checkpoint=checkpoint)
            except KeyboardInterrupt:
                trainer.save(checkpoint)
                raise KeyboardInterrupt(f"interrupted; --resume goes on from {checkpoint}") from None
            with trainer.network() as network:
                network.save(out)
                precision = str(history["recipe"]["precision"])
                measured = evaluate_network(network, test, threads=options.threads, precision=precision)
            memory = trainer.memory
    checkpoint.unlink(missing_ok=True)
    return _train_answer(options, history, measured, memory.total)


def _train_answer(
    options: argparse.Namespace, history: dict[str, Any], measured: Evaluation, plan_bytes: int
) -> Answer:
    seconds, peak = history.get("train_seconds", float("nan")), history.get("peak_bytes", plan_bytes)
    result = {
        "test_accuracy": measured.accuracy,
        "test_loss": measured.loss,
        "train_seconds": seconds,
        "peak_bytes": peak,
        "history": history.get("epochs", []),
        "precision": history["recipe"]["precision"],
        "recipe": history.get("recipe"),
        "out": options.out,
    }
    text = (
        f"{options.out}: test accuracy {percent_text(measured.accuracy, 2)} of {measured.n:,} images, "
        f"trained in {seconds_text(seconds)}, {bytes_text(peak)} at most"
    )
    return text, result


def evaluate(options: argparse.Namespace) -> Answer:
    """Accuracy and confusion matrix."""
    form = _image_form(options.network)
    with (
        open_part(options.data, "test", **form) as data,
        open_network(options.network, options.seed, _defaults_from(options.network, data)) as network,
    ):
        precision = options.precision or "f32"
        measured = evaluate_network(network, data, threads=options.threads, precision=precision)
        names = _names(network, data)
    result = {
        "accuracy": measured.accuracy,
        "loss": measured.loss,
        "n": measured.n,
        "confusion": measured.confusion.tolist(),
        "classes": names,
        "precision": precision,
    }
    return _eval_text(measured, names), result


def _names(network: Network, data: Dataset) -> list[str]:
    """One for each of the network's classes; numbers where neither knows a name."""
    known, classes = data.class_names or network.class_names, network.info.output_shape[-1]
    return known[:classes] + [str(label) for label in range(len(known), classes)]


def _eval_text(measured: Evaluation, names: list[str]) -> str:
    lines = [f"accuracy {percent_text(measured.accuracy, 2)} of {measured.n:,} images, loss {measured.loss:.4f}", ""]
    if len(names) > 20:
        return lines[0]
    width = max(len(name) for name in names)
    for name, row in zip(names, measured.confusion, strict=True):
        total = int(row.sum())
        share = row[len(lines) - 2] / total if total else float("nan")
        lines.append(f"{name:{width}}  {percent_text(share):>7}  " + " ".join(f"{count:5d}" for count in row))
    return "\n".join(lines)
