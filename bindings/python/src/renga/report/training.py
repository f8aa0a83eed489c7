"""The report of one training run: what was reached, how it went, where it errs, what it costs, how to do it again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._arrays import I64Array
from .._words import percent_text
from .charts import Series, line_chart
from .page import Page, text
from .pictures import data_uri
from .recorder import Recorder
from .tables import class_bars, confusion_matrix, table, tiles


@dataclass(frozen=True)
class Sample:
    """One test image with its answer. image: `[H,W,C]` u8, C = 1 or 3. confidence: the answer's softmax probability."""

    image: npt.NDArray[np.uint8]
    label: int
    answer: int
    confidence: float


@dataclass
class TrainingReport:
    """Everything the page shows; `write` makes it."""

    title: str
    lead: str  #: a sentence, plain text
    headline: list[tuple[str, str]]  #: (value, what it is)
    curve: Recorder
    class_names: Sequence[str]
    confusion: I64Array
    first: list[Sample]  #: not chosen: the first of the test set
    worst: list[Sample]  #: the most confident mistakes
    costs: list[tuple[str, str, str]]  #: (what, value, how it was measured)
    setting: list[tuple[str, str]]  #: (what, value): machine, versions, command, date
    transcript: str = ""  #: what the C program printed

    def page(self) -> Page:
        """The page, not yet written."""
        page = Page(self.title, text(self.lead), "Renga · training report")
        page.add(tiles(self.headline))
        page.columns(
            ("Loss", self._loss_chart(), "Cross-entropy on the training images, while they were learned from."),
            (
                "Accuracy",
                self._accuracy_chart(),
                "Share of right answers. The test images are never learned from.",
            ),
        )
        mistakes = int(self.confusion.sum() - np.trace(self.confusion))
        total = int(self.confusion.sum())
        page.columns(
            (
                "Confusion matrix",
                confusion_matrix(self.class_names, self.confusion),
                f"{total:,} test images; {mistakes:,} answers off the diagonal are wrong.",
            ),
            (
                "Accuracy by class",
                class_bars(self.class_names, self.confusion),
                "And the class that each is most often taken for.",
            ),
        )
        page.section(
            "Sample answers",
            self._gallery(self.first),
            "The first images of the test set, not chosen; the answer, and how sure the network is of it.",
        )
        if self.worst:
            page.section(
                "Most confident mistakes",
                self._gallery(self.worst),
                "The wrong answers that the network was surest of.",
            )
        page.section("What it costs", table(self.costs))
        if self.transcript:
            page.section(
                "From C",
                f'<pre tabindex="0">{text(self.transcript)}</pre>',
                "The saved network in a C program of one file, linked against the library just built.",
            )
        page.section("Setting", table(self.setting))
        return page

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the page."""
        self.page().write(path)

    def _loss_chart(self) -> str:
        losses = [value for _, value in self.curve.loss]
        top = float(np.percentile(losses, 98)) * 1.15 if losses else None
        shown = [(x, min(y, top)) for x, y in self.curve.loss] if top is not None else []
        return line_chart(
            "Training loss by epoch",
            [Series("training", shown, "two")],
            x_name="epochs",
            show=lambda value: f"{value:.3g}",
            y_low=0.0,
            y_high=top,
        )

    def _accuracy_chart(self) -> str:
        values = [y for _, y in (*self.curve.accuracy[3:], *self.curve.test_accuracy) if y == y]
        low = max(0.0, np.floor((min(values) - 0.02) * 20) / 20) if values else 0.0
        course = [(x, y) for x, y in self.curve.accuracy if y >= low]
        return line_chart(
            "Accuracy by epoch",
            [Series("training", course, "two"), Series("test", self.curve.test_accuracy, "one", marked=True)],
            x_name="epochs",
            show=percent_text,
            show_tick=lambda value: percent_text(value, 0),
            y_low=float(low),
            y_high=1.0,
        )

    def _gallery(self, samples: Sequence[Sample]) -> str:
        return f'<ul class="gallery">{"".join(self._figure(sample) for sample in samples)}</ul>'

    def _figure(self, sample: Sample) -> str:
        answer, label = self.class_names[sample.answer], self.class_names[sample.label]
        right = sample.answer == sample.label
        verdict = "" if right else f'<span class="truth">is {text(label)}</span>'
        mark = '<b class="right" aria-label="right">✓</b>' if right else '<b class="wrong" aria-label="wrong">✗</b>'
        h, w, _ = sample.image.shape
        return (
            f'<li class="{"right" if right else "wrong"}"><img src="{data_uri(sample.image)}" width="{w}" height="{h}" '
            f'alt="{text(label)}"><span class="answer">{mark} {text(answer)}</span>{verdict}'
            f'<span class="sure">{percent_text(sample.confidence, 0)}</span></li>'
        )
