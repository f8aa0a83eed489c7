"""The report's parts: pictures that decode, charts that hold their data, pages that need nothing from outside."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from renga import Progress
from renga.report import Recorder, Sample, TrainingReport, machine
from renga.report.charts import Series, line_chart, nice_step
from renga.report.pictures import png
from renga.report.tables import class_bars, confusion_matrix


def progress(epoch: int, batch: int, loss: float, accuracy: float, **more: object) -> Progress:
    fields = {"step": 0, "images_per_second": 1.0, "learning_rate": 0.1, "seconds": 1.0, "seconds_left": 1.0}
    values = {"epochs": 2, "batches": 24, "test_accuracy": float("nan"), "epoch_ended": False, **fields, **more}
    return Progress(epoch=epoch, batch=batch, loss=loss, accuracy=accuracy, **values)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_decode_to_the_same_pixels(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    decoded = np.asarray(Image.open(io.BytesIO(png(pixels)))).reshape(pixels.shape)
    assert np.array_equal(decoded, pixels)


def test_the_recorder_undoes_running_means() -> None:
    recorder = Recorder()
    losses = np.linspace(2, 1, 24)
    for epoch in (1, 2):
        for batch in range(1, 25):
            mean = losses[:batch].mean()
            recorder(progress(epoch, batch, mean, mean / 4))
        recorder(progress(epoch, 24, 1.5, 0.5, epoch_ended=True, test_accuracy=0.25 * epoch))
    assert recorder.test_accuracy == [(1.0, 0.25), (2.0, 0.5)]
    pairs = losses.reshape(12, 2).mean(axis=1)  # 24 batches, 12 points
    assert np.allclose([y for _, y in recorder.loss], np.tile(pairs, 2))
    assert np.allclose([x for x, _ in recorder.loss], np.arange(1, 25) / 12)


def test_the_recorder_hands_on_and_returns() -> None:
    assert Recorder(lambda now: now.batch == 3)(progress(1, 3, 1, 1)) is True


@pytest.mark.parametrize(("span", "count", "step"), [(1, 5, 0.2), (10, 5, 2), (0.35, 5, 0.1), (7, 8, 1), (0, 5, 1)])
def test_ticks(span: float, count: int, step: float) -> None:
    assert nice_step(span, count) == pytest.approx(step)


def test_charts_place_points_where_they_belong() -> None:
    svg = line_chart("t", [Series("a", [(0, 0), (1, 1), (2, float("nan"))])], x_name="x", show=str, y_low=0, y_high=1)
    (x0, y0), (x1, y1) = (map(float, pair.split(",")) for pair in re.search(r'points="([^"]*)"', svg).group(1).split())
    assert x1 > x0 and y1 < y0 and "nan" not in svg
    assert "nothing to draw" in line_chart("t", [Series("a", [])], x_name="x", show=str)


def test_tables_hold_every_count() -> None:
    confusion = np.array([[9, 1], [4, 6]])
    page = confusion_matrix(["a & b", "c"], confusion)
    assert [int(n) for n in re.findall(r">(\d+)</td>", page)] == [9, 1, 4, 6] and "a &amp; b" in page
    bars = class_bars(["a", "c"], confusion)
    assert bars.index("90.0 %") < bars.index("60.0 %") and "taken for a: 40.0 %" in bars


class Outside(HTMLParser):
    """Collects addresses, and tags left open."""

    VOID = frozenset(("meta", "img", "br", "line", "polyline", "circle"))

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_a_page_is_whole_and_needs_nothing_from_outside(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder(progress(1, 24, 1.0, 0.5))
    recorder(progress(1, 24, 1.0, 0.5, epoch_ended=True, test_accuracy=0.75))
    image = np.zeros((4, 4, 1), np.uint8)
    report = TrainingReport(
        title="<script>alert(1)</script>",
        lead="A & B",
        headline=[("75 %", "accuracy")],
        curve=recorder,
        class_names=["a", "b"],
        confusion=np.array([[3, 1], [1, 3]]),
        first=[Sample(image, 0, 0, 0.9), Sample(image, 0, 1, 0.6)],
        worst=[Sample(image, 1, 0, 0.99)],
        costs=[("File", "1 KB", "as saved")],
        setting=machine(),
        transcript="x < y",
    )
    report.write(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    parser = Outside()
    parser.feed(page)
    assert parser.open == []
    assert parser.addresses and all(address.startswith("data:image/png;base64,") for address in parser.addresses)
    assert "<script" not in page and "url(" not in page and "@import" not in page and "http" not in page
    for words in ("A &amp; B", "x &lt; y", "is a", "Confusion matrix", "Accuracy by class", "75 %"):
        assert words in page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
