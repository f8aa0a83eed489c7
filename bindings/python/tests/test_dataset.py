"""Data sets from every source, and what is refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import stripes
from PIL import Image

import renga


def test_arrays_go_in_and_come_out() -> None:
    images, labels = stripes(9)
    data = renga.Dataset(images, labels)
    assert data.shape == (9, 8, 8, 3) and data.classes == 3 and len(data) == 9
    assert np.array_equal(data.images(), images.astype(np.float32)) and np.array_equal(data.labels(), labels)
    assert np.array_equal(data.images(2, 3), images[2:5]) and data.labels(7).tolist() == labels[7:].tolist()
    turned = renga.Dataset(images.transpose(0, 3, 1, 2), labels.astype(np.uint8), layout="nchw")
    assert np.array_equal(turned.images(), images)
    grey = renga.Dataset(images[..., 0], labels)
    assert grey.shape == (9, 8, 8, 1)
    values = np.linspace(-1, 1, 9 * 4, dtype=np.float32).reshape(9, 2, 2, 1)
    assert np.array_equal(renga.Dataset(values, labels).images(), values)


def test_slices_share_and_outlive(train_set: renga.Dataset) -> None:
    images, labels = stripes(30)
    data = renga.Dataset(images, labels, class_names=["a", "b", "c"])
    part = data[10:14]
    data.close()
    assert np.array_equal(part.images(), images[10:14]) and part.class_names == ["a", "b", "c"]
    with pytest.raises(ValueError, match="step 1"):
        part[::2]
    with pytest.raises(TypeError):
        part[0]
    with pytest.raises(ValueError):
        part.take(2, 9)


def test_bad_arrays_are_refused() -> None:
    images, labels = stripes(6)
    with pytest.raises(ValueError, match="labels has shape"):
        renga.Dataset(images, labels[:5])
    with pytest.raises(ValueError, match="labels has dtype"):
        renga.Dataset(images, labels.astype(np.float32))
    with pytest.raises(renga.RengaError):
        renga.Dataset(images, labels, classes=2)
    with pytest.raises(renga.RengaError):
        renga.Dataset(images, labels - 1, classes=3)
    with pytest.raises(ValueError, match="images has dtype int32"):
        renga.Dataset(images.astype(np.int32), labels)
    with pytest.raises(ValueError, match="2 class names for 3"):
        renga.Dataset(images, labels, classes=3, class_names=["a", "b"])
    with pytest.raises(ValueError, match="at least one image"):
        renga.Dataset(images[:0], labels[:0], classes=3)
    with pytest.raises(renga.NotFinite):
        renga.Dataset(np.full((1, 2, 2, 1), np.nan, np.float32), [0], classes=1)


def write_idx(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    prefix = "train" if part == "train" else "t10k"
    pixels = struct.pack(">IIII", 0x803, *images.shape) + images.tobytes()
    numbers = struct.pack(">II", 0x801, len(labels)) + labels.astype(np.uint8).tobytes()
    (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pixels))
    (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(numbers)


def test_an_idx_folder(tmp_path: Path) -> None:
    images, labels = stripes(12)
    write_idx(tmp_path, "train", images[..., 0], labels)
    write_idx(tmp_path, "test", images[:5, ..., 1], labels[:5])
    assert np.array_equal(renga.open_part(tmp_path, "train").images()[..., 0], images[..., 0])
    assert renga.open_part(tmp_path, "test").shape == (5, 8, 8, 1)
    pair = renga.Dataset.open_idx(tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte")
    assert pair.labels().tolist() == labels.tolist()
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\xff\xff\xff\xff")
    with pytest.raises(renga.CorruptData):
        renga.open_part(tmp_path, "train")


def test_an_npz(npz: Path, tmp_path: Path) -> None:
    data = renga.open_part(npz, "test")
    assert len(data) == 60 and data.class_names == ["red", "green", "blue"]
    np.savez(tmp_path / "half.npz", x_train=np.zeros((1, 2, 2, 1), np.uint8), y_train=np.zeros(1, int))
    with pytest.raises(renga.CorruptData, match=r"no x_test and no y_test; it holds: x_train, y_train"):
        renga.open_part(tmp_path / "half.npz", "test")
    (tmp_path / "no.npz").write_bytes(b"PK\3\4 not a zip")
    with pytest.raises(renga.CorruptData):
        renga.open_part(tmp_path / "no.npz", "train")


def write_images(folder: Path, per_class: int) -> None:
    images, labels = stripes(3 * per_class)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / "rgb"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "rgb"[label] / f"{i:03}.png")


def test_folders_of_images(tmp_path: Path) -> None:
    write_images(tmp_path / "flat", 5)
    train, test = (renga.open_part(tmp_path / "flat", part) for part in ("train", "test"))
    assert len(train) == 12 and len(test) == 3 and train.class_names == ["b", "g", "r"]
    assert train.images()[0].mean(axis=(0, 1)).argmax() == 2  # "b" comes first, and is bright in channel 2
    write_images(tmp_path / "split" / "train", 2)
    write_images(tmp_path / "split" / "val", 1)
    assert len(renga.open_part(tmp_path / "split", "train")) == 6
    grey = renga.open_part(tmp_path / "split", "test", size=(4, 6), channels=1)
    assert grey.shape == (3, 4, 6, 1)
    (tmp_path / "split" / "val" / "r" / "x.png").write_bytes(b"no image")
    with pytest.raises(renga.CorruptData, match=r"x\.png"):
        renga.open_part(tmp_path / "split", "test")


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="does not exist"):
        renga.open_part(tmp_path / "none", "train")
    with pytest.raises(renga.RengaError):
        renga.open_part(tmp_path, "train")
    with pytest.raises(OSError, match="no folder"):
        renga.open_part(__file__, "train")
    with pytest.raises(ValueError, match="part is 'all'"):
        renga.open_part(tmp_path, "all")


def test_fashion_mnist() -> None:
    data = renga.open_part("fashion-mnist", "test")
    assert data.shape == (10000, 28, 28, 1) and data.classes == 10
    assert data.class_names[int(data.labels(0, 1)[0])] == "Ankle boot"
    assert np.bincount(data.labels()).tolist() == [1000] * 10
