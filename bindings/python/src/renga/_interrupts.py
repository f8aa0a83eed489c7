"""Ctrl-C and other signals during a long call of the library.

A Python signal handler runs at the next Python instruction, which during a long call is the first one of our callback,
before its `try`: an exception raised there would be printed by ctypes and lost. So while the call runs, handlers are
wrapped: the exception that one raises is kept, the callback asks the library to stop, and the exception is raised once
the call has returned.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A block in which exceptions from signal handlers wait. Only the main thread has signal handlers; elsewhere it
    only keeps exceptions.
    """

    def __init__(self) -> None:
        self._pending: BaseException | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def pending(self) -> bool:
        """Whether an exception waits."""
        return self._pending is not None

    def keep(self, error: BaseException) -> None:
        """Keeps the first exception; later ones give way to it."""
        if self._pending is None:
            self._pending = error

    def raise_pending(self) -> None:
        """Raises what waits, if anything does."""
        waiting, self._pending = self._pending, None
        if waiting is not None:
            raise waiting from waiting.__cause__  # not "during handling of Cancelled": that is only how it stopped

    def _handle(self, number: int, frame: FrameType | None) -> None:
        try:
            self._previous[signal.Signals(number)](number, frame)
        except BaseException as error:
            self.keep(error)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                previous = signal.getsignal(number)
                if callable(previous):
                    self._previous[number] = previous
                    signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()
        if error is None:
            self.raise_pending()  # the signal came after the last step
