"""Networks out of ONNX files: weights of every type and place, layouts, batch norms, refusals, training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CommandLine, run_python, stripes
from onnx_support import Runner

import renga

onnx = pytest.importorskip("onnx", reason="the package onnx, which writes the files of these tests, is not installed")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RANDOM = np.random.default_rng(7)


def noise(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def model(
    nodes: list[Any],
    tensors: dict[str, np.ndarray],
    shape: list[int | str],
    results: tuple[str, ...] = ("y",),
    version: int = 13,
) -> Any:
    """A model with one input `x`; outputs of any shape."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)


def node(kind: str, inputs: str, outputs: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), outputs.split(), name=outputs.split()[0], **attributes)


def convolution(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A convolution of 3 x 3 with pads of 1, plainly."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    n, _, h, w = x.shape
    result = np.zeros((n, weight.shape[0], h, w), np.float64)
    for r in range(3):
        for s in range(3):
            result += np.einsum("nchw,kc->nkhw", padded[:, :, r : r + h, s : s + w], weight[:, :, r, s])
    return result


@pytest.mark.parametrize("kind", ["float16", "float64", "bfloat16"])
def test_weights_of_other_types(kind: str) -> None:
    weight, x = noise(4, 3, 3, 3), noise(2, 3, 6, 6)
    tensors = {"w": weight.astype(kind if kind != "bfloat16" else "float32")}
    made = model([node("Conv", "x w", pads=[1, 1, 1, 1])], tensors, ["n", 3, 6, 6])
    if kind == "bfloat16":
        bits = (weight.view(np.uint32) >> 16).astype("<u2")
        made.graph.initializer[0].CopyFrom(
            helper.make_tensor("w", TensorProto.BFLOAT16, weight.shape, bits.tobytes(), raw=True)
        )
        weight = (bits.astype(np.uint32) << 16).view(np.float32)
    else:
        weight = tensors["w"].astype(np.float32)
    result = Runner(made.SerializeToString())(x)[0]
    np.testing.assert_allclose(result, convolution(x, weight), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("raw", [True, False])
def test_external_and_typed_data(tmp_path: Path, raw: bool) -> None:
    weight, x = noise(4, 3, 3, 3), noise(2, 3, 6, 6)
    made = model([node("Conv", "x w", pads=[1, 1, 1, 1])], {"w": weight}, ["n", 3, 6, 6])
    path = tmp_path / "model.onnx"
    if raw:
        onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        assert (tmp_path / "weights.bin").exists()
        with pytest.raises(renga.Unsupported, match=r"weights\.bin"):
            renga.Network.from_onnx(path.read_bytes())
    else:
        made.graph.initializer[0].CopyFrom(helper.make_tensor("w", TensorProto.FLOAT, weight.shape, weight.ravel()))
        path.write_bytes(made.SerializeToString())
    np.testing.assert_allclose(Runner(path)(x)[0], convolution(x, weight), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a/../../b", "", "missing.bin"])
def test_external_data_elsewhere_are_refused(tmp_path: Path, location: str) -> None:
    made = model([node("Conv", "x w")], {"w": noise(1, 3, 3, 3)}, [1, 3, 6, 6])
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path = tmp_path / "folder" / "model.onnx"
    path.parent.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(108))
    path.write_bytes(made.SerializeToString())
    with pytest.raises((renga.CorruptData, renga.FileError)):
        renga.Network.from_onnx(path)


def test_transposes_of_other_layouts_cost_nothing() -> None:
    weight, x = noise(4, 3, 3, 3), noise(2, 6, 5, 3)
    nodes = [
        node("Transpose", "x", "a", perm=[0, 3, 1, 2]),
        node("Conv", "a w", "b", pads=[1, 1, 1, 1]),
        node("Transpose", "b", "c", perm=[0, 2, 3, 1]),
        node("Relu", "c", "y"),
    ]
    runner = Runner(model(nodes, {"w": weight}, ["n", 6, 5, 3]).SerializeToString())
    assert runner.report["inputs"][0]["layout"] == runner.report["outputs"][0]["layout"] == "nhwc"
    assert runner.report["layers"] == 2
    expected = np.maximum(convolution(x.transpose(0, 3, 1, 2), weight), 0).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(runner(x)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 3, 2, 1], [0, 2, 3, 1]])
def test_linear_layers_behind_flattened_maps(order: list[int]) -> None:
    """Each way to flatten asks for another order of the weights' rows; a shape that is computed changes nothing."""
    x, weight, bias = noise(3, 4, 2, 5), noise(40, 6), noise(6)
    nodes = [
        node("Transpose", "x", "a", perm=order),
        node("Shape", "a", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n axis", "n1"),
        node("Concat", "n1 rest", "target", axis=0),
        node("Reshape", "a target", "b"),
        node("MatMul", "b w", "c"),
        node("Add", "c d", "y"),
    ]
    integers = {"zero": np.int64(0), "axis": np.array([0]), "rest": np.array([-1])}
    made = model(nodes, {"w": weight, "d": bias, **integers}, ["n", 4, 2, 5])
    runner = Runner(made.SerializeToString())
    assert sorted(runner.network.parameters) == ["c.bias", "c.weight"]
    expected = x.transpose(order).reshape(3, 40) @ weight + bias
    np.testing.assert_allclose(runner(x)[0].reshape(3, 6), expected, rtol=1e-4, atol=1e-4)


def test_batch_norm_stays_one() -> None:
    x = noise(4, 3, 5, 5)
    parts = {name: np.abs(noise(3)) + 0.5 for name in ("scale", "shift", "mean", "variance")}
    made = model([node("BatchNormalization", "x scale shift mean variance", epsilon=1e-3)], parts, ["n", 3, 5, 5])
    runner = Runner(made.SerializeToString())
    assert [layer["op"] for layer in runner.network.description()["layers"]] == ["batch_norm"]
    np.testing.assert_array_equal(runner.network.parameters["y.running_variance"], parts["variance"])
    column = {name: values.reshape(3, 1, 1) for name, values in parts.items()}
    expected = (x - column["mean"]) / np.sqrt(column["variance"] + 1e-3) * column["scale"] + column["shift"]
    np.testing.assert_allclose(runner(x)[0], expected, rtol=1e-5, atol=1e-5)


def test_batch_norm_in_parts_is_one() -> None:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta behind a layer, its root computed in the file."""
    x = noise(4, 3, 5, 5)
    parts = {name: (np.abs(noise(3)) + 0.5).reshape(3, 1, 1) for name in ("g", "b", "m", "v")}
    nodes = [
        node("Relu", "x", "a"),
        node("Sub", "a m", "c"),
        node("Add", "v e", "ve"),
        node("Sqrt", "ve", "d"),
        node("Div", "c d", "f"),
        node("Mul", "f g", "h"),
        node("Add", "h b", "y"),
    ]
    runner = Runner(model(nodes, {**parts, "e": np.float32(1e-5)}, ["n", 3, 5, 5]).SerializeToString())
    assert [layer["op"] for layer in runner.network.description()["layers"]] == ["relu", "batch_norm"]
    np.testing.assert_allclose(runner.network.parameters["y.running_mean"], parts["m"].ravel())
    np.testing.assert_allclose(runner.network.parameters["y.gamma"], parts["g"].ravel())
    expected = (np.maximum(x, 0) - parts["m"]) / np.sqrt(parts["v"] + 1e-5) * parts["g"] + parts["b"]
    np.testing.assert_allclose(runner(x)[0], expected, rtol=1e-4, atol=1e-5)


def residual_net() -> Any:
    """An inverted residual with a gate, a resized skip and a concatenation: maps and vectors out."""
    tensors = {
        "expand": noise(12, 4, 1, 1),
        "depth": noise(12, 1, 3, 3),
        "project": noise(4, 12, 1, 1),
        "squeeze": noise(12, 12, 1, 1),
        "half": np.array([1, 1, 0.5, 0.5], np.float32),
        "sizes": np.array([1, 1, 2, 2], np.float32),
        "head": noise(4, 8, 1, 1),
        "dense": noise(4 * 8 * 6, 5),
        "low": np.float32(0),
        "high": np.float32(6),
        "three": np.array([[[3.0]]], np.float32),
    }
    nodes = [
        node("Conv", "x expand", "e"),
        node("Clip", "e low high", "e6"),
        node("Conv", "e6 depth", "d", group=12, auto_pad="SAME_UPPER"),
        node("GlobalAveragePool", "d", "g"),
        node("Conv", "g squeeze", "q"),
        node("HardSigmoid", "q", "s", alpha=1 / 6, beta=0.5),
        node("Mul", "d s", "m"),
        node("Conv", "m project", "p"),
        node("Add", "p x", "r"),
        node("AveragePool", "r", "small", kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", "small  sizes", "up", mode="linear"),
        node("Concat", "r up", "c", axis=1),
        node("Conv", "c head", "map"),
        node("Sub", "map three", "shifted"),
        node("Sigmoid", "shifted", "mask"),
        node("Flatten", "mask", "f"),
        node("MatMul", "f dense", "y"),
    ]
    nodes[10].input[:] = ["small", "", "sizes"]
    return model(nodes, tensors, ["n", 4, 8, 6], ("mask", "y"))


def test_a_network_as_onnx_itself_runs_it() -> None:
    from onnx.reference import ReferenceEvaluator

    made, x = residual_net(), noise(3, 4, 8, 6)
    for result, expected in zip(
        Runner(made.SerializeToString())(x), ReferenceEvaluator(made).run(None, {"x": x}), strict=True
    ):
        np.testing.assert_allclose(result.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_an_imported_network_trains() -> None:
    parts = {name: np.abs(noise(8)) + 0.5 for name in ("g", "b", "m", "v")}
    tensors = {"w": noise(8, 3, 3, 3) / 5, **parts, "head": noise(8, 3)}
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "a g b m v", "c"),
        node("Relu", "c", "d"),
        node("ReduceMean", "d", "e", axes=[2, 3], keepdims=0),
        node("MatMul", "e head", "y"),
    ]
    network = renga.Network.from_onnx(model(nodes, tensors, ["n", 3, 8, 8]).SerializeToString())
    images, labels = stripes(192)
    train_set = renga.Dataset(images, labels, classes=3)
    trainer = renga.Trainer(network, recipe="default,epochs=4,batch=16,learning_rate=0.05")
    trainer.fit(train_set)
    assert renga.evaluate(trainer.network(), train_set).accuracy > 0.9
    assert not np.array_equal(trainer.network().parameters["c.running_mean"], parts["m"])


def test_all_that_is_not_understood_is_listed() -> None:
    nodes = [
        node("Erf", "x", "a"),
        node("Relu", "a", "b"),
        node("Conv", "x x", "c"),
        node("NonMaxSuppression", "b c", "d"),
        node("Relu", "x", "y"),
    ]
    with pytest.raises(renga.Unsupported, match="3 of its 5 nodes") as caught:
        renga.Network.from_onnx(model(nodes, {}, ["n", 3, 5, 5]).SerializeToString())
    refused = caught.value.report["unsupported"]
    assert [one["operator"] for one in refused] == ["Erf", "Conv", "NonMaxSuppression"]
    assert [one["node"] for one in refused] == ["a", "c", "d"] and all(one["reason"] for one in refused)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"heigth": 3}, renga.NotFound), ({"height": 0}, renga.InvalidArgument), ({"layout": "x"}, renga.InvalidArgument)],
)
def test_wrong_options(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        renga.Network.from_onnx(model([node("Relu", "x")], {}, [1, 3, 4, 4]).SerializeToString(), **options)


def test_open_image_sizes() -> None:
    made = model([node("Conv", "x w", pads=[1, 1, 1, 1])], {"w": noise(2, 3, 3, 3)}, ["n", 3, "h", "w"])
    network, report = renga.Network.import_onnx(made.SerializeToString(), height=32, width=48)
    assert network.info.input_shape == (32, 48, 3) and len(report["notes"]) == 2
    assert renga.Session(network, size=(20, 30)).output_shapes == [(20, 30, 2)]


def test_metadata_and_names_come_along() -> None:
    made = model([node("Conv", "x stem.conv.weight")], {"stem.conv.weight": noise(2, 3, 3, 3)}, ["n", 3, 8, 8])
    made.metadata_props.add(key="renga.classes", value='["a", "b"]')
    network = renga.Network.from_onnx(made.SerializeToString())
    assert network.class_names == ["a", "b"] and list(network.parameters) == ["stem.conv.weight"]


def test_command_line(command_line: CommandLine) -> None:
    made = model([node("Conv", "x w", pads=[1, 1, 1, 1])], {"w": noise(2, 3, 3, 3)}, ["n", 3, "h", "w"])
    (command_line.folder / "in.onnx").write_bytes(made.SerializeToString())
    ended = command_line("convert", "in.onnx", "out.safetensors", "--size", "16x12")
    assert ended.returncode == 0 and "16x12x3 (nchw)" in ended.stdout, ended.stderr
    assert renga.Network.load(command_line.folder / "out.safetensors").info.input_shape == (16, 12, 3)
    assert command_line("info", "in.onnx").returncode == 0
    refused = model([node("Erf", "x", "a"), node("Erf", "a", "y")], {}, [1, 3])
    (command_line.folder / "in.onnx").write_bytes(refused.SerializeToString())
    ended = command_line("convert", "in.onnx", "again.safetensors")
    assert ended.returncode == 1 and "'a' (Erf)" in ended.stderr
    assert not (command_line.folder / "again.safetensors").exists()


BOUNDED = """
import renga
from pathlib import Path

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

data = Path(FILE).read_bytes()
try:
    renga.Network.from_onnx(b"")
except renga.RengaError:
    pass
before = peak()
try:
    renga.Network.from_onnx(data)
    print("taken", peak() - before)
except renga.RengaError as refusal:
    print(type(refusal).__name__, peak() - before)
"""


@pytest.mark.parametrize(
    "kind", ["empty nodes", "foreign nodes", "tiny tensors", "a tensor that says it is large", "shapes of many axes"]
)
def test_memory_is_bounded_by_the_size_of_the_file(tmp_path: Path, kind: str) -> None:
    """The header's bound, with files that ask for as much as they can: 192 times their size and 64 MiB."""
    count = 200_000
    if kind == "empty nodes":
        hostile = model([], {}, ["n", 3, 5, 5])
        data = hostile.SerializeToString() + _field(7, _field(1, b"") * count)
    elif kind == "foreign nodes":
        data = model([node("Erf", "x")], {}, ["n", 3, 5, 5]).SerializeToString()
        data += _field(7, _field(1, _field(4, b"Q")) * count)
    elif kind == "tiny tensors":
        data = model([], {}, ["n", 3, 5, 5]).SerializeToString() + _field(7, _field(5, _field(8, b"t")) * count)
    elif kind == "shapes of many axes":
        data = model([], {}, ["n", 3, 5, 5]).SerializeToString() + _field(7, _field(5, b"\x08\x01" * count))
    else:
        large = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 20, 1 << 18], raw_data=b"")
        hostile = model([node("Relu", "w")], {}, ["n", 3, 5, 5])
        hostile.graph.initializer.append(large)
        data = hostile.SerializeToString()
    (tmp_path / "hostile.onnx").write_bytes(data)
    ended = run_python(BOUNDED.replace("FILE", repr(str(tmp_path / "hostile.onnx"))))
    assert ended.returncode == 0, ended.stderr
    _, taken = ended.stdout.split()
    assert int(taken) <= 192 * len(data) + (64 << 20), (kind, ended.stdout, len(data))


def _field(number: int, payload: bytes) -> bytes:
    """One length-delimited field of protobuf's wire format."""
    length, size = b"", len(payload)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload
