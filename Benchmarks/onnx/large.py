"""Time and peak memory to read VGG-16 (ImageNet's 1000 classes, 553 MB of random ones) from ONNX: Renga importing, with
and without a session, beside ONNX Runtime's session. Each in a process of its own, in turn, least of several; JSON.

`python3 large.py [ROUNDS]`. Needs numpy, onnx, onnxruntime and the package renga. Not here: equal answers (check.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WIDTHS = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]


def write(path: str) -> None:
    """VGG-16 with random weights."""
    from onnx import TensorProto, helper, numpy_helper, save

    random = np.random.default_rng(1)
    nodes, tensors, value, c = [], [], "x", 3

    def add(kind: str, shapes: list[tuple[int, ...]], **attributes: object) -> None:
        nonlocal value
        name = f"{kind}_{len(nodes)}"
        names = [f"{name}.{index}" for index in range(len(shapes))]
        for shape, full in zip(shapes, names, strict=True):
            values = random.standard_normal(shape, dtype=np.float32) * (2 / max(np.prod(shape[1:]), 1)) ** 0.5
            tensors.append(numpy_helper.from_array(values.astype(np.float32), full))
        nodes.append(helper.make_node(kind, [value, *names], [name], name, **attributes))
        value = name

    for width in WIDTHS:
        if width:
            add("Conv", [(width, c, 3, 3), (width,)], pads=[1, 1, 1, 1])
            add("Relu", [])
            c = width
        else:
            add("MaxPool", [], kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten", [])
    for width in (4096, 4096, 1000):
        add("Gemm", [(width, 25088 if c == 512 else c), (width,)], transB=1)
        c = width
        if width == 4096:
            add("Relu", [])
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 224, 224])
    result = helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", 1000])
    graph = helper.make_graph(nodes, "vgg16", [source], [result], tensors)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def peak() -> int:
    """Most kilobytes that this process has had in memory; getrusage would count its parent's, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def measure(what: str, path: str) -> dict[str, float]:
    """Seconds, and how far the process's peak of memory rose."""
    if what == "onnxruntime":
        import onnxruntime

        onnxruntime.get_available_providers()
    else:
        import renga

        renga.runtime_info()
    before = peak()
    begin = time.perf_counter()
    if what == "onnxruntime":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        kept: object = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    else:
        network = renga.Network.from_onnx(path)
        kept = renga.Session(network) if what == "renga with a session" else network
    seconds = time.perf_counter() - begin
    after = peak()
    assert kept is not None
    return {"seconds": round(seconds, 3), "peak_megabytes": round((after - before) * 1.024 / 1000)}


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], sys.argv[2])))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[dict[str, float]]] = {"renga": [], "renga with a session": [], "onnxruntime": []}
    with tempfile.TemporaryDirectory(prefix="renga-") as folder:
        path = str(Path(folder) / "vgg16.onnx")
        write(path)
        megabytes = Path(path).stat().st_size / 1e6
        for _ in range(rounds):
            for what, runs in found.items():
                done = subprocess.run(
                    [sys.executable, __file__, what, path], capture_output=True, text=True, check=True
                )
                runs.append(json.loads(done.stdout))
    least = {what: {key: min(run[key] for run in runs) for key in runs[0]} for what, runs in found.items()}
    print(json.dumps({"megabytes": round(megabytes), "rounds": rounds, **least}, indent=1))


if __name__ == "__main__":
    main()
