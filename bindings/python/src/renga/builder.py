"""A network layer by layer; each layer is checked as it comes.

Not here: what operators there are (`renga.operators()` asks the library).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from . import _abi
from ._handle import Handle
from ._library import call, call_json, encode
from ._options import MAX_EXTENT, MAX_SEED, OptionValue, options_text, whole
from .network import Network


def operators() -> list[dict[str, Any]]:
    """The operators that `Builder.add` takes, each with `name`, `documentation` and `options`."""
    return list(call_json("renga_operators")["operators"])


class Builder(Handle):
    """Collects layers and makes networks of them. Values are numbers, handed out by `input` and `add`.

    >>> builder = Builder()
    >>> x = builder.input(28, 28, 1)
    >>> x = builder.add("convolution", x, channels=8, kernel=3, pad=1)
    >>> x = builder.add("relu", x)
    >>> network = builder.finish(builder.add("linear", builder.add("global_average_pool", x), channels=10))
    """

    _free_function = "renga_builder_free"
    _noun = "builder"

    def __init__(self) -> None:
        out = ctypes.c_void_p()
        call("renga_builder_create", ctypes.byref(out))
        super().__init__(out)

    def input(self, h: int, w: int, c: int, *, name: str | None = None) -> int:
        """Adds an input of `h` x `w` x `c`; returns its value."""
        out = ctypes.c_int32()
        text = None if name is None else encode(name, "the name")
        h, w, c = (
            whole(extent, "the input's " + axis, 1, MAX_EXTENT) for axis, extent in (("h", h), ("w", w), ("c", c))
        )
        with self._in_use() as handle:
            call("renga_builder_add_input", handle, text, h, w, c, ctypes.byref(out))
        return out.value

    def add(self, operator: str, *inputs: int, name: str | None = None, **attributes: OptionValue) -> int:
        """Adds a layer over earlier values; returns its value. Raises `NotFound`, `ShapeMismatch`, …"""
        out = ctypes.c_int32()
        values = (ctypes.c_int32 * max(1, len(inputs)))(*(whole(value, "an input", 0, MAX_EXTENT) for value in inputs))
        text = None if name is None else encode(name, "the name")
        described = options_text(attributes)
        with self._in_use() as handle:
            call(
                "renga_builder_add_layer",
                handle,
                encode(operator, "the operator"),
                encode(described, "attributes") if described else None,
                text,
                values,
                len(inputs),
                ctypes.byref(out),
            )
        return out.value

    def shape(self, value: int) -> tuple[int, int, int]:
        """`(H, W, C)` of a value for one image."""
        out = _abi.Shape()
        with self._in_use() as handle:
            call("renga_builder_shape", handle, whole(value, "value", 0, MAX_EXTENT), ctypes.byref(out))
        _, h, w, c = out.as_tuple()
        return (h, w, c)

    def finish(self, outputs: int | Sequence[int], *, initialization: str | None = None, seed: int = 0) -> Network:
        """Makes the network with these outputs and initial weights; the builder stays usable.

        initialization: "he_fan_in" (default), "he_fan_out", "orthogonal" or "uniform".
        """
        chosen = [outputs] if isinstance(outputs, int) else list(outputs)
        values = (ctypes.c_int32 * max(1, len(chosen)))(*(whole(value, "an output", 0, MAX_EXTENT) for value in chosen))
        rule = None if initialization is None else encode(initialization, "initialization")
        out = ctypes.c_void_p()
        with self._in_use() as handle:
            call(
                "renga_builder_finish",
                handle,
                values,
                len(chosen),
                rule,
                whole(seed, "seed", 0, MAX_SEED),
                ctypes.byref(out),
            )
        return Network._wrap(out)
