"""`make demo`: trains a small residual network on Fashion-MNIST, runs it from C, and writes the report.

Usage: demo.py [--out FOLDER] [--epochs N] [--limit N]. Leaves fashion-mnist.safetensors and report.html in FOLDER.
Not here: building the library and installing the package (Makefile), and the report's form (renga.report).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

import renga
from renga._options import OptionValue, options_text
from renga._progress import ProgressLine
from renga._words import bytes_text, percent_text, seconds_text
from renga.dataset import FASHION_MNIST_FOLDER
from renga.measure import Timing, peak_resident_bytes, time_inference
from renga.report import Recorder, Sample, TrainingReport, machine

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE: dict[str, OptionValue] = {"depth": 8, "classes": 10, "input": (28, 28, 1)}
SEED = 1
IMAGES_FROM_C = 12


@dataclass
class Outcome:
    """What the demo found, for the terminal and the report."""

    evaluation: renga.Evaluation
    seconds: float
    epochs: int
    images: int
    info: renga.NetworkInfo
    plan_bytes: int
    train_peak_bytes: int
    one: Timing
    many: Timing
    file: Path


@dataclass
class Run:
    """A finished training."""

    trainer: renga.Trainer
    test: renga.Dataset
    images: int
    seconds: float  #: wall clock of `fit`, the tests after its epochs included


def train(options: argparse.Namespace, recorder: Recorder) -> Run:
    """Trains with a live line."""
    training, test = (
        everything.take(0, min(options.limit, len(everything)))
        for everything in (renga.open_part("fashion-mnist", part) for part in ("train", "test"))
    )
    network = renga.Network.create("resnet", seed=SEED, **ARCHITECTURE)
    info = network.info
    print(
        f"Training a residual network of {ARCHITECTURE['depth']} layers ({info.parameters:,} parameters) on "
        f"{len(training):,} images of Fashion-MNIST, {renga.default_threads()} threads, {renga.runtime_info()['isa']}.",
        flush=True,
    )
    overrides: dict[str, int] = {"epochs": options.epochs} if options.epochs else {}
    trainer = renga.Trainer(network, "fast", seed=SEED, **overrides)
    with ProgressLine(sys.stdout, log=True) as line:
        recorder.forward_to(line)
        begin = time.perf_counter()
        trainer.fit(training, test, progress=recorder)
        seconds = time.perf_counter() - begin
    return Run(trainer, test, len(training), seconds)


def measure(run: Run, file: Path) -> Outcome:
    """Saves the network, loads it again, and measures what was loaded."""
    train_peak = peak_resident_bytes()
    run.trainer.network().save(file)
    network = renga.Network.load(file)
    one, session = time_inference(network, batch=1, runs=300)
    session.close()
    many, session = time_inference(network, batch=64, runs=60)
    session.close()
    return Outcome(
        renga.evaluate(network, run.test),
        run.seconds,
        len(run.trainer.history["epochs"]),
        run.images,
        network.info,
        run.trainer.memory.total,
        train_peak,
        one,
        many,
        file,
    )


def samples(file: Path, test: renga.Dataset) -> tuple[list[Sample], list[Sample]]:
    """The first twenty of the test set, and the ten mistakes with the most confidence."""
    images, labels = test.images().astype(np.uint8), test.labels()
    logits = renga.Session(renga.Network.load(file), batch=64).run(images)
    confidence = softmax(logits)
    answers = logits.argmax(axis=1)
    sure = confidence.max(axis=1)

    def sample(i: int) -> Sample:
        return Sample(images[i], int(labels[i]), int(answers[i]), float(sure[i]))

    wrong = [i for i in np.argsort(-sure, kind="stable") if answers[i] != labels[i]]
    return [sample(i) for i in range(min(20, len(labels)))], [sample(i) for i in wrong[:10]]


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities `[N,classes]`."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def from_c(folder: Path, file: Path) -> str:
    """Compiles examples/c/classify.c against the library, classifies test images; returns what it printed."""
    program, library = folder / "classify", folder / "librenga.so.0"  # the name that the program will look for
    library.unlink(missing_ok=True)
    library.symlink_to(Path(renga.runtime_info()["library"]).resolve())
    source = ROOT / "examples" / "c" / "classify.c"
    flags = ["-std=c99", "-O2", f"-I{ROOT / 'include'}", str(library), "-Wl,-rpath,$ORIGIN"]
    subprocess.run([os.environ.get("CC", "cc"), str(source), "-o", str(program), *flags], check=True)
    data = [f"{FASHION_MNIST_FOLDER}/t10k-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    command = [str(program), str(file), *data, str(IMAGES_FROM_C)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    shown = " \\\n    ".join(
        [f"{folder.name}/classify {folder.name}/{file.name}", data[0], f"{data[1]} {IMAGES_FROM_C}"]
    )
    return f"$ {shown}\n{ended.stdout.rstrip()}"


def report(outcome: Outcome, recorder: Recorder, test: renga.Dataset, transcript: str) -> TrainingReport:
    """Puts the outcome into the report's words."""
    first, worst = samples(outcome.file, test)
    accuracy, one, many = outcome.evaluation.accuracy, outcome.one, outcome.many
    size = outcome.file.stat().st_size
    return TrainingReport(
        title="A residual network on Fashion-MNIST",
        lead=(
            f"A network of {ARCHITECTURE['depth']} layers, trained from scratch on {outcome.images:,} photographs of "
            f"clothes in {seconds_text(outcome.seconds)} on this machine's processor. It is right on "
            f"{percent_text(accuracy)} of {outcome.evaluation.n:,} photographs that it has never seen."
        ),
        headline=[
            (percent_text(accuracy, 2), "test accuracy"),
            (seconds_text(outcome.seconds), "training time"),
            (seconds_text(one.median_ms / 1000), "latency, one image"),
            (seconds_text(many.median_ms / 1000), "latency, 64 images"),
            (bytes_text(size), "network file"),
            (bytes_text(outcome.train_peak_bytes), "peak memory"),
        ],
        curve=recorder,
        class_names=test.class_names,
        confusion=outcome.evaluation.confusion,
        first=first,
        worst=worst,
        costs=costs(outcome, size),
        setting=[
            *machine(),
            ("Network", f"resnet, {options_text(ARCHITECTURE)}, seed {SEED}"),
            ("Recipe", f"fast, {outcome.epochs} epochs, seed {SEED}"),
            ("Command", "make demo"),
            ("Date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
        ],
        transcript=transcript,
    )


def costs(outcome: Outcome, size: int) -> list[tuple[str, str, str]]:
    """The table of what it costs: what, value, and how it was measured."""
    one, many = outcome.one, outcome.many
    return [
        (
            "Test accuracy",
            percent_text(outcome.evaluation.accuracy, 2),
            f"share of right answers over {outcome.evaluation.n:,} test images, one run, one seed",
        ),
        (
            "Training time",
            seconds_text(outcome.seconds),
            f"wall clock of {outcome.epochs} epochs of {outcome.images:,} images, the test after each included",
        ),
        (
            "Latency, batch 1",
            f"{one.median_ms:.3f} ms",
            f"median of {one.runs} runs after a warm-up; best {one.min_ms:.3f}, 95 % within {one.p95_ms:.3f} ms",
        ),
        (
            "Latency, batch 64",
            f"{many.median_ms:.2f} ms",
            f"median of {many.runs} runs; {many.images_per_second:,.0f} images a second; best {many.min_ms:.2f} ms",
        ),
        (
            "File size",
            bytes_text(size),
            f"{outcome.file.name}: {outcome.info.parameters:,} parameters, {outcome.info.macs:,} MACs an image",
        ),
        (
            "Peak memory",
            bytes_text(outcome.train_peak_bytes),
            "resident memory of the whole Python process up to the end of training, data set included; "
            f"the training plan holds {bytes_text(outcome.plan_bytes)} of it",
        ),
        (
            "Memory of a session",
            bytes_text(one.plan_bytes),
            f"weights, activations and scratch at batch 1; {bytes_text(many.plan_bytes)} at batch 64",
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "demo", metavar="FOLDER")
    parser.add_argument(
        "--epochs", type=int, default=0, metavar="N", help="times through the images (default: the recipe's)"
    )
    parser.add_argument("--limit", type=int, default=60000, metavar="N", help="images of each part to use")
    options = parser.parse_args()
    folder: Path = options.out
    folder.mkdir(parents=True, exist_ok=True)

    recorder = Recorder()
    run = train(options, recorder)
    outcome = measure(run, folder / "fashion-mnist.safetensors")
    print(
        f"Test accuracy {percent_text(outcome.evaluation.accuracy, 2)}, trained in {seconds_text(outcome.seconds)}; "
        f"one image takes {outcome.one.median_ms:.2f} ms.\n"
    )
    transcript = from_c(folder, outcome.file)
    print(transcript)
    report(outcome, recorder, run.test, transcript).write(folder / "report.html")
    print(f"\nThe network is {os.path.relpath(outcome.file)}, the report {os.path.relpath(folder / 'report.html')}.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (renga.RengaError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"demo: {error}")
