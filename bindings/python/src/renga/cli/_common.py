"""What several commands share: networks by name, numbers from text, and the two forms of answers."""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

from .._errors import Unsupported
from ..network import Network
from ..session import Session

#: Text for people, and the object for --json.
Answer = tuple[str, dict[str, Any]]


class UsageError(Exception):
    """Bad input of the command line; its text is one sentence."""


def positive(text: str) -> int:
    """A whole number from 1."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is below 1")
    return value


def positives(text: str) -> list[int]:
    """Whole numbers from 1, with commas between them."""
    return [positive(part) for part in text.split(",")]


def byte_count(text: str) -> int:
    """`123456`, `512K`, `300M`, `2G`: powers of 1000, as everywhere on this command line."""
    units = {"K": 10**3, "M": 10**6, "G": 10**9}
    factor = units.get(text[-1:].upper(), 1)
    digits = text[:-1] if factor > 1 else text
    if not digits.isascii() or not digits.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes, such as 512M")
    return positive(digits) * factor


def size(text: str) -> tuple[int, int]:
    """`HxW` as (H, W)."""
    h, cross, w = text.partition("x")
    if not cross:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected HxW, such as 224x224")
    return positive(h), positive(w)


def architecture_options(spec: str) -> tuple[str, dict[str, str]]:
    """`arch:NAME,option=value,…` -> name and options; ("", {}) for a path."""
    if not spec.startswith("arch:"):
        return "", {}
    name, _, rest = spec[len("arch:") :].partition(",")
    options: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, sign, value = part.partition("=")
        if not sign or not key or not value:
            raise UsageError(f"{spec}: {part!r} is no option=value")
        options[key] = value
    if not name:
        raise UsageError(f"{spec}: no architecture named; `renga archs` lists them")
    return name, options


def open_network(spec: str, seed: int, defaults: dict[str, str] | None = None) -> Network:
    """A network file, an ONNX file, or an architecture with initial weights.

    `defaults`: options that the spec may leave out.
    """
    name, options = architecture_options(spec)
    if name:
        text = ",".join(f"{key}={value}" for key, value in {**(defaults or {}), **options}.items())
        return Network.create_from_text(name, text, seed=seed)
    return import_network(spec)[0] if spec.endswith(".onnx") else Network.load(spec)


def open_session(spec: str, seed: int, **options: Any) -> Session:
    """A session of what `open_network` opens; of Renga's own file without the network in memory."""
    if not spec.startswith("arch:") and not spec.endswith(".onnx"):
        return Session.load(spec, **options)
    with open_network(spec, seed) as network:
        return Session(network, **options)


def import_network(path: str, **options: int | str) -> tuple[Network, dict[str, Any]]:
    """An ONNX file as a network, and the report; a sentence lists all nodes that are not understood."""
    try:
        return Network.import_onnx(path, **options)
    except Unsupported as error:
        refused = error.report.get("unsupported", [])
        if not refused:
            raise
        lines = [f"{one['node']!r} ({one['operator']}): {one['reason']}" for one in refused]
        raise UsageError(f"{path}: {len(refused)} nodes are not supported: {'; '.join(lines)}") from None


def show(options: argparse.Namespace, text: str, result: dict[str, Any]) -> None:
    """The answer on standard output, in the form that was asked for."""
    if options.json:
        print(json.dumps(_plain(result), ensure_ascii=False, allow_nan=False), flush=True)
    elif text and not options.quiet:
        print(text, flush=True)


def _plain(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def shape_text(shape: tuple[int, ...]) -> str:
    """(32, 32, 3) -> "32x32x3"."""
    return "x".join(str(extent) for extent in shape)
