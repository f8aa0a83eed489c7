"""Arrays across the border: which go as they are, which are converted once, and which are refused.

The rule for images: f32 and u8 in native byte order, of any strides (slices, mirrored, transposed, repeated ones): the
library reads the array's own memory. Other floats become f32, other byte orders are copied, once. Other integers and
booleans are refused: u8 means pixels (normalised by the network), f32 means values (taken as they are), and a guess
would be wrong half of the time. What speaks DLPack or NumPy's array interface (tensors of other libraries in the
processor's memory) is an array of its own memory; it is held only as long as the call takes.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._errors import InvalidArgument, ShapeMismatch

F32Array = npt.NDArray[np.float32]
I32Array = npt.NDArray[np.int32]
I64Array = npt.NDArray[np.int64]

_DLPACK_CPU = 1
_LAYOUTS = {"nhwc": _abi.NHWC, "nchw": _abi.NCHW}


def layout_code(layout: str) -> int:
    """The number of a layout's name."""
    try:
        return _LAYOUTS[layout.lower()]
    except (KeyError, AttributeError):
        raise InvalidArgument(f"layout is {layout!r}; known: 'nhwc', 'nchw'") from None


def shape_text(shape: tuple[int, ...]) -> str:
    """`[64,28,28,1]`."""
    return "[" + ",".join(str(extent) for extent in shape) + "]"


def _as_array(x: Any, name: str) -> npt.NDArray[Any]:
    """`x` as an array of its own memory, where it has any."""
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack__"):
        return np.asarray(x)
    device, _ = x.__dlpack_device__()
    if device != _DLPACK_CPU:
        raise InvalidArgument(f"{name} lies on a device (DLPack's type {device}); bring it to the processor's memory")
    try:
        return np.from_dlpack(x)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InvalidArgument(f"{name}, a {type(x).__name__}, cannot be read through DLPack: {error}") from error


def as_images(x: npt.ArrayLike, name: str = "x") -> npt.NDArray[Any]:
    """`x` as f32 or u8: the same memory where it already is, one conversion where a rule allows it."""
    array = _as_array(x, name)
    if array.dtype == np.uint8 or array.dtype == np.float32:
        return array
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, dtype=np.float32)
    raise InvalidArgument(
        f"{name} has dtype {array.dtype}; pass uint8 for pixels (0 to 255, normalised by the network) "
        "or float32 for values taken as they are"
    )


def as_batch(x: npt.ArrayLike, name: str = "x") -> npt.NDArray[Any]:
    """`as_images` with four axes: `[N,C]` is taken as `[N,1,1,C]`; anything but 2 or 4 axes is refused."""
    array = as_images(x, name)
    if array.ndim == 4:
        return array
    if array.ndim == 2:
        return array[:, None, None, :]
    hint = f": add a batch axis with {name}[None]" if array.ndim == 3 else ""
    raise ShapeMismatch(f"{name} has shape {shape_text(array.shape)}; expected four axes, [N,H,W,C]{hint}")


def pointer(array: npt.NDArray[Any], offset_items: int = 0) -> ctypes.c_void_p:
    """The address of a contiguous array's element. The caller keeps the array alive during the call."""
    return ctypes.c_void_p(array.ctypes.data + offset_items * array.itemsize)


def source(array: npt.NDArray[Any], layout: int, begin: int = 0, count: int | None = None) -> _abi.Source:
    """Images [begin, begin + count) of a batch of rank 4, described for the library. Borrows `array`."""
    n = array.shape[0] - begin if count is None else count
    h, w, c = (1, 2, 3) if layout == _abi.NHWC else (2, 3, 1)
    extent, stride = array.shape, array.strides
    described = _abi.Source(
        shape=_abi.Shape(n, extent[h], extent[w], extent[c]),
        element=_abi.U8 if array.dtype == np.uint8 else _abi.F32,
    )
    data = array.ctypes.data + begin * stride[0]
    if array.flags.c_contiguous:
        described.data, described.layout = data, layout
        return described
    strided = _abi.Strided(ctypes.sizeof(_abi.Strided), data, stride[0], stride[h], stride[w], stride[c])
    described.data, described.layout = ctypes.addressof(strided), _abi.STRIDED
    described.strided = strided  # lives as long as what points to it
    return described


def as_labels(y: npt.ArrayLike, n: int, name: str = "labels") -> I32Array:
    """`n` labels as int32, C-contiguous; any integer type that fits is converted, anything else refused."""
    array = _as_array(y, name)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "iu":
        raise InvalidArgument(f"{name} has dtype {array.dtype}; expected integers, one class number an image")
    if array.shape != (n,):
        raise ShapeMismatch(f"{name} has shape {shape_text(array.shape)}; expected [{n}], one label an image")
    bounds = np.iinfo(np.int32)
    if array.size and (int(array.min()) < bounds.min or int(array.max()) > bounds.max):
        raise InvalidArgument(f"{name} holds numbers beyond 32 bits")
    return np.ascontiguousarray(array, dtype=np.int32)


def check_out(out: Any, shape: tuple[int, ...]) -> F32Array:
    """`out` if the library can write its answers there directly; never a copy."""
    if (
        not isinstance(out, np.ndarray)
        or out.dtype != np.float32
        or not out.flags.c_contiguous
        or not out.flags.writeable
    ):
        raise InvalidArgument("out must be a writable, C-contiguous float32 array")
    if out.shape != shape:
        raise ShapeMismatch(f"out has shape {shape_text(out.shape)}; expected {shape_text(shape)}")
    return out
