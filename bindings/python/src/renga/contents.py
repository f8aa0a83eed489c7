"""What a network carries: its parameters and its metadata, by name.

Not here: the network itself (network.py).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ._arrays import F32Array, pointer, shape_text
from ._errors import InvalidArgument, NotFound, ShapeMismatch
from ._library import call, encode, take_text

if TYPE_CHECKING:
    from .network import Network


class Parameters(Mapping[str, F32Array]):
    """A network's tensors by name, in the order of its layers. Keeps the network alive.

    Getting gives a copy that the caller owns: f32, convolution `[R,S,C/G,K]`, linear `[C,K]`, per channel `[C]`.
    Setting copies in.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> dimensions, without the values."""
        count = ctypes.c_int64()
        found: dict[str, tuple[int, ...]] = {}
        with self._network._in_use() as handle:
            call("renga_network_parameter_count", handle, ctypes.byref(count))
            for index in range(count.value):
                name, dimensions, rank = ctypes.c_char_p(), (ctypes.c_int64 * 4)(), ctypes.c_int32()
                call("renga_network_parameter_info", handle, index, ctypes.byref(name), dimensions, ctypes.byref(rank))
                found[(name.value or b"").decode("utf-8", "replace")] = tuple(dimensions[: rank.value])
        return found

    def _shape(self, name: str) -> tuple[int, ...]:
        shapes = self.shapes()
        if name not in shapes:
            raise NotFound(f"the network has no parameter {name!r}; known: {', '.join(shapes)}")
        return shapes[name]

    def __getitem__(self, name: str) -> F32Array:
        values = np.empty(self._shape(name), dtype=np.float32)
        with self._network._in_use() as handle:
            call("renga_network_get_parameter", handle, encode(name, "the name"), pointer(values), values.size)
        return values

    def __setitem__(self, name: str, values: npt.ArrayLike) -> None:
        shape = self._shape(name)
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise InvalidArgument(f"parameter {name!r}: dtype {array.dtype} is no real number")
        if array.shape != shape:
            raise ShapeMismatch(f"parameter {name!r} has shape {shape_text(shape)}; got {shape_text(array.shape)}")
        array = np.ascontiguousarray(array, dtype=np.float32)
        with self._network._in_use() as handle:
            call("renga_network_set_parameter", handle, encode(name, "the name"), pointer(array), array.size)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes())

    def __len__(self) -> int:
        return len(self.shapes())

    def __contains__(self, name: object) -> bool:
        return name in self.shapes()

    def __repr__(self) -> str:
        return "\n".join(f"{name} {shape_text(shape)}" for name, shape in self.shapes().items())


class Metadata(MutableMapping[str, str]):
    """A network's free-form text by key. Keeps the network alive."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __getitem__(self, key: str) -> str:
        out = ctypes.c_void_p()
        with self._network._in_use() as handle:
            call("renga_network_get_metadata", handle, encode(key, "the key"), ctypes.byref(out))
        value = take_text(out)
        if value is None:
            raise NotFound(f"the network's metadata has no key {key!r}")
        return value

    def __setitem__(self, key: str, value: str) -> None:
        with self._network._in_use() as handle:
            call("renga_network_set_metadata", handle, encode(key, "the key"), encode(value, "the value"))

    def __delitem__(self, key: str) -> None:
        self[key]  # an absent key is a KeyError
        with self._network._in_use() as handle:
            call("renga_network_set_metadata", handle, encode(key, "the key"), None)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._network.description().get("metadata", {})))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
