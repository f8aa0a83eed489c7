"""`python -m renga` from outside: JSON keys, exit statuses, sentences, interrupts."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, TINY_SPEC, CommandLine, stripes

import renga


def answer(command_line: CommandLine, *arguments: object) -> dict[str, Any]:
    """The JSON object of a command that must succeed and say nothing else."""
    ended = command_line(*arguments, "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("\n") == 1
    return dict(json.loads(ended.stdout))


def test_info(command_line: CommandLine) -> None:
    result = answer(command_line, "info", TINY_SPEC, "--dot", "n.dot")
    assert result["input_shape"] == [8, 8, 3] and result["output_shape"] == [1, 1, 3]
    assert result["parameters"] > 0 and result["macs"] > 0 and len(result["layers"]) > 8
    assert (command_line.folder / "n.dot").read_text().lstrip().startswith("digraph")
    text = command_line("info", TINY_SPEC, "--layers").stdout
    assert f"{result['parameters']:,}" in text and len(text.splitlines()) > 10


def test_archs(command_line: CommandLine) -> None:
    result = answer(command_line, "archs", "resnet")
    assert [one["name"] for one in result["architectures"]] == ["resnet"]
    text = command_line("archs").stdout
    assert "resnet:" in text and "depth" in text


def test_convert(command_line: CommandLine) -> None:
    folder = command_line.folder
    first = answer(command_line, "convert", TINY_SPEC, "a.onnx", "--opset", 18, "--fold", "--dynamic-size", "--seed", 3)
    assert first["kind"] == "ONNX" and (folder / "a.onnx").read_bytes().count(b"BatchNormalization") == 0
    assert answer(command_line, "convert", "a.onnx", "a")["report"]["operator_set"] == 18
    assert answer(command_line, "convert", TINY_SPEC, "w", "--names", "torchvision", "--seed", 5)["kind"] == "weights"
    (folder / "table").write_text("# all but the last layer\ntorchvision\n=fc.*\n")
    back = answer(command_line, "convert", TINY_SPEC, "b", "--weights", "w", "--names", "@table", "--seed", 6)
    assert back["kind"] == "network"
    names = ("stem.conv1.weight", "fc.weight")
    made = [renga.Network.create("resnet", seed=seed, **TINY).parameters for seed in (5, 6)]
    with renga.Network.load(folder / "b") as network:
        for name, one in zip(names, made, strict=True):
            assert np.array_equal(network.parameters[name], one[name])
    text = command_line("convert", "a.onnx", "c").stdout.splitlines()
    assert text[0].startswith("c: network") and text[1].startswith("read ")


def test_train_eval_run_bench_and_fold(command_line: CommandLine, npz: Path) -> None:
    folder = command_line.folder
    result = answer(
        command_line,
        "train",
        "arch:resnet,depth=8",
        "--data",
        npz,
        "--out",
        "n",
        "--epochs",
        3,
        "--recipe",
        "fast,batch=32",
    )
    assert result["test_accuracy"] > 0.5 and result["train_seconds"] > 0 and result["peak_bytes"] > 0
    assert len(result["history"]) == 3
    assert sorted(path.name for path in folder.iterdir()) == ["n"]

    judged = answer(command_line, "eval", "n", "--data", npz)
    assert judged["accuracy"] == result["test_accuracy"] and judged["n"] == 60
    assert np.trace(np.array(judged["confusion"])) == round(60 * judged["accuracy"])
    assert judged["classes"] == ["red", "green", "blue"]

    images, _ = stripes(5)
    np.save(folder / "x.npy", images)
    files = ("--input", "x.npy", "--output", "y.npy", "--batch", 2)
    ran = answer(command_line, "run", "n", *files)
    assert ran["output_shape"] == [5, 3] and ran["ms"] > 0
    wanted = renga.Session(renga.Network.load(folder / "n"), batch=2).run(images)
    assert np.array_equal(np.load(folder / "y.npy"), wanted)
    np.save(folder / "x.npy", images.transpose(0, 3, 1, 2))
    answer(command_line, "run", "n", *files, "--layout", "nchw", "--threads", 1)
    assert np.array_equal(np.load(folder / "y.npy"), wanted)

    folded = answer(command_line, "fold", "n", "f")
    assert folded["parameters"] == renga.Network.load(folder / "f").info.parameters
    assert folded["layers"] < folded["layers_before"]

    timed = answer(command_line, "bench", "n", "--batch", 2, "--runs", 5, "--profile", "--size", "16x16")
    assert timed["min_ms"] <= timed["median_ms"] <= timed["p95_ms"] and timed["runs"] == 5
    assert timed["peak_bytes"] > 0 and timed["load_ms"] > 0 and timed["steps"]
    step = answer(command_line, "bench", "n", "--train", "--batch", 8, "--runs", 2, "--tune")
    assert step["median_ms"] > 0 and step["batch"] == 8
    refused = command_line("bench", "n", "--train", "--size", "16x16")
    assert refused.returncode == 1 and "arch:NAME" in refused.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["f", "n", "x.npy", "y.npy"]


def test_bf16(command_line: CommandLine, npz: Path) -> None:
    folder = command_line.folder
    bf16 = ("--precision", "bf16")
    arguments = (
        "train",
        "arch:resnet,depth=8",
        "--data",
        npz,
        "--out",
        "n",
        "--epochs",
        3,
        "--recipe",
        "fast,batch=32",
    )
    trained = answer(command_line, *arguments, *bf16)
    assert trained["precision"] == "bf16" == trained["recipe"]["precision"] and trained["test_accuracy"] > 0.5
    judged = answer(command_line, "eval", "n", "--data", npz, *bf16)
    assert judged["precision"] == "bf16" and judged["loss"] == trained["test_loss"]
    assert answer(command_line, "eval", "n", "--data", npz)["loss"] != judged["loss"]
    images, _ = stripes(5)
    np.save(folder / "x.npy", images)
    assert answer(command_line, "run", "n", "--input", "x.npy", "--output", "y.npy", *bf16)["precision"] == "bf16"
    wanted = renga.Session(renga.Network.load(folder / "n"), precision="bf16").run(images)
    assert np.array_equal(np.load(folder / "y.npy"), wanted)
    for end in ((), ("--train", "--batch", 8)):
        half, whole = (answer(command_line, "info", "n", "--memory", *end, *how)["memory"] for how in (bf16, ()))
        assert half["activations"] < 0.7 * whole["activations"]
    half, whole = (answer(command_line, "bench", "n", "--batch", 8, "--runs", 2, *end) for end in (bf16, ()))
    assert (half["precision"], whole["precision"]) == ("bf16", "f32") and half["peak_bytes"] < whole["peak_bytes"]
    weights = ("--linear-weights", "bf16")
    wide = ("bench", "arch:resnet,depth=8,classes=100", "--runs", 2)
    assert answer(command_line, *wide, *weights)["peak_bytes"] < answer(command_line, *wide)["peak_bytes"]
    refused = command_line("bench", "n", "--train", *weights)
    assert refused.returncode == 1 and "--linear-weights" in refused.stderr
    step = answer(command_line, "bench", "n", "--train", "--batch", 8, "--runs", 2, *bf16)
    assert step["precision"] == "bf16" and step["median_ms"] > 0


def test_a_profile_stands_beside_the_machines_peaks(command_line: CommandLine) -> None:
    arguments = ("bench", "arch:resnet,depth=8", "--batch", 4, "--runs", 2, "--profile", "--size", "16x16")
    for kind in ((), ("--train",)):
        result = answer(command_line, *arguments, *kind)
        assert result["peaks"]["f32_gflops"] > 0 and result["peaks"]["read_gbytes_per_s"] > 0
        for step in result["steps"]:
            assert step["limit_ms"] >= 0 and abs(step["of_limit"] * step["ms"] - step["limit_ms"]) < 1e-9
            assert abs(step["gflops"] * step["ms"] - 2e-6 * step["macs"]) < 1e-6
        # 8x8 images of stage 1 have a quarter of the operations of 16x16 ones.
        smaller = answer(command_line, *arguments[:-1], "8x8", *kind)
        one, other = (next(step for step in found["steps"] if step["macs"])["macs"] for found in (result, smaller))
        assert one == 4 * other
    text = command_line(*arguments, "--train").stdout
    assert "of limit" in text and "backward weight" in text and "all steps" in text


def test_a_set_may_have_fewer_classes_than_the_network(command_line: CommandLine, npz: Path) -> None:
    arguments = ("train", "arch:resnet,depth=8,classes=5", "--data", npz, "--out", "n")
    assert command_line(*arguments, "--epochs", 1, "--recipe", "fast,batch=32").returncode == 0
    result = answer(command_line, "eval", "n", "--data", npz)
    assert np.array(result["confusion"]).shape == (5, 5) and len(result["classes"]) == 5
    assert len(command_line("eval", "n", "--data", npz).stdout.splitlines()) == 7
    refused = command_line("eval", "arch:resnet,depth=8,classes=2", "--data", npz)
    assert refused.returncode == 1 and "3 classes" in refused.stderr and refused.stderr.count("\n") == 1


def test_quiet_and_progress_stay_off_pipes(command_line: CommandLine, npz: Path) -> None:
    arguments = (
        "train",
        TINY_SPEC,
        "--data",
        npz,
        "--out",
        "n",
        "--epochs",
        1,
        "--limit",
        64,
        "--recipe",
        "fast,batch=32",
    )
    ended = command_line(*arguments)
    assert ended.returncode == 0 and ended.stderr == "" and "test accuracy" in ended.stdout
    ended = command_line(*arguments, "--quiet", "--seed", 4)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "frobnicate"),
        ([], "COMMAND"),
        (["info"], "NETWORK"),
        (["info", "none.safetensors"], "none.safetensors"),
        (["info", "x.onnx"], "x.onnx"),
        (["info", "arch:nosuch"], "resnet"),
        (["info", "arch:"], "no architecture"),
        (["info", "arch:resnet,depth"], "option=value"),
        (["info", "arch:resnet,depth=3000000000"], "depth"),
        (["info", TINY_SPEC, "--precision", "bf16"], "bf16"),
        (["info", TINY_SPEC, "--threads", "0"], "below 1"),
        (["archs", "nosuch"], "known: "),
        (["bench", TINY_SPEC, "--size", "8"], "HxW"),
        (["run", TINY_SPEC, "--input", "none.npy", "--output", "y.npy"], "none.npy"),
        (["train", TINY_SPEC, "--data", "none", "--out", "n"], "does not exist"),
        (["train", TINY_SPEC, "--data", "none", "--out", "no/n"], "no folder"),
        (["train", TINY_SPEC, "--data", "none", "--out", "."], "no regular file"),
        (["train", TINY_SPEC, "--data", "none", "--out", "n", "--frobnicate", "1"], "--frobnicate"),
        (["info", TINY_SPEC, "--batch", "2"], "--memory"),
        (["info", TINY_SPEC, "--memory", "--memory-budget", "1M"], "--train"),
        (["info", TINY_SPEC, "--memory", "--train", "--memory-budget", "2Q"], "number of bytes"),
        (["info", TINY_SPEC, "--memory", "--train", "--memory-budget", "1K"], "least possible"),
        (["eval", TINY_SPEC], "--data"),
        (["convert", TINY_SPEC, "n", "--opset", "13"], "OUT.onnx"),
        (["convert", TINY_SPEC, "n.onnx", "--names", "pytorch"], "--weights"),
        (["convert", TINY_SPEC, "n", "--layout", "nchw"], "NETWORK.onnx"),
        (["convert", TINY_SPEC, "n", "--names", "none"], "theirs=ours"),
        (["convert", TINY_SPEC, "n.onnx", "--opset", "7"], "13...24"),
    ],
)
def test_bad_input_is_one_sentence(command_line: CommandLine, arguments: list[str], words: str) -> None:
    ended = command_line(*arguments)
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.startswith("renga: ") and ended.stderr.count("\n") == 1 and words in ended.stderr
    assert not list(command_line.folder.iterdir())


def test_bad_arrays_are_one_sentence(command_line: CommandLine) -> None:
    np.save(command_line.folder / "i.npy", np.zeros((1, 8, 8, 3), np.int64))
    np.save(command_line.folder / "s.npy", np.zeros((8, 8, 3), np.float32))
    np.save(command_line.folder / "o.npy", np.array([{}], dtype=object))
    (command_line.folder / "t.npy").write_text("no array")
    for name, words in (("i", "int64"), ("s", "[8, 8, 3]"), ("o", "o.npy"), ("t", "t.npy")):
        ended = command_line("run", TINY_SPEC, "--input", f"{name}.npy", "--output", "y.npy")
        assert ended.returncode == 1 and words in ended.stderr and ended.stderr.count("\n") == 1
    assert not (command_line.folder / "y.npy").exists()


def test_an_interrupt_leaves_a_whole_checkpoint_to_resume(command_line: CommandLine, npz: Path) -> None:
    folder = command_line.folder
    (folder / "n").write_text("an older result")
    arguments = ("train", TINY_SPEC, "--data", npz, "--out", "n", "--recipe", "fast,batch=32")
    checkpoint = folder / "n.checkpoint"

    def interrupt_after_an_epoch(*options: object) -> tuple[str, str]:
        """Starts training, interrupts it once it has written a (new) checkpoint; what it said."""
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
        process = command_line.start(*arguments, *options)
        until = time.monotonic() + 60
        while (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before) and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)
        assert process.returncode == 130
        return said

    out, err = interrupt_after_an_epoch("--epochs", 1000000)
    assert out == ""
    assert "interrupted" in err and "--resume" in err and err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["n", "n.checkpoint"]
    assert (folder / "n").read_text() == "an older result"
    epochs = len(renga.Trainer.resume(checkpoint).history["epochs"])
    assert epochs

    interrupt_after_an_epoch("--resume")  # the checkpoint's recipe holds: it goes on, and on
    assert len(renga.Trainer.resume(checkpoint).history["epochs"]) > epochs


def test_resume_without_a_checkpoint_is_refused(command_line: CommandLine, npz: Path) -> None:
    ended = command_line("train", TINY_SPEC, "--data", npz, "--out", "n", "--resume")
    assert ended.returncode == 1 and "n.checkpoint does not exist" in ended.stderr
    (command_line.folder / "n.checkpoint").write_bytes(b"")
    ended = command_line("train", TINY_SPEC, "--data", npz, "--out", "n", "--resume", "--tune")
    assert ended.returncode == 1 and "keeps its algorithms" in ended.stderr


def test_memory_before_it_is_used(command_line: CommandLine) -> None:
    usual = json.loads(command_line("info", TINY_SPEC, "--memory", "--train", "--batch", 8, "--json").stdout)["memory"]
    parts = ("parameters", "gradients", "optimizer", "activations", "scratch")
    assert usual["total"] == sum(usual[part] for part in parts) and usual["batch"] < usual["activations"]
    budget = usual["total"] - 1
    ended = command_line("info", TINY_SPEC, "--memory", "--train", "--batch", 8, "--memory-budget", budget, "--json")
    tight = json.loads(ended.stdout)["memory"]
    assert tight["total"] <= budget and tight["recomputed_layers"] > 0
    ended = command_line("info", TINY_SPEC, "--memory", "--batch", 4)
    assert ended.returncode == 0 and "inference, batch 4" in ended.stdout


def test_speed_up_over_threads(command_line: CommandLine) -> None:
    ended = command_line("bench", TINY_SPEC, "--runs", 3, "--threads", "1,2", "--json")
    rows = json.loads(ended.stdout)["threads"]
    assert [row["threads"] for row in rows] == [1, 2] and rows[0]["speed_up"] == 1
