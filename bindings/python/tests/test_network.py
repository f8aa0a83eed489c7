"""Networks: made, inspected, changed, saved, and refused with the library's sentence."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

import renga


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = (renga.Network.create("resnet", seed=seed, **TINY) for seed in (5, 5, 6))
    name = next(iter(one.parameters))
    assert np.array_equal(one.parameters[name], two.parameters[name])
    assert not np.array_equal(one.parameters[name], other.parameters[name])


def test_info(network: renga.Network) -> None:
    info = network.info
    assert info.input_shape == (8, 8, 3)
    assert info.output_shape == (1, 1, 3)
    assert info.inputs == info.outputs == 1
    trainable = [
        v for k, v in network.parameters.items() if "running" not in k and "mean" not in k and "variance" not in k
    ]
    assert info.parameters == sum(value.size for value in trainable)
    assert info.macs > info.parameters > 0


def test_descriptions(network: renga.Network) -> None:
    assert len(network.describe().splitlines()) > 8
    assert network.description()["layers"]
    assert network.describe("dot").lstrip().startswith("digraph")
    with pytest.raises(ValueError, match="form is 'xml'"):
        network.describe("xml")


def test_architectures_and_operators_are_listed() -> None:
    known = {one["name"]: one for one in renga.architectures()}
    assert {"resnet", "cnn"} <= set(known)
    assert {"depth", "classes", "input"} <= {option["name"] for option in known["resnet"]["options"]}
    assert "convolution" in {one["name"] for one in renga.operators()}
    assert renga.recipes()["options"]


def test_unknown_names_and_bad_options_say_what_is_known() -> None:
    with pytest.raises(renga.NotFound, match="resnet") as caught:
        renga.Network.create("resnext2000")
    assert isinstance(caught.value, KeyError)
    assert caught.value.status is renga.Status.NOT_FOUND
    with pytest.raises(renga.NotFound, match="depth"):
        renga.Network.create("resnet", deepness=20)
    with pytest.raises(ValueError, match="depth"):
        renga.Network.create("resnet", depth=-4)
    with pytest.raises(ValueError, match="seed is -1"):
        renga.Network.create("resnet", seed=-1)
    with pytest.raises(ValueError, match="comma"):
        renga.Network.create("resnet", depth="8,classes=2")
    with pytest.raises(ValueError, match="NUL"):
        renga.Network.create("res\0net")
    with pytest.raises(TypeError, match="architecture must be text"):
        renga.Network.create(None)


def test_parameters_are_a_mapping_of_copies(network: renga.Network) -> None:
    name, shape = next(iter(network.parameters.shapes().items()))
    values = network.parameters[name]
    assert values.dtype == np.float32 and values.shape == shape and values.flags.owndata
    values[...] = 7
    assert not np.array_equal(network.parameters[name], values)
    network.parameters[name] = values
    assert np.array_equal(network.parameters[name], values)
    network.parameters[name] = values.astype(np.float64)[...].copy(order="F")
    assert np.array_equal(network.parameters[name], values)
    assert name in network.parameters and "none" not in network.parameters
    assert len(network.parameters) == len(list(network.parameters))


def test_parameters_refuse_what_does_not_fit(network: renga.Network) -> None:
    name, shape = next(iter(network.parameters.shapes().items()))
    with pytest.raises(KeyError, match=r"no parameter 'nope'.*" + name.replace(".", r"\.")):
        network.parameters["nope"]
    with pytest.raises(ValueError, match="has shape") as caught:
        network.parameters[name] = np.zeros((1, *shape))
    assert isinstance(caught.value, renga.ShapeMismatch)
    with pytest.raises(ValueError, match="complex"):
        network.parameters[name] = np.zeros(shape, dtype=np.complex64)


def test_metadata(network: renga.Network) -> None:
    network.metadata["author"] = "Ōshima"
    assert network.metadata["author"] == "Ōshima"
    assert "author" in list(network.metadata)
    del network.metadata["author"]
    assert network.metadata.get("author") is None
    with pytest.raises(KeyError):
        del network.metadata["author"]
    network.class_names = ["a", "b", "c"]
    assert network.copy().class_names == ["a", "b", "c"]


def test_a_saved_network_is_the_same(network: renga.Network, tmp_path: Path) -> None:
    network.metadata["note"] = "kept"
    network.save(tmp_path / "n.safetensors")
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 3), dtype=np.float32)
    answers = renga.Session(network, batch=2).run(x)
    data = (tmp_path / "n.safetensors").read_bytes()
    again = [
        renga.Network.load(tmp_path / "n.safetensors"),
        renga.Network.from_bytes(data),
        renga.Network.from_bytes(bytearray(data)),
        renga.Network.from_bytes(network.to_bytes()),
        pickle.loads(pickle.dumps(network)),
        copy.deepcopy(network),
        network.copy(),
    ]
    for one in again:
        assert one.metadata["note"] == "kept"
        assert np.array_equal(renga.Session(one, batch=2).run(x), answers)
    assert [path.name for path in tmp_path.iterdir()] == ["n.safetensors"]


def test_broken_files_are_refused(network: renga.Network, tmp_path: Path) -> None:
    data = network.to_bytes()
    with pytest.raises(renga.FileError) as caught:
        renga.Network.load(tmp_path / "none")
    assert isinstance(caught.value, OSError) and "none" in str(caught.value)
    with pytest.raises(renga.FileError):
        renga.Network.load(tmp_path)
    for broken in (b"", data[: len(data) // 2], data[:-1], data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], b"PK" + data):
        with pytest.raises(renga.CorruptData):
            renga.Network.from_bytes(broken)
    with pytest.raises(renga.FileError):
        network.save(tmp_path / "no such folder" / "n")


def test_folding_keeps_the_answers(network: renga.Network) -> None:
    random = np.random.default_rng(3)
    for name in network.parameters:
        values = network.parameters[name]
        if values.ndim == 1:
            network.parameters[name] = random.uniform(0.5, 1.5, values.shape)
    folded, report = network.fold_batch_norm()
    assert folded.info.layers < network.info.layers
    assert isinstance(report, dict)
    x = random.standard_normal((3, 8, 8, 3), dtype=np.float32)
    wanted = renga.Session(network, batch=3, fold_batch_norm=False).run(x)
    assert np.allclose(renga.Session(folded, batch=3).run(x), wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_builder() -> None:
    with renga.Builder() as builder:
        x = builder.input(9, 9, 2)
        y = builder.add("convolution", x, channels=4, kernel=3, pad=1, name="first")
        assert builder.shape(y) == (9, 9, 4)
        total = builder.add("add", y, builder.add("relu", y))
        with pytest.raises(renga.RengaError):
            builder.add("add", total, x)
        with pytest.raises(KeyError, match="relu"):
            builder.add("relux", total)
        with pytest.raises(ValueError, match="an input is -1"):
            builder.add("relu", -1)
        network = builder.finish(total, initialization="orthogonal", seed=2)
    assert network.info.output_shape == (9, 9, 4)
    assert any(name.startswith("first") for name in network.parameters)
