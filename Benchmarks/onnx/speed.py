"""Speed of the operators that imported networks bring, one typical shape each, beside ONNX Runtime on the same nodes.

`python3 speed.py [--store FILE] [--threads N] [--rounds R] [NAME…]`. Needs onnx, onnxruntime and renga. Both engines'
own profiles are read: the time of the node (of ours: all steps but those that take the caller's maps in and out), in
turn, medians and minima in microseconds. Not here: whether the answers are right (check.py and the tests), whole
networks (../peers).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

import renga

#: Runs of each engine in a round.
RUNS = 30
MAP = (1, 64, 56, 56)


def _constant(name: str, values: Any, kind: Any = np.float32) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.asarray(values, kind), name)


def _drawn(name: str, shape: tuple[int, ...]) -> onnx.TensorProto:
    return _constant(name, np.random.default_rng(7).standard_normal(shape))


def _node(kind: str, shape: tuple[int, ...], *constants: onnx.TensorProto, **attributes: Any) -> bytes:
    """A network of one node, whose operands behind the first are constants."""
    operands = ["x", *([""] if kind == "Resize" else []), *(c.name for c in constants)]  # no region of interest
    node = helper.make_node(kind, operands, ["y"], **attributes)
    return _model(shape, [node], list(constants))


def _model(shape: tuple[int, ...], nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "node", [x], [y], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def _resize(mode: str, **attributes: Any) -> bytes:
    return _node("Resize", MAP, _constant("scales", [1, 1, 2, 2]), mode=mode, **attributes)


def _slice(shape: tuple[int, ...], axes: list[int], starts: list[int], ends: list[int], steps: list[int]) -> bytes:
    parts = [_constant(n, v, np.int64) for n, v in zip(("s", "e", "a", "t"), (starts, ends, axes, steps), strict=True)]
    return _node("Slice", shape, *parts)


def _gate() -> bytes:
    """The last multiplication of a squeeze-and-excitation block: a map times one number a channel, made of the map."""
    pool = helper.make_node("GlobalAveragePool", ["x"], ["g"])
    return _model((1, 96, 56, 56), [pool, helper.make_node("Mul", ["x", "g"], ["y"])], [])


#: What is timed: the model's bytes by name.
CASES = {
    "resize nearest x2 64x56x56": lambda: _resize(
        "nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"
    ),
    "resize bilinear x2 64x56x56": lambda: _resize("linear", coordinate_transformation_mode="half_pixel"),
    "resize cubic x2 64x56x56": lambda: _resize("cubic", coordinate_transformation_mode="half_pixel"),
    "pad zeros 1 64x56x56": lambda: _node("Pad", MAP, _constant("p", [0, 0, 1, 1, 0, 0, 1, 1], np.int64)),
    "pad reflect 1 64x56x56": lambda: _node(
        "Pad", MAP, _constant("p", [0, 0, 1, 1, 0, 0, 1, 1], np.int64), mode="reflect"
    ),
    "slice channels 128 of 256, 28x28": lambda: _slice((1, 256, 28, 28), [1], [64], [192], [1]),
    "slice every second pixel 64x56x56": lambda: _slice(MAP, [2, 3], [0, 0], [56, 56], [2, 2]),
    "conv_transpose 2x2/2 64 to 32, 56x56": lambda: _node(
        "ConvTranspose", MAP, _drawn("w", (64, 32, 2, 2)), kernel_shape=[2, 2], strides=[2, 2]
    ),
    "conv_transpose 4x4/2 128 to 64, 28x28": lambda: _node(
        "ConvTranspose",
        (1, 128, 28, 28),
        _drawn("w", (128, 64, 4, 4)),
        kernel_shape=[4, 4],
        strides=[2, 2],
        pads=[1] * 4,
    ),
    "lrn 5 96x55x55": lambda: _node("LRN", (1, 96, 55, 55), size=5, alpha=1e-4, beta=0.75, bias=2.0),
    "pool and multiply 96x56x56": _gate,
    "multiply by a channel's number 64x56x56": lambda: _node("Mul", MAP, _drawn("w", (1, 64, 1, 1))),
    "divide by one number 64x56x56": lambda: _node("Div", MAP, _constant("w", [[[[3.0]]]])),
    "clip 0 to 6, 96x112x112": lambda: _node("Clip", (1, 96, 112, 112), _constant("l", 0.0), _constant("h", 6.0)),
    "hard_swish 96x112x112": lambda: _node("HardSwish", (1, 96, 112, 112)),
    "hard_sigmoid 96x112x112": lambda: _node("HardSigmoid", (1, 96, 112, 112)),
    "leaky_relu 96x112x112": lambda: _node("LeakyRelu", (1, 96, 112, 112), alpha=0.1),
    "sigmoid 96x112x112": lambda: _node("Sigmoid", (1, 96, 112, 112)),
    "tanh 96x112x112": lambda: _node("Tanh", (1, 96, 112, 112)),
    "elu 96x112x112": lambda: _node("Elu", (1, 96, 112, 112)),
    "softplus 96x112x112": lambda: _node("Softplus", (1, 96, 112, 112)),
}


def runtime_times(session: onnxruntime.InferenceSession, feed: dict[str, np.ndarray], folder: str) -> list[float]:
    """Microseconds of all nodes in each run that the session was profiled in."""
    for _ in range(RUNS):
        session.run(None, feed)
    events = json.loads(Path(folder, session.end_profiling()).read_text())
    times = [e["dur"] for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
    nodes = len(times) // RUNS
    return [float(sum(times[i * nodes : (i + 1) * nodes])) for i in range(RUNS)]


def own_times(session: renga.Session) -> list[float]:
    """Microseconds of all steps but import and export in each run."""
    times = []
    for _ in range(RUNS):
        steps = session.profile(runs=1)["steps"]
        inner = [s["ms"] for s in steps if not s["name"].startswith(("import ", "export "))]
        times.append(1e3 * sum(inner))
    return times


def measure(model: bytes, threads: int, rounds: int) -> dict[str, dict[str, float]]:
    """Both engines' medians and minima."""
    network, _ = renga.Network.import_onnx(model)
    own = renga.Session(network, threads=threads)
    shape = [d.dim_value for d in onnx.load_from_string(model).graph.input[0].type.tensor_type.shape.dim]
    feed = {"x": np.random.default_rng(3).standard_normal(shape, dtype=np.float32)}
    found: dict[str, list[float]] = {"renga": [], "onnxruntime": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder, f"round{number}"))
            runtime = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            found["onnxruntime"] += runtime_times(runtime, feed, folder)[3:]
            del runtime  # its threads spin for a while
            time.sleep(0.05)
            found["renga"] += own_times(own)[3:]
    return {name: {"median": statistics.median(times), "min": min(times)} for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="cases whose names hold one of these")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    print("| operator | Renga, us | ONNX Runtime, us | times as fast |\n|---|---|---|---|")
    for name, make in CASES.items():
        if options.names and not any(part in name for part in options.names):
            continue
        found = measure(make(), options.threads, options.rounds)
        results[name] = found
        ours, theirs = found["renga"], found["onnxruntime"]
        cells = [f"{e['median']:.0f} ({e['min']:.0f})" for e in (ours, theirs)]
        print(f"| {name} | {cells[0]} | {cells[1]} | {theirs['median'] / ours['median']:.2f} |", flush=True)
    if options.store:
        facts = {"threads": options.threads, "version": renga.version(), "cases": results}
        options.store.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
