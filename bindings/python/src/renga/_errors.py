"""Exceptions of the package: one class a status, each also an exception that Python programs already catch.

Not here: raising them from a call (`_library.py`).
"""

from __future__ import annotations

from typing import Any

from ._abi import Status


class RengaError(Exception):
    """A call failed. `status` is a `renga.Status`, `message` the library's sentence."""

    status: Status = Status.INTERNAL

    def __init__(self, message: str, status: Status | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status is not None:
            self.status = status

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[RengaError], tuple[str, Status]]:
        return (type(self), (self.message, self.status))


class InvalidArgument(RengaError, ValueError):
    """A value, size, name or option outside its bounds."""

    status = Status.INVALID_ARGUMENT


class ShapeMismatch(RengaError, ValueError):
    """Shapes, types or layouts that do not fit each other."""

    status = Status.SHAPE_MISMATCH


class OutOfMemory(RengaError, MemoryError):
    """No memory for a buffer of the asked size."""

    status = Status.OUT_OF_MEMORY


class FileError(RengaError, OSError):
    """A file could not be opened, read, written, synced or renamed."""

    status = Status.FILE


class CorruptData(RengaError, ValueError):
    """Contents are not what their format says."""

    status = Status.CORRUPT_DATA


class Unsupported(RengaError, NotImplementedError):
    """Well-formed, but beyond what this version does."""

    status = Status.UNSUPPORTED

    def __init__(self, message: str, status: Status | None = None) -> None:
        super().__init__(message, status)
        #: Of an import: what the file was, and under "unsupported" all nodes that are not understood. Else empty.
        self.report: dict[str, Any] = {}


class Cancelled(RengaError):
    """A callback asked to stop (by returning True); the object stands after its last whole step."""

    status = Status.CANCELLED


class Busy(RengaError, RuntimeError):
    """The object is in use, closed, or not in a state for this call."""

    status = Status.BUSY


class NotFinite(RengaError, ArithmeticError):
    """Loss or data became NaN or infinite where that has no meaning."""

    status = Status.NOT_FINITE


class NotFound(RengaError, KeyError):
    """An unknown name; the message lists the known ones."""

    status = Status.NOT_FOUND


_CLASSES: dict[int, type[RengaError]] = {
    int(kind.status): kind
    for kind in (
        InvalidArgument,
        ShapeMismatch,
        OutOfMemory,
        FileError,
        CorruptData,
        Unsupported,
        Cancelled,
        Busy,
        NotFinite,
        NotFound,
    )
}


def error_of(status: int, message: str) -> RengaError:
    """The exception for a status; a number this version does not know becomes a plain `RengaError`."""
    kind = _CLASSES.get(status)
    if kind is not None:
        return kind(message)
    known = status in Status._value2member_map_
    return RengaError(
        message if known else f"{message} (status {status})", Status(status) if known else Status.INTERNAL
    )
