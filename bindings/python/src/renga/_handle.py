"""The owner of one C handle: closing, finalisation, and who may use it when.

Not here: what a handle is for (network.py, session.py, …).
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from ._errors import Busy
from ._library import library

_Self = TypeVar("_Self", bound="Handle")


def _free(function: Any, address: int) -> None:
    function(ctypes.c_void_p(address))


class Handle:
    """Owns a handle of the C library.

    Use it in a `with` block, or call `close()`, or leave it to the garbage collector: each frees it once, in any order.
    At interpreter exit nothing is freed (the process is going away, and another thread may still be inside a call).

    Threads: methods may be called from several threads; the library runs calls on one handle one after another.
    `close()` during a call of another thread raises `Busy` and leaves the handle as it is.
    """

    _free_function: ClassVar[str]
    _noun: ClassVar[str]

    def __init__(self, address: ctypes.c_void_p) -> None:
        self._adopt(address)

    def _adopt(self, address: ctypes.c_void_p) -> None:
        if not address.value:
            raise Busy(f"the library gave no {self._noun}")
        self._address = address.value
        self._users = 0
        self._guard = threading.Lock()
        self._finalizer = weakref.finalize(self, _free, getattr(library(), self._free_function), address.value)
        self._finalizer.atexit = False

    @classmethod
    def _wrap(cls: type[_Self], address: ctypes.c_void_p) -> _Self:
        """An object around a handle that the library has just made; takes it over."""
        made = cls.__new__(cls)
        Handle.__init__(made, address)
        return made

    @contextmanager
    def _in_use(self) -> Iterator[ctypes.c_void_p]:
        """The handle, kept from being closed until the block ends."""
        if not hasattr(self, "_finalizer"):
            raise Busy(f"this {self._noun} was never made")
        with self._guard:
            if not self._finalizer.alive:
                raise Busy(f"this {self._noun} is closed")
            self._users += 1
        try:
            yield ctypes.c_void_p(self._address)
        finally:
            with self._guard:
                self._users -= 1

    def close(self) -> None:
        """Frees the handle now. A second call does nothing. Raises `Busy` while a call on it is running."""
        if not hasattr(self, "_finalizer"):
            return
        with self._guard:
            if self._users:
                raise Busy(f"this {self._noun} is in use by a running call: close it afterwards")
            self._finalizer()

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return not (hasattr(self, "_finalizer") and self._finalizer.alive)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
