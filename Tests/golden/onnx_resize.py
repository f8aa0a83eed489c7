"""onnx_resize.py: resized maps as ONNX's own reference implementation computes them, for every mode, rounding and kind of coordinates.

Run:  python3 -m venv golden-venv && golden-venv/bin/pip install onnx numpy && golden-venv/bin/python Tests/golden/onnx_resize.py
The file holds, for each case i, "src.i" [N,H,W,C] and "dst.i" [N,OH,OW,C]; its metadata says under "i" the options of `resize`.
What it is not: vectors of what PyTorch has too, with gradients (generate.py).
"""

import itertools
import pathlib

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

import safetensors_file

HERE = pathlib.Path(__file__).parent
COORDINATES = ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric"]


def resized(src, attributes, scales, sizes, roi):
    """src [1,1,H,W] through one Resize node."""
    names = ["x", "roi" if roi else "", "scales" if scales else "", "sizes" if sizes else ""]
    node = helper.make_node("Resize", names, ["y"], **attributes)
    values = {"x": src}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    for name, numbers, kind, dtype in [
        ("roi", roi, TensorProto.FLOAT, np.float32), ("scales", scales, TensorProto.FLOAT, np.float32),
        ("sizes", sizes, TensorProto.INT64, np.int64)]:
        if numbers:
            values[name] = np.array(numbers, dtype)
            inputs.append(helper.make_tensor_value_info(name, kind, None))
    graph = helper.make_graph([node], "resize", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    return ReferenceEvaluator(model).run(None, values)[0]


def cases():
    """(our options, ONNX's attributes, scales, sizes, roi), the last two numbers of each for rows and columns."""
    targets = [([2.0, 3.0], None), ([0.6, 1.3], None), (None, [7, 3]), (None, [1, 9])]
    for (scales, sizes), mode in itertools.product(targets, COORDINATES):
        # Of one row ONNX's text says place 0, as PyTorch and ONNX Runtime do; its reference takes -1/2.
        if mode == "pytorch_half_pixel" and sizes == [1, 9]:
            continue
        for nearest in ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]:
            yield {"nearest": nearest}, mode, scales, sizes, {"nearest_mode": nearest}
        yield {"mode": "linear"}, mode, scales, sizes, {"mode": "linear"}
        yield {"mode": "cubic", "cubic_a": "-0.5"}, mode, scales, sizes, {"mode": "cubic", "cubic_coeff_a": -0.5}
        yield ({"mode": "cubic", "exclude_outside": "yes"}, mode, scales, sizes, {"mode": "cubic", "exclude_outside": 1})
        for kind in ("linear", "cubic"):
            yield {"mode": kind, "antialias": "yes"}, mode, scales, sizes, {"mode": kind, "antialias": 1}


def options_of(options, coordinates, scales, sizes):
    numbers = {"scale_h": scales[0], "scale_w": scales[1]} if scales else {"height": sizes[0], "width": sizes[1]}
    return {"coordinates": coordinates, **options, **{key: repr(value) for key, value in numbers.items()}}


def write():
    random = np.random.default_rng(7)
    tensors, metadata = {}, {}

    def add(options, src, dst):
        index = str(len(metadata))
        metadata[index] = ",".join(f"{key}={value}" for key, value in options.items())
        tensors["src." + index], tensors["dst." + index] = src.reshape(1, *src.shape[2:], 1), dst.reshape(1, *dst.shape[2:], 1)

    for options, coordinates, scales, sizes, attributes in cases():
        src = random.standard_normal((1, 1, 5, 4)).astype(np.float32)
        # As a file holds them: float.
        scales = [float(np.float32(scale)) for scale in scales] if scales else None
        dst = resized(
            src, {"coordinate_transformation_mode": coordinates, **attributes}, [1.0, 1.0, *scales] if scales else None,
            [1, 1, *sizes] if sizes else None, None)
        add(options_of(options, coordinates, scales, sizes), src, dst.astype(np.float32))
    for mode, roi in [("linear", [0.4, 0.6, 0.6, 0.8]), ("linear", [-0.2, 0.3, 1.2, 1.7]), ("nearest", [0.1, 0.9, 0.8, 0.2])]:
        src = random.standard_normal((1, 1, 4, 4)).astype(np.float32)
        roi = [float(np.float32(place)) for place in roi]
        attributes = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": mode, "extrapolation_value": 10.0}
        dst = resized(src, attributes, None, [1, 1, 3, 3], [0.0, 0.0, *roi[:2], 1.0, 1.0, *roi[2:]])
        crop = dict(zip(("crop_top", "crop_left", "crop_bottom", "crop_right"), map(repr, roi)))
        options = options_of({"mode": mode, "extrapolation": "10", **crop}, "tf_crop_and_resize", None, [3, 3])
        add(options, src, dst.astype(np.float32))
    safetensors_file.write(HERE / "onnx_resize.safetensors", tensors, metadata)


if __name__ == "__main__":
    write()
