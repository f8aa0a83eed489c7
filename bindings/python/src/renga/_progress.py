"""Training's progress for people: one live line on a terminal, a finished line for each epoch."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from ._words import percent_text, seconds_text
from .trainer import Progress

_REDRAW_SECONDS = 0.1


class ProgressLine:
    """Give it to `Trainer.fit` as `progress`. On a terminal it redraws one line; elsewhere it writes nothing, or with
    `log` the finished line of each epoch. Use it in a `with` block, so that the line is closed however training ends.
    """

    def __init__(self, stream: TextIO | None = None, *, log: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._log = log or self._live
        self._drawn = False
        self._next = 0.0

    def __call__(self, now: Progress) -> None:
        """Shows where training stands."""
        if now.epoch_ended:
            if self._log:
                self._write(_epoch_line(now), end="\n")
        elif self._live and time.monotonic() >= self._next:
            self._next = time.monotonic() + _REDRAW_SECONDS
            self._write(_live_line(now), end="")

    def _write(self, line: str, end: str) -> None:
        clear = "\r\x1b[K" if self._live else ""
        self._stream.write(clear + line + end)
        self._stream.flush()
        self._drawn = not end

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False


def _epoch_name(now: Progress) -> str:
    return f"epoch {now.epoch:>{len(str(now.epochs))}}/{now.epochs}"


def _live_line(now: Progress) -> str:
    done = now.batch / max(1, now.batches)
    filled = int(done * 20)
    return (
        f"{_epoch_name(now)} {'█' * filled}{'░' * (20 - filled)} {now.images_per_second:,.0f} images/s  "
        f"loss {now.loss:.3f}  accuracy {percent_text(now.accuracy)}  {seconds_text(now.seconds_left)} left"
    )


def _epoch_line(now: Progress) -> str:
    tested = "" if now.test_accuracy != now.test_accuracy else f"  test {percent_text(now.test_accuracy, 2)}"
    return (
        f"{_epoch_name(now)}  {now.images_per_second:,.0f} images/s  loss {now.loss:.3f}  "
        f"accuracy {percent_text(now.accuracy)}{tested}  {seconds_text(now.seconds_left)} left"
    )
