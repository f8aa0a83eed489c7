"""Keeps the course of training finely enough to draw it: a progress callback. Not here: drawing (training.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..trainer import Progress

#: Points an epoch in the drawing: enough for a curve, few enough to smooth out single batches.
_POINTS_AN_EPOCH = 12


class Recorder:
    """Give it to `Trainer.fit` as `progress`; it hands each report on to `then`.

    The library reports means over the epoch so far; a point here is the mean over a twelfth of an epoch.
    """

    def __init__(self, then: Callable[[Progress], Any] | None = None) -> None:
        self._then = then
        self._begin = (0, 0.0, 0.0)  # batches, summed loss, summed accuracy at the last point of this epoch
        self._epoch = 0
        self.loss: list[tuple[float, float]] = []  #: (epochs, mean training loss since the last point)
        self.accuracy: list[tuple[float, float]] = []  #: (epochs, training accuracy since the last point)
        self.test_accuracy: list[tuple[float, float]] = []  #: (epochs, accuracy)

    def forward_to(self, then: Callable[[Progress], Any]) -> None:
        """Hands each report on to `then` from now on."""
        self._then = then

    def __call__(self, now: Progress) -> Any:
        """Takes a report."""
        if now.epoch != self._epoch:
            self._epoch, self._begin = now.epoch, (0, 0.0, 0.0)
        if now.epoch_ended:
            self.test_accuracy.append((float(now.epoch), now.test_accuracy))
        elif now.batch * _POINTS_AN_EPOCH // now.batches > self._begin[0] * _POINTS_AN_EPOCH // now.batches:
            batches, loss, accuracy = self._begin
            count = now.batch - batches
            at = now.epoch - 1 + now.batch / now.batches
            self.loss.append((at, (now.loss * now.batch - loss) / count))
            self.accuracy.append((at, (now.accuracy * now.batch - accuracy) / count))
            self._begin = (now.batch, now.loss * now.batch, now.accuracy * now.batch)
        return self._then(now) if self._then is not None else None
