"""Networks as ONNX files: valid for onnx.checker, and the answers of ONNX Runtime within 1e-4 of ours. Needs onnx and
onnxruntime, without which it is skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import renga

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install onnx onnxruntime")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install onnx onnxruntime")

SMALL = {"input": (32, 32, 3)}
LARGE = {"stem": "imagenet", "classes": 10, "input": (64, 64, 3)}
#: Every family, in its forms that differ in operators.
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("cnn", {}),
    ("resnet", {"depth": 8, **SMALL}),
    ("resnet", {"depth": 18, "shortcut": "pad", **LARGE}),
    ("resnet", {"depth": 11, "order": "pre", "block": "bottleneck", "shortcut": "project", **SMALL}),
    ("resnet", {"depth": 8, "stochastic_depth": "joint", "zero_init_residual": True, **SMALL}),
    ("resnet", {"depth": 8, "order": "pre", "stochastic_depth": "joint", **SMALL}),
    ("resnext", {"depth": 11, "groups": 4, "width": 8, **SMALL}),
    ("inception", {"depth": 8, **SMALL}),
    ("dmrnet", {"depth": 8, **SMALL}),
    ("pyramidnet", {"depth": 8, "alpha": 12, **SMALL}),
    ("pyramidnet", {"depth": 8, "alpha": 12, "stochastic_depth": "joint", **SMALL}),
    ("pyramidnet", {"depth": 11, "block": "bottleneck", "alpha": 12, "stochastic_depth": "separate", **SMALL}),
    ("vgg", {"depth": "11", "hidden": 16, **SMALL, "input": (64, 96, 3)}),
    ("vgg", {"depth": "11", "hidden": 0, "norm": False, **SMALL, "input": (64, 64, 3)}),
    ("squeezenet", {"version": "1.0", "input": (70, 63, 3)}),
    ("squeezenet", {"version": "1.1", "input": (64, 64, 3)}),
]


def shaken(network: renga.Network, seed: int = 5) -> renga.Network:
    """The network with statistics and offsets as after a training: nothing is 0 or 1 by chance."""
    random = np.random.default_rng(seed)
    for name, shape in network.parameters.shapes().items():
        leaf = name.rsplit(".", 1)[1]
        if leaf in ("running_variance", "gamma"):
            network.parameters[name] = random.uniform(0.5, 1.5, shape)
        elif leaf != "weight":
            network.parameters[name] = random.normal(0, 0.1, shape)
    return network


def run_onnx(path: Path, *images: np.ndarray) -> list[np.ndarray]:
    """The file's answers to `[N,H,W,C]` images, in the same layout."""
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {one.name: image.transpose(0, 3, 1, 2) for one, image in zip(session.get_inputs(), images, strict=True)}
    answers = session.run(None, feed)
    return [answer.transpose(0, 2, 3, 1) if answer.ndim == 4 else answer for answer in answers]


def compare(network: renga.Network, path: Path, n: int = 3, seed: int = 0) -> float:
    """The largest difference over the range of ours."""
    h, w, c = network.info.input_shape
    images = np.random.default_rng(seed).normal(size=(n, h, w, c)).astype(np.float32)
    (theirs,) = run_onnx(path, images)
    with renga.Session(network, batch=n) as session:
        ours = session.run(images)
    return float(np.abs(theirs.reshape(ours.shape) - ours).max() / max(np.ptp(ours), 1e-3))


@pytest.mark.parametrize(("family", "options"), FAMILIES, ids=lambda value: str(value).replace(" ", ""))
def test_families(tmp_path: Path, family: str, options: dict[str, Any]) -> None:
    network = shaken(renga.Network.create(family, seed=2, **options))
    for opset, fold in ((13, False), (21, True)):
        path = tmp_path / f"{opset}.onnx"
        network.to_onnx(path, opset=opset, fold_batch_norm=fold)
        onnx.checker.check_model(str(path), full_check=True)
        assert compare(network, path) < 1e-4, opset


@pytest.mark.parametrize(("family", "options"), FAMILIES, ids=lambda value: str(value).replace(" ", ""))
def test_ours_to_onnx_to_ours(tmp_path: Path, family: str, options: dict[str, Any]) -> None:
    """The weights come back bit by bit, under their names; gates have gone into them before."""
    network = shaken(renga.Network.create(family, seed=2, **options))
    first, second = tmp_path / "1.onnx", tmp_path / "2.onnx"
    network.to_onnx(first)
    back, _ = renga.Network.import_onnx(first)
    back.to_onnx(second)
    again, _ = renga.Network.import_onnx(second)
    for one, other in ((back, again), (network, back))[: 1 if "stochastic_depth" in options else 2]:
        assert set(one.parameters) == set(other.parameters)
        assert all(np.array_equal(one.parameters[name], other.parameters[name]) for name in one.parameters)
    assert dict(back.metadata).items() >= dict(network.metadata).items()


#: A layer (or several: each reads the one before) on a 9x11 map of 6 channels, and the least opset.
LAYERS: list[tuple[str, list[tuple[str, dict[str, Any]]], int]] = [
    ("convolution", [("convolution", {"channels": 4, "kernel": 3, "stride_w": 2, "pad_top": 2, "dilation": 2})], 13),
    ("grouped", [("convolution", {"channels": 4, "kernel_h": 1, "kernel_w": 2, "groups": 2, "bias": False})], 13),
    ("linear", [("flatten", {}), ("linear", {"channels": 5})], 13),
    ("norms in between", [("flatten", {}), ("batch_norm", {}), ("prelu", {}), ("linear", {"channels": 5})], 13),
    ("flattened output", [("flatten", {}), ("relu", {})], 13),
    ("a part", [("flatten", {}), ("channel_slice", {"begin": 7, "count": 9}), ("linear", {"channels": 3})], 13),
    ("nchw", [("flatten", {"order": "nchw"}), ("linear", {"channels": 5})], 13),
    ("nchw output", [("flatten", {"order": "nchw"})], 13),
    ("vector as a map", [("global_average_pool", {}), ("convolution", {"channels": 3, "kernel": 1})], 13),
    ("linear as a map", [("global_max_pool", {}), ("linear", {"channels": 4}), ("lrn", {"size": 3})], 13),
    ("flattened vector", [("global_average_pool", {}), ("flatten", {}), ("batch_norm", {}), ("softmax", {})], 13),
    ("batch_norm", [("batch_norm", {"affine": False, "epsilon": 0.01})], 13),
    ("scale", [("scale", {})], 13),
    ("scaled vector", [("global_average_pool", {}), ("scale", {})], 13),
    ("prelu", [("prelu", {})], 13),
    ("lrn", [("lrn", {"size": 5, "alpha": 0.3, "beta": 0.6, "bias": 2})], 13),
    ("softmax", [("softmax", {})], 13),
    ("log softmax", [("softmax", {"log": True})], 13),
    ("softmax of rows", [("softmax", {"axis": "h"})], 13),
    ("log softmax of columns", [("softmax", {"axis": "w", "log": True})], 13),
    ("dropout", [("dropout", {"rate": 0.4}), ("relu", {})], 13),
    ("gate", [("stochastic_gate", {"survival": 0.7})], 13),
    ("split gate", [("stochastic_gate", {"survival": 0.7, "split": 2, "survival_lower": 0.3})], 13),
    ("gate of a vector", [("flatten", {}), ("stochastic_gate", {"survival": 0.7, "split": 200}), ("relu", {})], 13),
    ("max_pool", [("max_pool", {"kernel": 3, "stride": 2, "pad": 1})], 13),
    ("max_pool ceil", [("max_pool", {"kernel": 3, "stride": 2, "ceil_mode": True})], 13),
    ("max_pool ceil and pads", [("max_pool", {"kernel": 2, "stride": 2, "pad": 1, "ceil_mode": True})], 13),
    ("max_pool with gaps", [("max_pool", {"kernel": 2, "stride": 3, "ceil_mode": True})], 13),
    ("max_pool dilated", [("max_pool", {"kernel": 2, "dilation": 3, "pad": 3, "stride": 2, "ceil_mode": True})], 13),
    ("average_pool", [("average_pool", {"kernel": 3, "stride": 2, "pad_left": 2, "pad_top": 1})], 13),
    ("average_pool alone", [("average_pool", {"kernel": 3, "pad": 1, "count_include_pad": False})], 13),
    ("average_pool ceil", [("average_pool", {"kernel": 3, "stride": 3, "ceil_mode": True})], 13),
    ("average_pool ceil, pads", [("average_pool", {"kernel": 3, "stride": 2, "pad_top": 1, "ceil_mode": True})], 13),
    ("average_pool ceil, counted", [("average_pool", {"kernel": 4, "stride": 3, "pad": 2, "ceil_mode": True})], 13),
    (
        "average_pool ceil, not counted",
        [("average_pool", {"kernel": 4, "stride": 3, "pad": 2, "ceil_mode": True, "count_include_pad": False})],
        13,
    ),
    ("average_pool dilated", [("average_pool", {"kernel": 2, "dilation": 3, "pad": 1})], 19),
    ("global_max_pool", [("global_max_pool", {})], 13),
    ("channel_slice", [("channel_slice", {"begin": 1, "count": 4})], 13),
    ("channel_pad", [("channel_pad", {"before": 1, "after": 2})], 13),
    ("slice", [("slice", {"start_h": -3, "step_w": 3, "end_w": 8, "start_c": 4, "end_c": -6, "step_c": -2})], 13),
    ("whole slice", [("slice", {})], 13),
    ("pad", [("pad", {"top": 1, "right": 2, "before": 1, "value": 0.5})], 13),
    ("crop", [("pad", {"top": -1, "left": 2, "right": -3, "after": -1})], 13),
    ("reflect", [("pad", {"top": 3, "left": 2, "bottom": -2, "mode": "reflect"})], 13),
    ("edge", [("pad", {"top": 3, "before": 2, "mode": "edge"})], 13),
    ("wrap", [("pad", {"left": 3, "bottom": 2, "right": -4, "mode": "wrap"})], 19),
    ("transposed", [("conv_transpose", {"channels": 4, "kernel": 3, "stride": 2, "pad": 1, "output_pad": 1})], 13),
    (
        "transposed groups",
        [("conv_transpose", {"channels": 4, "kernel_h": 2, "kernel_w": 3, "stride_w": 3, "groups": 2})],
        13,
    ),
    ("resize", [("resize", {"height": 5, "width": 30})], 13),
    ("by scale", [("resize", {"scale_h": 2, "scale_w": 1.5, "coordinates": "asymmetric", "nearest": "floor"})], 13),
    ("nearest ceil", [("resize", {"height": 17, "width": 8, "nearest": "ceil", "coordinates": "align_corners"})], 18),
    ("linear size", [("resize", {"mode": "linear", "height": 20, "width": 7})], 13),
    ("linear corners", [("resize", {"mode": "linear", "height": 20, "width": 7, "coordinates": "align_corners"})], 18),
    ("linear antialias", [("resize", {"mode": "linear", "height": 4, "width": 5, "antialias": True})], 18),
    ("cubic", [("resize", {"mode": "cubic", "scale_h": 1.7, "scale_w": 2, "cubic_a": -0.5})], 13),
    ("cubic outside", [("resize", {"mode": "cubic", "height": 20, "width": 5, "exclude_outside": True})], 18),
    (
        "crop and resize",
        [("resize", {"mode": "linear", "height": 6, "width": 6, "coordinates": "tf_crop_and_resize", "crop_top": 0.2,
                     "crop_bottom": 0.7, "crop_left": -0.1, "crop_right": 0.9, "extrapolation": 7})],
        18,
    ),
    *((f"activation {name}", [("activation", {"function": name})], 13) for name in
      ("sigmoid", "tanh", "leaky_relu", "hard_sigmoid", "hard_swish", "elu", "softplus", "silu")),
    ("hard_swish of 14", [("activation", {"function": "hard_swish"})], 14),
    ("relu6", [("activation", {"function": "clip", "alpha": 0, "beta": 6})], 13),
    ("clip from below", [("activation", {"function": "clip", "alpha": 0.25})], 13),
    ("clip from above", [("activation", {"function": "clip", "beta": 0.25})], 13),
    ("steep elu", [("activation", {"function": "elu", "alpha": 1.7})], 13),
    ("steep leaky_relu", [("activation", {"function": "leaky_relu", "alpha": 0.3})], 13),
]  # fmt: skip


def build(layers: list[tuple[str, dict[str, Any]]]) -> renga.Network:
    with renga.Builder() as builder:
        value = builder.input(9, 11, 6)
        for number, (op, options) in enumerate(layers):
            value = builder.add(op, value, name=f"layer{number}", **options)
        return shaken(builder.finish(value, seed=1))


@pytest.mark.parametrize(("layers", "opset"), [case[1:] for case in LAYERS], ids=[case[0] for case in LAYERS])
def test_each_operator(tmp_path: Path, layers: list[tuple[str, dict[str, Any]]], opset: int) -> None:
    network = build(layers)
    for version in {opset, 21}:
        path = tmp_path / f"{version}.onnx"
        network.to_onnx(path, opset=version)
        onnx.checker.check_model(str(path), full_check=True)
        assert compare(network, path) < 1e-4, version


def test_every_operator_has_a_case() -> None:
    """Nothing can be added to the library without being written as ONNX (the operators of two inputs are below)."""
    tried = {op for _, layers, _ in LAYERS for op, _ in layers}
    several = {"add", "arithmetic", "concat", "mean", "weighted_sum"}
    assert tried | several | {"relu"} == {one["name"] for one in renga.operators()}


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    with renga.Builder() as builder:
        a, b = builder.input(6, 5, 4, name="a"), builder.input(6, 5, 4, name="b")
        total = builder.add("add", a, b)
        three = builder.add("add", a, b, total)
        mean = builder.add("mean", a, b, three)
        weighted = builder.add("weighted_sum", a, mean, weights="0.5 1")
        joined = builder.add("concat", weighted, b)
        pooled = builder.add("global_average_pool", joined)
        squeezed = builder.add("activation", builder.add("linear", pooled, channels=8), function="sigmoid")
        excited = builder.add("arithmetic", joined, squeezed, function="multiply")
        sums = [builder.add("arithmetic", excited, squeezed, function=name)
                for name in ("add", "subtract", "divide", "maximum", "minimum")]  # fmt: skip
        vectors = builder.add("concat", pooled, squeezed)
        twice = builder.add("add", pooled, pooled)
        # A value may be returned twice, and an input as it came.
        network = builder.finish([*sums, vectors, twice, twice, excited, a], seed=1)
    path = tmp_path / "many.onnx"
    network.to_onnx(path)
    onnx.checker.check_model(str(path), full_check=True)
    images = [np.random.default_rng(seed).normal(size=(2, 6, 5, 4)).astype(np.float32) for seed in (1, 2)]
    with renga.Session(network, batch=2) as session:
        ours = session.run(images)
    theirs = run_onnx(path, *images)
    assert len(ours) == len(theirs) == 10
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        assert np.abs(mine - other).max() <= 1e-4 * max(np.ptp(mine), 1)


def test_what_the_file_says(tmp_path: Path, network: renga.Network) -> None:
    network.class_names = ["red", "green", "blue"]
    network.metadata["renga.normalization"] = json.dumps({"mean": [1, 2, 3], "scale": [0.5, 0.5, 0.5]})
    network.metadata["note"] = "ä"
    path = tmp_path / "net.onnx"
    network.to_onnx(path)
    model = onnx.load(str(path))
    assert {entry.key: entry.value for entry in model.metadata_props} == dict(network.metadata)
    assert (model.producer_name, model.producer_version) == ("renga", renga.__version__)
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 17)]
    image, answer = model.graph.input[0], model.graph.output[0]
    extents = [one.dim_param or one.dim_value for one in image.type.tensor_type.shape.dim]
    assert extents == ["batch", 3, 8, 8]
    assert [one.dim_param or one.dim_value for one in answer.type.tensor_type.shape.dim] == ["batch", 3]
    layers = [layer["name"] for layer in network.description()["layers"]]
    assert [node.name for node in model.graph.node if node.name in layers] == layers
    weight = next(one for one in model.graph.initializer if one.name == "stem.conv1.weight")
    ours = network.parameters["stem.conv1.weight"]
    assert np.array_equal(onnx.numpy_helper.to_array(weight), ours.transpose(3, 2, 0, 1))


def test_any_size(tmp_path: Path) -> None:
    network = shaken(renga.Network.create("squeezenet", version="1.1", input=(64, 64, 3)))
    path = tmp_path / "net.onnx"
    network.to_onnx(path, dynamic_size=True)
    onnx.checker.check_model(str(path), full_check=True)
    images = np.random.default_rng(0).normal(size=(2, 79, 48, 3)).astype(np.float32)
    with renga.Session(network, batch=2, size=(79, 48)) as session:
        ours = session.run(images)
    (theirs,) = run_onnx(path, images)
    assert np.abs(theirs - ours).max() < 1e-4 * np.ptp(ours)


def test_names_that_clash(tmp_path: Path) -> None:
    with renga.Builder() as builder:
        x = builder.input(4, 4, 2, name="x.weight")
        x = builder.add("convolution", x, name="x", channels=2, kernel=1)
        x = builder.add("relu", x, name="x.bias")
        x = builder.add("flatten", x, name="x:flat")
        network = shaken(builder.finish(builder.add("linear", x, name="y", channels=3)))
    path = tmp_path / "net.onnx"
    network.to_onnx(path)
    onnx.checker.check_model(str(path), full_check=True)
    assert compare(network, path) < 1e-4


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    dilated = build([("average_pool", {"kernel": 2, "dilation": 2})])
    with pytest.raises(renga.Unsupported, match=r"layer0.*opset=19"):
        dilated.to_onnx(path)
    pool = build([("max_pool", {"kernel": 2, "stride": 2, "pad": 1, "ceil_mode": True})])
    with pytest.raises(renga.Unsupported, match=r"layer0.*dynamic_size"):
        pool.to_onnx(path, dynamic_size=True)
    for options in ({"opset": 12}, {"opset": 99}, {"fold_batch_norm": "perhaps"}):
        with pytest.raises(renga.InvalidArgument, match=next(iter(options))):
            pool.to_onnx(path, **options)
    with pytest.raises(renga.NotFound, match="opset"):
        pool.to_onnx(path, operators=17)
    with pytest.raises(renga.FileError):
        pool.to_onnx(tmp_path)
    assert list(tmp_path.iterdir()) == []
