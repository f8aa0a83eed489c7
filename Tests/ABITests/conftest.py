"""Objects that the tests share: the library, one handle of each kind, small data."""

import ctypes
import math
import os
import pathlib
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
# A crash must end the run, not wait for a debugger on a pipe.
os.environ.setdefault("SWIFT_BACKTRACE", "enable=no")

import abi  # noqa: E402

CNN = b"stages=1,convolutions=1,width=4,classes=3,input=8x8x1"


def noise(count, seed=1):
    """`count` reproducible floats in [-1, 1)."""
    values, state = (ctypes.c_float * count)(), seed
    for index in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        values[index] = state / 2**31 - 1
    return values


def stripes(n, seed=1):
    """u8 images [n,8,8,1] with a bright third, and labels that say which: something to learn."""
    pixels, labels, state = (ctypes.c_uint8 * (n * 64))(), (ctypes.c_int32 * n)(), seed
    for i in range(n):
        labels[i] = i % 3
        for p in range(64):
            state = (state * 1664525 + 1013904223) % 2**32
            column = p % 8
            pixels[i * 64 + p] = (state >> 25) + (100 if column // 3 == labels[i] else 0)
    return pixels, labels


@pytest.fixture(scope="session")
def renga():
    return abi.Renga()


@pytest.fixture
def network(renga):
    handle = renga.made("network_create", b"cnn", CNN, 1)
    yield handle
    renga.network_free(handle)


@pytest.fixture
def dataset(renga):
    pixels, labels = stripes(48)
    images = abi.source(pixels, 48, 8, 8, 1)
    handle = renga.made("dataset_create", ctypes.byref(images), labels, 3)
    yield handle
    renga.dataset_free(handle)


@pytest.fixture
def world(renga, network, dataset, tmp_path, monkeypatch):
    """One object of every kind, and files of theirs; relative paths lead into the test's own folder."""
    monkeypatch.chdir(tmp_path)
    builder = renga.made("builder_create")
    value = ctypes.c_int32()
    renga.builder_add_input(builder, b"image", 8, 8, 1, ctypes.byref(value))
    session = renga.session(network, batch=2, threads=1)
    trainer = renga.made("trainer_create", network, b"batch=12,epochs=1", 1)
    saved, checkpoint = tmp_path / "saved.renga", tmp_path / "checkpoint.renga"
    renga.network_save(network, str(saved).encode())
    renga.trainer_save(trainer, str(checkpoint).encode())
    yield types.SimpleNamespace(
        renga=renga, network=network, dataset=dataset, builder=builder, session=session, trainer=trainer,
        folder=tmp_path, saved=saved, checkpoint=checkpoint, file=saved.read_bytes())
    renga.trainer_free(trainer)
    renga.session_free(session)
    renga.builder_free(builder)


def close(a, b, tolerance=1e-5):
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=tolerance, abs_tol=tolerance) for x, y in zip(a, b))
