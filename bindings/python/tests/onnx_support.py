"""ONNX models run by Renga, beside arrays in ONNX's own axes; and the node tests that come with the package `onnx`.

`python3 onnx_support.py FILE` writes docs/onnx-operators.md. Not here: what must pass (test_onnx_nodes.py).
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import renga

#: The operators that the import is made for, and the constants around them.
OPERATORS = {
    *("Conv", "ConvTranspose", "Gemm", "MatMul", "BatchNormalization", "Relu", "LeakyRelu", "PRelu", "Clip"),
    *("Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Elu", "Softplus", "MaxPool", "AveragePool"),
    *("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "Add", "Sub", "Mul", "Div", "Sum", "Mean", "Max"),
    *("Min", "Concat", "Split", "Slice", "Pad", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze"),
    *("Shape", "Gather", "Resize", "Upsample", "Softmax", "LogSoftmax", "LRN", "Dropout", "Identity"),
    *("Constant", "Cast"),
}
#: Inputs that are weights or shapes, which a network has as constants: frozen before the import.
WEIGHTS = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "BatchNormalization": (1, 2, 3, 4),
    "PRelu": (1,),
    "Clip": (1, 2),
    "Reshape": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "ReduceMean": (1,),
    "Pad": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "Dropout": (1, 2),
    "Gather": (1,),
}
KINDS = ("node", "pytorch-operator", "pytorch-converted", "simple")


class Runner:
    """An ONNX model in Renga that takes and gives arrays with ONNX's own axes."""

    def __init__(self, model: bytes | str | os.PathLike[str], **options: Any) -> None:
        self.network, self.report = renga.Network.import_onnx(model, **options)

    def __call__(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """One array an output, as [N, …] in the order of ONNX's memory."""
        arrays = []
        for array, info in zip(inputs, self.report["inputs"], strict=True):
            h, w, c = info["shape"]
            array = array.astype(np.float32)
            if info["layout"] == "cn":
                array = array.T.reshape(-1, 1, 1, c)
            elif info["layout"] == "nchw":
                array = array.reshape(-1, c, h, w).transpose(0, 2, 3, 1)
            arrays.append(np.ascontiguousarray(array.reshape(-1, h, w, c)))
        with renga.Session(self.network, batch=min(arrays[0].shape[0], 32)) as session:
            results = session.run(arrays if len(arrays) > 1 else arrays[0])
        outputs = []
        for array, info in zip(
            results if isinstance(results, list) else [results], self.report["outputs"], strict=True
        ):
            array = array.reshape(-1, *info["shape"])
            outputs.append(array.transpose(0, 3, 1, 2) if info["layout"] == "nchw" else array)
        return outputs


@dataclass
class Case:
    """One test of the package: a model, inputs and expected outputs."""

    kind: str
    name: str
    model: Any
    data: list[tuple[list[Any], list[Any]]]
    rtol: float
    atol: float

    @property
    def operators(self) -> set[str]:
        return {node.op_type for node in self.model.graph.node}

    @property
    def is_image(self) -> bool:
        """One f32 map of two or four axes in, f32 out."""
        first, results = self.data[0][0][0], self.data[0][1]
        return all(isinstance(a, np.ndarray) and a.dtype == np.float32 and a.ndim in (2, 4) for a in [first, *results])


@dataclass
class Outcome:
    """What became of a case: "passed", "refused" or "failed", and why."""

    case: Case
    result: str
    reason: str = ""


def cases() -> Iterator[Case]:
    """All cases whose operators are among OPERATORS."""
    import onnx
    from onnx import numpy_helper
    from onnx.backend.test.loader import load_model_tests

    for kind in KINDS:
        for found in load_model_tests(kind=kind):
            model = found.model
            folder = Path(found.model_dir) if found.model_dir else None
            if folder is not None:
                model = onnx.load(folder / "model.onnx")
            case = Case(kind, found.name, model, [], found.rtol, found.atol)
            if model is None or not case.operators <= OPERATORS:
                continue
            if folder is None:
                case.data = [(list(inputs), list(outputs)) for inputs, outputs in found.data_sets or []]
            else:
                case.data = [
                    (_arrays(part, "input", numpy_helper), _arrays(part, "output", numpy_helper))
                    for part in sorted(folder.glob("test_data_set_*"))
                ]
            if case.data and case.data[0][0]:
                yield case


def _arrays(folder: Path, prefix: str, helper: Any) -> list[Any]:
    import onnx

    arrays = []
    for index in range(len(list(folder.glob(f"{prefix}_*.pb")))):
        tensor = onnx.TensorProto()
        try:
            tensor.ParseFromString((folder / f"{prefix}_{index}.pb").read_bytes())
            arrays.append(helper.to_array(tensor))
        except Exception:  # a sequence or an optional value, which no case of ours has
            arrays.append(None)
    return arrays


def _freeze(case: Case, inputs: Sequence[Any], second: bool) -> tuple[bytes, list[Any]]:
    """The model with its weights as initialisers, and the inputs that stay. `second`: also the second input of an
    operator of two maps, where the two do not broadcast as maps.
    """
    from onnx import ModelProto, numpy_helper

    model = ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    names = [info.name for info in graph.input]
    frozen = set()
    for node in graph.node:
        indices = WEIGHTS.get(node.op_type, ())
        for index, name in enumerate(node.input):
            position = names.index(name) if name in names else -1
            if position < 0:
                continue
            array = inputs[position] if position < len(inputs) else None
            matrix = (
                node.op_type == "Gemm" and index == 2 and array is not None and array.ndim == 2 and array.shape[0] > 1
            )
            if (index in indices and not matrix) or (second and index > 0 and not indices):
                frozen.add(name)
    known = {tensor.name for tensor in graph.initializer}
    rest = []
    for name, array in zip([name for name in names if name not in known], inputs, strict=False):
        if name in frozen:
            graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        else:
            rest.append(array)
    kept = [info for info in graph.input if info.name not in frozen]
    del graph.input[:]
    graph.input.extend(kept)
    return model.SerializeToString(), rest


def run_case(case: Case) -> Outcome:
    """Imports and runs a case."""
    reason = ""
    for second in (False, True):
        try:
            for inputs, expected in case.data:
                model, rest = _freeze(case, inputs, second)
                if not rest:
                    return Outcome(case, "refused", reason or "all its inputs are constants")
                if any(array is None or array.size == 0 for array in rest):
                    return Outcome(case, "refused", "its inputs are empty, or no tensors")
                results = Runner(model)(*rest)
                for result, wanted in zip(results, expected, strict=True):
                    if result.size != wanted.size:
                        return Outcome(case, "failed", f"{result.shape} instead of {wanted.shape}")
                    half = wanted.dtype.itemsize == 2
                    np.testing.assert_allclose(
                        result.reshape(wanted.shape),
                        wanted.astype(np.float32),
                        rtol=max(case.rtol, 1e-2 if half else 1e-4),
                        atol=max(case.atol, 1e-3 if half else 1e-5),
                    )
            return Outcome(case, "passed")
        except renga.Unsupported as error:
            listed = error.report.get("unsupported", [])
            reason = reason or "; ".join(f"{one['operator']}: {one['reason']}" for one in listed) or str(error)
        except AssertionError as error:
            return Outcome(case, "failed", " ".join(str(error).split())[:300])
        except (renga.RengaError, ValueError, TypeError) as error:
            return Outcome(case, "failed", f"{type(error).__name__}: {error}")
    return Outcome(case, "refused", reason)


def document(outcomes: Sequence[Outcome], version: str) -> str:
    """docs/onnx-operators.md."""
    counts = Counter(outcome.result for outcome in outcomes)
    by_operator: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        for operator in outcome.case.operators - {"Constant"}:
            by_operator[operator][outcome.result] += 1
    lines = [
        "# ONNX operators",
        "",
        "What `renga_network_import_onnx`, `renga.Network.import_onnx` and `renga convert` read, tried on the tests",
        f"that come with the Python package `onnx` {version} (node, pytorch-operator, pytorch-converted, simple) for",
        "these operators. Written by `make onnx-operators`; the test suite compares it with what it finds. Weights",
        "that a test gives as inputs are made initialisers first. What is not understood is refused, never guessed.",
        "",
        f"**{counts['passed']} passed, {counts['refused']} refused, {counts['failed']} failed.**",
        "",
        "| operator | passed | refused |",
        "|---|---|---|",
    ]
    lines += [f"| {name} | {by['passed']} | {by['refused']} |" for name, by in sorted(by_operator.items())]
    lines += ["", "## Refused, and why", "", "| test | reason |", "|---|---|"]
    for outcome in sorted(outcomes, key=lambda one: (one.case.kind, one.case.name)):
        if outcome.result != "passed":
            reason = outcome.reason.replace("|", "\\|")
            lines.append(f"| {outcome.case.name.removeprefix('test_')} | {reason[:300]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import onnx

    found = [run_case(case) for case in cases()]
    Path(sys.argv[1]).write_text(document(found, onnx.__version__))
    for outcome in found:
        if outcome.result == "failed":
            print(outcome.case.kind, outcome.case.name, outcome.reason)
    print(Counter(outcome.result for outcome in found))
