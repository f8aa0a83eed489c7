"""`convert`: networks and weights from one kind of file to another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..network import Network
from ._common import Answer, UsageError, import_network, open_network, shape_text


def convert(options: argparse.Namespace) -> Answer:
    """From whatever NETWORK is to what OUT's name says: ONNX, weights under other names, or a network file."""
    names = _names(options.names)
    onnx = _onnx_options(options)
    if options.names and options.out.endswith(".onnx") and not options.weights:
        raise UsageError("--names goes with --weights FILE, or with an OUT that is no ONNX file")
    network, report = _read(options)
    with network:
        if options.weights:
            network.load_weights(options.weights, names)
        kind = _write(network, options.out, onnx, "" if options.weights else names)
        numbers = network.info
    result: dict[str, Any] = {"out": options.out, "kind": kind, "parameters": numbers.parameters}
    text = f"{options.out}: {kind}, {numbers.layers} layers, {numbers.parameters:,} parameters"
    if report:
        result["report"] = report
        text = "\n".join([text, *_report_lines(report)])
    return text, result


def _read(options: argparse.Namespace) -> tuple[Network, dict[str, Any]]:
    if not options.network.endswith(".onnx"):
        if options.size or options.layout != "auto":
            raise UsageError("--size and --layout go with NETWORK.onnx")
        return open_network(options.network, options.seed), {}
    sizes: dict[str, Any] = dict(zip(("height", "width"), options.size, strict=True)) if options.size else {}
    return import_network(options.network, layout=options.layout, **sizes)


def _report_lines(report: dict[str, Any]) -> list[str]:
    shapes = ", ".join(f"{one['name']} {shape_text(one['shape'])} ({one['layout']})" for one in report["inputs"])
    read = f"read {report['nodes']} nodes of {report['producer'] or 'an unnamed program'}; images: {shapes}"
    return [read, *(f"note: {note}" for note in report["notes"])]


def _onnx_options(options: argparse.Namespace) -> dict[str, int]:
    given = {"opset": options.opset, "fold_batch_norm": options.fold, "dynamic_size": options.dynamic_size}
    onnx = {name: value for name, value in given.items() if value}
    if onnx and not options.out.endswith(".onnx"):
        raise UsageError("--opset, --fold and --dynamic-size go with OUT.onnx")
    return onnx


def _write(network: Network, out: str, onnx: dict[str, int], names: str) -> str:
    if out.endswith(".onnx"):
        network.to_onnx(out, **onnx)
        return "ONNX"
    if names:
        network.save_weights(out, names)
        return "weights"
    network.save(out)
    return "network"


def _names(text: str | None) -> str:
    """A naming as it stands, or `@FILE` with its lines."""
    if text is None or not text.startswith("@"):
        return text or ""
    return Path(text[1:]).read_text(encoding="utf-8")
