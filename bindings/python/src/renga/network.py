"""A network as a value: made from an architecture, loaded, inspected, changed, saved.

Not here: its parameters and metadata (contents.py), running it (session.py), training it (trainer.py), building it
layer by layer (builder.py).
"""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import _abi
from ._arrays import pointer
from ._errors import InvalidArgument, ShapeMismatch, Unsupported
from ._handle import Handle
from ._library import call, call_json, call_text, encode, encode_path, library, take_text
from ._options import MAX_SEED, OptionValue, options_text, whole
from .contents import Metadata, Parameters


@dataclass(frozen=True)
class NetworkInfo:
    """Numbers of a network for one image at its own size. Shapes are `(H, W, C)`."""

    parameters: int  #: trainable numbers (running statistics not counted)
    macs: int  #: multiply-accumulates for one image
    layers: int  #: operators
    inputs: int
    outputs: int
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]


def architectures() -> list[dict[str, Any]]:
    """The architectures, each with `name`, `documentation` and `options` (name, kind, default, bounds or choices,
    documentation).
    """
    return list(call_json("renga_architectures")["architectures"])


#: A naming of weights: a word, lines, or {theirs: ours}.
WeightNames = str | Mapping[str, str]


def _names_text(names: WeightNames) -> str:
    if isinstance(names, str):
        return names
    return "\n".join(f"{theirs}={ours}" for theirs, ours in names.items())


class Network(Handle):
    """A network: operators in topological order plus named parameters. It never runs by itself.

    Threads: as `Handle`. Sessions and trainers made from a network are independent of it.
    """

    _free_function = "renga_network_free"
    _noun = "network"

    @classmethod
    def create(cls, architecture: str, *, seed: int = 0, **options: OptionValue) -> Network:
        """Makes a network of a known architecture with initial weights.

        `Network.create("resnet", depth=20, classes=10, input=(32, 32, 3))`; `renga.architectures()` lists names and
        options. The same seed gives the same bits on every machine. Raises `NotFound`, `InvalidArgument`.
        """
        return cls.create_from_text(architecture, options_text(options), seed=seed)

    @classmethod
    def create_from_text(cls, architecture: str, options: str = "", *, seed: int = 0) -> Network:
        """`create` with options in the library's text form, `"depth=20,classes=10"`."""
        seed = whole(seed, "seed", 0, MAX_SEED)
        out = ctypes.c_void_p()
        text = encode(options, "options") if options else None
        call("renga_network_create", encode(architecture, "architecture"), text, seed, ctypes.byref(out))
        return cls._wrap(out)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Loads a network file; all or nothing. Raises `FileError`, `CorruptData`, `Unsupported`."""
        out = ctypes.c_void_p()
        call("renga_network_load", encode_path(path), ctypes.byref(out))
        return cls._wrap(out)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Network:
        """Loads a network file's contents from memory, without copying; `data` is read during the call only."""
        view = np.frombuffer(data, dtype=np.uint8)
        out = ctypes.c_void_p()
        call("renga_network_load_memory", pointer(view), view.nbytes, ctypes.byref(out))
        return cls._wrap(out)

    @classmethod
    def import_onnx(
        cls, source: str | os.PathLike[str] | bytes | bytearray | memoryview, **options: OptionValue
    ) -> tuple[Network, dict[str, Any]]:
        """Reads an ONNX file that another program wrote, by its path or from memory; returns the network and a report.

        `options`: `height`, `width` (of images whose size the file leaves open; 224), `layout` (`"auto"`, `"nchw"`,
        `"nhwc"`: axes of inputs with four). The report has `inputs` and `outputs` with the `layout` in which arrays are
        ONNX's own, and `notes`. Batch norms stay trainable. Raises `Unsupported` where nodes are not understood: its
        `report["unsupported"]` lists each `node`, `operator` and `reason`; `FileError`, `CorruptData`.
        """
        out, report = ctypes.c_void_p(), ctypes.c_void_p()
        text = encode(options_text(options), "options") or None
        try:
            if isinstance(source, (bytes, bytearray, memoryview)):
                view = np.frombuffer(source, dtype=np.uint8)
                arguments = (pointer(view), view.nbytes, text, ctypes.byref(out), ctypes.byref(report))
                call("renga_network_import_onnx_memory", *arguments)
            else:
                path = encode_path(source)
                call("renga_network_import_onnx", path, text, ctypes.byref(out), ctypes.byref(report))
        except Unsupported as error:
            error.report = json.loads(take_text(report) or "{}")
            raise
        return cls._wrap(out), json.loads(take_text(report) or "{}")

    @classmethod
    def from_onnx(
        cls, source: str | os.PathLike[str] | bytes | bytearray | memoryview, **options: OptionValue
    ) -> Network:
        """`import_onnx` without the report."""
        return cls.import_onnx(source, **options)[0]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves: written beside, synced, renamed over `path`. On failure a file that stood there is untouched."""
        with self._in_use() as handle:
            call("renga_network_save", handle, encode_path(path))

    def to_bytes(self) -> bytes:
        """What `save` would write."""
        with tempfile.TemporaryDirectory(prefix="renga-") as folder:
            path = Path(folder) / "network"
            self.save(path)
            return path.read_bytes()

    def copy(self) -> Network:
        """A network of the same contents."""
        out = ctypes.c_void_p()
        with self._in_use() as handle:
            call("renga_network_clone", handle, ctypes.byref(out))
        return self._wrap(out)

    __copy__ = copy

    def __deepcopy__(self, _: dict[int, Any]) -> Network:
        return self.copy()

    def __reduce__(self) -> tuple[Any, tuple[bytes]]:
        return (Network.from_bytes, (self.to_bytes(),))

    @property
    def info(self) -> NetworkInfo:
        """Parameters, MACs, layers and shapes."""
        raw = _abi.NetworkInfo()
        library().renga_network_info_init(ctypes.byref(raw), ctypes.sizeof(raw))
        with self._in_use() as handle:
            call("renga_network_get_info", handle, ctypes.byref(raw))
        return NetworkInfo(
            raw.parameters,
            raw.macs,
            raw.layers,
            raw.inputs,
            raw.outputs,
            raw.input_shape.as_tuple()[1:],
            raw.output_shape.as_tuple()[1:],
        )

    def describe(self, form: str = "text") -> str:
        """A table for people (`"text"`), the same as JSON (`"json"`), or a drawing for Graphviz (`"dot"`)."""
        forms = {"text": _abi.DESCRIPTION_TEXT, "json": _abi.DESCRIPTION_JSON, "dot": _abi.DESCRIPTION_DOT}
        if form not in forms:
            raise InvalidArgument(f"form is {form!r}; known: {', '.join(forms)}")
        with self._in_use() as handle:
            return call_text("renga_network_describe", handle, forms[form])

    def description(self) -> dict[str, Any]:
        """`describe("json")`, parsed."""
        return dict(json.loads(self.describe("json")))

    @property
    def parameters(self) -> Parameters:
        """The tensors by name, running statistics included; setting an item changes the network."""
        return Parameters(self)

    @property
    def metadata(self) -> Metadata:
        """Free-form text by key that travels with the network."""
        return Metadata(self)

    @property
    def class_names(self) -> list[str]:
        """The names of the classes (metadata `renga.classes`); empty when the network carries none."""
        text = self.metadata.get("renga.classes")
        return [str(name) for name in json.loads(text)] if text else []

    @class_names.setter
    def class_names(self, names: list[str]) -> None:
        if names:
            self.metadata["renga.classes"] = json.dumps(list(names), ensure_ascii=False)
        else:
            self.metadata.pop("renga.classes", None)

    @property
    def normalization(self) -> tuple[list[float], list[float]] | None:
        """Means and scales of u8 images, one a channel: the network sees (pixel - mean) * scale; None = pixels as they
        are. Sessions and trainers made afterwards take what is set (metadata `renga.normalization`).
        """
        text = self.metadata.get("renga.normalization")
        if not text:
            return None
        numbers = json.loads(text)
        return numbers["mean"], numbers["scale"]

    @normalization.setter
    def normalization(self, numbers: tuple[Sequence[float], Sequence[float]] | None) -> None:
        mean, scale = (np.ascontiguousarray(list_, dtype=np.float32).ravel() for list_ in numbers or ((), ()))
        if mean.size != scale.size:
            raise ShapeMismatch(f"there are {mean.size} means and {scale.size} scales; expected one of each a channel")
        addresses = (pointer(mean), pointer(scale)) if mean.size else (None, None)
        with self._in_use() as handle:
            call("renga_network_set_normalization", handle, *addresses, mean.size)

    def fold_batch_norm(self) -> tuple[Network, dict[str, Any]]:
        """A network with every batch norm folded that can be, and what was done. This one stays as it is."""
        out, report = ctypes.c_void_p(), ctypes.c_void_p()
        with self._in_use() as handle:
            call("renga_network_fold_batch_norm", handle, ctypes.byref(out), ctypes.byref(report))
        text = take_text(report)
        return self._wrap(out), json.loads(text) if text else {}

    def load_weights(self, path: str | os.PathLike[str], names: WeightNames = "renga") -> None:
        """Loads a safetensors file of weights under another program's names; all or nothing.

        `names`: "renga"; "pytorch" (our layers' names, parameters as PyTorch calls them); "torchvision" (its resnet,
        resnext, vgg and squeezenet); or a table {theirs: ours}, `*` for any characters, "" on the right to leave a
        tensor out, "" on the left for parameters that stay; or text as `renga_network_load_weights` takes it.
        Raises `NotFound`, `ShapeMismatch` (what is missing, foreign or of other extents), `CorruptData`, `Unsupported`.
        """
        text = encode(_names_text(names), "names")
        with self._in_use() as handle:
            call("renga_network_load_weights", handle, encode_path(path), text)

    def save_weights(self, path: str | os.PathLike[str], names: WeightNames = "renga") -> None:
        """Writes the weights as `load_weights` reads them: `names="pytorch"` for a state_dict of the same layers."""
        text = encode(_names_text(names), "names")
        with self._in_use() as handle:
            call("renga_network_save_weights", handle, encode_path(path), text)

    def to_onnx(self, path: str | os.PathLike[str], **options: OptionValue) -> None:
        """Writes the network as ONNX for inference: `[N,C,H,W]` f32 in, any N, the same answers up to rounding.

        `opset=17`, `fold_batch_norm=False`, `dynamic_size=False` (`True`: rows and columns of the images are left
        open). Dropout is left out, gates become part of other layers, metadata go along. Raises `FileError`,
        `InvalidArgument`, `Unsupported` (a form that the opset has not; more than 2 GB).
        """
        text = encode(options_text(options), "options")
        with self._in_use() as handle:
            call("renga_network_export_onnx", handle, encode_path(path), text)

    def __repr__(self) -> str:
        if self.closed:
            return "<renga.Network closed>"
        info = self.info
        shapes = f"{info.input_shape} -> {info.output_shape}"
        return f"<renga.Network {shapes}, {info.layers} layers, {info.parameters:,} parameters>"
