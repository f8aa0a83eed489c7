"""Inference: a network compiled for one batch size, image size and thread count.

Not here: which arrays are copied on the way (`_arrays.py`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import F32Array, as_batch, check_out, layout_code, pointer, shape_text, source
from ._errors import InvalidArgument, ShapeMismatch
from ._handle import Handle
from ._library import call, call_json, encode, encode_path, library
from ._options import MAX_EXTENT, MAX_THREADS, precision_code, whole
from .network import Network


@dataclass(frozen=True)
class Memory:
    """Bytes that a session or trainer holds."""

    weights: int  #: packed weights (training: parameters, gradients and optimiser state)
    activations: int  #: the arena of all values
    scratch: int  #: of kernels
    activations_lower_bound: int  #: what the largest step alone needs alive
    parameters: int = 0  #: training: a part of weights, with running statistics
    gradients: int = 0  #: training: a part of weights
    optimizer: int = 0  #: training: a part of weights
    batch: int = 0  #: training: images and labels, a part of activations
    kept: int = 0  #: training under a budget: what stays from the forward to the backward pass, a part of activations
    recomputed_layers: int = 0  #: training under a budget: layers that run twice in a step
    recomputed_macs: int = 0  #: training under a budget: multiply-accumulates of their second runs

    @property
    def total(self) -> int:
        """weights + activations + scratch."""
        return self.weights + self.activations + self.scratch

    @classmethod
    def _ask(cls, function: str, *arguments: Any) -> Memory:
        raw = _abi.Memory()
        library().renga_memory_init(ctypes.byref(raw), ctypes.sizeof(raw))
        call(function, *arguments, ctypes.byref(raw))
        return cls(*(getattr(raw, field.name) for field in fields(cls)))


def _session_options(
    batch: int,
    threads: int,
    size: tuple[int, int] | None,
    fold_batch_norm: bool,
    algorithm: str | None,
    precision: str,
    tune: bool,
    linear_weights: str,
) -> _abi.SessionOptions:
    options = _abi.SessionOptions()
    library().renga_session_options_init(ctypes.byref(options), ctypes.sizeof(options))
    options.batch = whole(batch, "batch", 1, MAX_EXTENT)
    options.threads = whole(threads, "threads", 0, MAX_THREADS)
    options.fold_batch_norm = int(fold_batch_norm)
    if size is not None:
        options.height = whole(size[0], "the height of size", 1, MAX_EXTENT)
        options.width = whole(size[1], "the width of size", 1, MAX_EXTENT)
    options.algorithm = None if algorithm is None else encode(algorithm, "algorithm")
    options.precision = precision_code(precision)
    options.tune = int(tune)
    options.linear_weights = precision_code(linear_weights, "linear_weights")
    return options


def session_memory(
    network: Network,
    *,
    batch: int = 1,
    threads: int = 0,
    size: tuple[int, int] | None = None,
    fold_batch_norm: bool = True,
    algorithm: str | None = None,
    precision: str = "f32",
    tune: bool = False,
    linear_weights: str = "f32",
) -> Memory:
    """What a `Session` of these arguments would hold, planned without making it."""
    options = _session_options(batch, threads, size, fold_batch_norm, algorithm, precision, tune, linear_weights)
    with network._in_use() as handle:
        return Memory._ask("renga_network_session_memory", handle, ctypes.byref(options))


class Session(Handle):
    """A network compiled for inference, with its memory. Independent of the network it was made from.

    batch: images a call of the library takes at most; `run` takes any number, batches at a time. threads: 0 =
    `renga.default_threads()`.
    size: `(H, W)`, or None for the network's own. algorithm: None = choose; "reference", "direct", … forces
    convolutions that can, "conv1=direct,…" single layers. precision: "f32", or "bf16" for activations and weights of
    half the memory, much faster where the processor has AMX or AVX-512-BF16; arrays in and out are f32 in any.
    tune: choose algorithms by timing on this machine, once a shape in the process; the last bits of the answers may
    then differ from one process to the next. linear_weights: "f32", or "bf16" to keep the weights of fully connected
    layers in half the bytes, which is what small batches wait for; answers move by their rounding (some 0.1 %).
    Threads: sessions are independent; a shared one runs its calls one after another. The interpreter lock is released
    while it runs.
    """

    _free_function = "renga_session_free"
    _noun = "session"

    def __init__(
        self,
        network: Network,
        *,
        batch: int = 1,
        threads: int = 0,
        size: tuple[int, int] | None = None,
        fold_batch_norm: bool = True,
        algorithm: str | None = None,
        precision: str = "f32",
        tune: bool = False,
        linear_weights: str = "f32",
    ) -> None:
        options = _session_options(batch, threads, size, fold_batch_norm, algorithm, precision, tune, linear_weights)
        out = ctypes.c_void_p()
        with network._in_use() as handle:
            call("renga_session_create", handle, ctypes.byref(options), ctypes.byref(out))
        super().__init__(out)
        self._describe(int(options.batch), precision)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        batch: int = 1,
        threads: int = 0,
        size: tuple[int, int] | None = None,
        fold_batch_norm: bool = True,
        algorithm: str | None = None,
        precision: str = "f32",
        tune: bool = False,
        linear_weights: str = "f32",
    ) -> Session:
        """A session straight from the file that `Network.save` wrote: as `Session(Network.load(path), …)`, with the
        same bits, but faster, and without memory for the network's weights. The whole file is checked. Raises as both.
        """
        options = _session_options(batch, threads, size, fold_batch_norm, algorithm, precision, tune, linear_weights)
        out = ctypes.c_void_p()
        call("renga_session_load", encode_path(path), ctypes.byref(options), ctypes.byref(out))
        session = cls._wrap(out)
        session._describe(int(options.batch), precision)
        return session

    def _describe(self, batch: int, precision: str) -> None:
        self.batch = batch
        self.precision = precision
        self.input_shapes = self._shapes("renga_session_input_shape")
        self.output_shapes = self._shapes("renga_session_output_shape")

    def _shapes(self, function: str) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        shape = _abi.Shape()
        with self._in_use() as handle, contextlib.suppress(InvalidArgument):  # which says that there are no more
            while True:
                call(function, handle, len(found), ctypes.byref(shape))
                _, h, w, c = shape.as_tuple()
                found.append((h, w, c))
        return found

    def run(self, x: Any, *, layout: str = "nhwc", out: Any = None) -> Any:
        """Runs the network on `x`; returns its answers.

        x: `[N,H,W,C]` (with layout "nchw" `[N,C,H,W]`; a flat input also `[N,C]`), any N; a sequence of them for a
        network of several inputs. f32 and u8 of any strides are read in place, from anything that speaks DLPack (a
        PyTorch or JAX tensor in the processor's memory) as from NumPy; `renga._arrays` has the rule for the rest. u8 is
        normalised as the network's metadata says.
        out: None, or a writable C-contiguous f32 array of the answer's shape (a sequence for several outputs), written
        in place. It must not overlap `x`.
        Returns a NumPy array (which other libraries take over by DLPack without a copy: `torch.from_dlpack(answer)`),
        f32 in the same layout, owned by the caller: `[N,h,w,c]`, or `[N,c]` where the output is one pixel; a list of
        them for several outputs. The same bits for any thread count and N; another `batch` may choose other algorithms.
        """
        code = layout_code(layout)
        many_in, many_out = len(self.input_shapes) > 1, len(self.output_shapes) > 1
        sources = [as_batch(item, f"x[{i}]") for i, item in enumerate(x)] if many_in else [as_batch(x)]
        n = self._check(sources, code)
        shapes = [self._result_shape(n, shape, code) for shape in self.output_shapes]
        if out is None:
            results = [np.empty(shape, dtype=np.float32) for shape in shapes]
        else:
            given = list(out) if many_out else [out]
            if len(given) != len(shapes):
                raise InvalidArgument(f"out has {len(given)} arrays; the network has {len(shapes)} outputs")
            results = [check_out(array, shape) for array, shape in zip(given, shapes, strict=True)]
            if any(np.may_share_memory(a, b) for a in sources for b in results):
                raise InvalidArgument("out overlaps x")
        with self._in_use() as handle:
            for begin in range(0, n, self.batch):
                self._run_batch(handle, sources, results, code, begin, min(self.batch, n - begin))
        return results if many_out else results[0]

    __call__ = run

    def _check(self, sources: Sequence[npt.NDArray[Any]], layout: int) -> int:
        """The common N of the sources, all of which must have the session's shapes."""
        if len(sources) != len(self.input_shapes):
            raise InvalidArgument(f"x has {len(sources)} arrays; the network has {len(self.input_shapes)} inputs")
        for array, (h, w, c) in zip(sources, self.input_shapes, strict=True):
            expected = (h, w, c) if layout == _abi.NHWC else (c, h, w)
            if array.shape[1:] != expected:
                order = "[N,H,W,C]" if layout == _abi.NHWC else "[N,C,H,W]"
                takes = f"{order} = [N,{','.join(map(str, expected))}]"
                raise ShapeMismatch(f"x has shape {shape_text(array.shape)}; the session takes {takes}")
            if array.shape[0] != sources[0].shape[0]:
                raise ShapeMismatch(
                    f"the inputs have {sources[0].shape[0]} and {array.shape[0]} images; expected the same number"
                )
        return int(sources[0].shape[0])

    @staticmethod
    def _result_shape(n: int, shape: tuple[int, int, int], layout: int) -> tuple[int, ...]:
        h, w, c = shape
        if h == 1 and w == 1:
            return (n, c)
        return (n, h, w, c) if layout == _abi.NHWC else (n, c, h, w)

    def _run_batch(
        self,
        handle: ctypes.c_void_p,
        sources: Sequence[npt.NDArray[Any]],
        results: Sequence[F32Array],
        layout: int,
        begin: int,
        count: int,
    ) -> None:
        """Images [begin, begin + count) of every source into the same rows of every result, in place."""
        items = [result.size // result.shape[0] for result in results]
        if len(sources) == 1 and len(results) == 1:
            described = source(sources[0], layout, begin, count)
            target = pointer(results[0], begin * items[0])
            call("renga_session_run", handle, ctypes.byref(described), target, count * items[0], layout)
            return
        each = [source(array, layout, begin, count) for array in sources]
        listed = (_abi.Source * len(sources))(*each)
        targets = (ctypes.c_void_p * len(results))(
            *(pointer(result, begin * size).value for result, size in zip(results, items, strict=True))
        )
        counts = (ctypes.c_size_t * len(results))(*(count * size for size in items))
        call("renga_session_run_many", handle, listed, len(sources), targets, counts, len(results), layout)

    @property
    def memory(self) -> Memory:
        """Bytes that the session holds."""
        with self._in_use() as handle:
            return Memory._ask("renga_session_memory", handle)

    def profile(self, runs: int = 10) -> dict[str, Any]:
        """Runs on zeros and reports each step's time in the fastest run:
        `{"precision", "steps": [{name, operator, algorithm, ms, macs, gflops, bytes, gbytes_per_s}], "ms"}`.
        """
        with self._in_use() as handle:
            return call_json("renga_session_profile", handle, whole(runs, "runs", 1, MAX_EXTENT))
