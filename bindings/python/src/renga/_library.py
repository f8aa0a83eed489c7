"""Finds, loads and checks librenga.so, and calls it: a status that is not OK becomes an exception.

Order of search: the path in RENGA_LIBRARY; beside this file (the wheel); the release build of the source tree this file
lies in; the system's library path. Not here: prototypes (`_abi.py`) and exceptions (`_errors.py`).
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import _version
from ._abi import PROTOTYPES
from ._errors import RengaError, Unsupported, error_of
from ._options import MAX_THREADS, whole

_SONAME = "librenga.so.0"
_lock = threading.Lock()
_loaded: ctypes.CDLL | None = None
_path = ""


def _candidates() -> Iterator[str]:
    here = Path(__file__).resolve().parent
    yield from (str(path) for name in (_SONAME, "librenga.so") if (path := here / name).is_file())
    for folder in here.parents:  # a source tree: …/bindings/python/src/renga
        if (folder / "Package.swift").is_file():
            if (path := folder / ".build" / "release" / "librenga.so").is_file():
                yield str(path)
            break
    yield _SONAME


def _open() -> tuple[ctypes.CDLL, str]:
    forced = os.environ.get("RENGA_LIBRARY")
    failures = []
    for path in [forced] if forced else _candidates():
        try:
            # RTLD_LOCAL: no symbol of ours can meet one of another library in this process.
            return ctypes.CDLL(path, mode=ctypes.RTLD_LOCAL), path
        except OSError as error:
            failures.append(str(error))
    raise ImportError(
        "the Renga library could not be loaded: "
        + "; ".join(failures)
        + ". It needs libomp5 and zlib1g (Debian packages of these names); "
        "RENGA_LIBRARY may name another librenga.so; in a source tree `make build` makes one."
    )


def _bind(loaded: ctypes.CDLL, path: str) -> None:
    for name, (result, arguments) in PROTOTYPES.items():
        try:
            function = getattr(loaded, name)
        except AttributeError:
            raise ImportError(f"{path} has no {name}: it is older than this package ({_version.VERSION})") from None
        function.restype = result
        function.argtypes = arguments


def library() -> ctypes.CDLL:
    """The loaded library; loads it at the first call. Safe from any thread. Raises ImportError."""
    global _loaded, _path
    if _loaded is not None:
        return _loaded
    with _lock:
        if _loaded is None:
            loaded, path = _open()
            _bind(loaded, path)
            status = loaded.renga_version_check(_version.number())
            if status != 0:
                raise ImportError(f"{path} does not fit this package: {_last_error(loaded)}")
            _path = path
            _loaded = loaded
    return _loaded


def library_path() -> str:
    """Where the library was loaded from (a bare name: the system's library path)."""
    library()
    return _path


def _last_error(loaded: ctypes.CDLL) -> str:
    return (loaded.renga_last_error() or b"").decode("utf-8", "replace") or "the library gave no reason"


def call(name: str, *arguments: Any) -> None:
    """Calls a function that returns renga_status; raises its exception when that is not RENGA_OK.

    The interpreter lock is released during the call.
    """
    loaded = library()
    status = getattr(loaded, name)(*arguments)
    if status != 0:
        raise error_of(status, _last_error(loaded))


def take_text(pointer: ctypes.c_void_p) -> str | None:
    """Copies text that the library handed over, and frees it. None for NULL."""
    if not pointer.value:
        return None
    try:
        return ctypes.string_at(pointer.value).decode("utf-8", "replace")
    finally:
        library().renga_text_free(pointer)


def call_text(name: str, *arguments: Any) -> str:
    """Calls a function whose last parameter is `char **`; returns the text."""
    out = ctypes.c_void_p()
    call(name, *arguments, ctypes.byref(out))
    return take_text(out) or ""


def call_json(name: str, *arguments: Any) -> dict[str, Any]:
    """Calls a function whose last parameter receives JSON; returns the object."""
    value = json.loads(call_text(name, *arguments))
    if not isinstance(value, dict):
        raise RengaError(f"{name} returned JSON that is no object")
    return value


def encode(text: str, what: str) -> bytes:
    """Text for C: UTF-8 without a NUL inside. `what` names it in the error."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be text, not {type(text).__name__}")
    if "\0" in text:
        raise ValueError(f"{what} holds a NUL character")
    return text.encode("utf-8", "surrogateescape")


def encode_path(path: str | os.PathLike[str]) -> bytes:
    """A path for C."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("the path holds a NUL character")
    return encoded


def runtime_info() -> dict[str, Any]:
    """What runs here: `version`, `isa` in use, default `threads`, `build`; and the path of the `library`."""
    return {**call_json("renga_runtime_info"), "library": library_path()}


def machine_peaks(threads: int = 0) -> dict[str, Any]:
    """What this machine can do at most, measured now in about half a second: `f32_gflops`, `bf16_gflops` (0: none),
    `read_gbytes_per_s`, `write_gbytes_per_s` of `threads` threads together (0 = `default_threads()`).
    """
    return call_json("renga_machine_peaks", whole(threads, "threads", 0, MAX_THREADS))


def default_threads() -> int:
    """Threads that sessions and trainers use unless told otherwise."""
    return int(library().renga_default_threads())


def version() -> str:
    """The version of the loaded library."""
    text = library().renga_version()
    if text is None:
        raise Unsupported("the library gave no version")
    return str(text.decode())
