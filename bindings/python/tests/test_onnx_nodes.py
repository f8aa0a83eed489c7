"""The node tests that come with the package `onnx`: none fails, and of the operators that images need none is refused.
What is refused, and why, stands in docs/onnx-operators.md (`make onnx-operators`).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from onnx_support import Outcome, cases, document, run_case

onnx = pytest.importorskip("onnx", reason="the package onnx, whose node tests these are, is not installed")

#: Operators of which every f32 case on [N,C] or [N,C,H,W] passes.
IMAGE_OPERATORS = {
    *("Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"),
    *("BatchNormalization", "LRN", "Gemm", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "Tanh", "HardSwish"),
    *("HardSigmoid", "Elu", "Softplus", "Softmax", "LogSoftmax", "Resize", "Upsample", "Pad"),
}
DOCUMENT = Path(__file__).parents[3] / "docs" / "onnx-operators.md"


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [run_case(case) for case in cases()]


def test_none_fails(outcomes: list[Outcome]) -> None:
    failed = [f"{one.case.name}: {one.reason}" for one in outcomes if one.result == "failed"]
    assert not failed, "\n".join(failed)
    counts = Counter(one.result for one in outcomes)
    assert counts["passed"] >= 290, counts


def test_images_pass(outcomes: list[Outcome]) -> None:
    refused = {
        one.case.name.removeprefix("test_"): one.reason
        for one in outcomes
        if one.result == "refused" and one.case.is_image and one.case.operators & IMAGE_OPERATORS
    }
    assert refused == {}


def test_the_document_is_current(outcomes: list[Outcome]) -> None:
    text = DOCUMENT.read_text()
    if f"`onnx` {onnx.__version__} " in text:
        assert text == document(outcomes, onnx.__version__), "make onnx-operators"
