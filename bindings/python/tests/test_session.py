"""Sessions: arrays in and out, which are copied, which are refused."""

from __future__ import annotations

import gc
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from conftest import TINY, stripes

import renga
from renga import _arrays
from renga import session as session_module


@pytest.fixture()
def session(network: renga.Network) -> renga.Session:
    return renga.Session(network, batch=4)


@pytest.fixture()
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((6, 8, 8, 3), dtype=np.float32)


def test_answers_do_not_depend_on_batch_threads_or_company(network: renga.Network, x: np.ndarray) -> None:
    session = renga.Session(network, batch=6, threads=1)
    wanted = session.run(x)
    assert wanted.shape == (6, 3) and wanted.dtype == np.float32 and wanted.flags.owndata
    assert np.array_equal(session.run(x[3:4])[0], wanted[3])
    assert np.array_equal(renga.Session(network, batch=6, threads=2).run(x), wanted)
    # Another batch size may choose another algorithm; the same one gives the same bits.
    wanted = renga.Session(network, batch=6, threads=1, algorithm="winograd-f4").run(x)
    for batch, threads in ((1, 1), (4, 2), (8, 2)):
        answers = renga.Session(network, batch=batch, threads=threads, algorithm="winograd-f4").run(x)
        assert np.array_equal(answers, wanted)


def test_a_session_straight_from_its_file(network: renga.Network, x: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    network.save(path)
    for options in ({"batch": 4, "threads": 2}, {"precision": "bf16"}, {"fold_batch_norm": False, "size": (8, 8)}):
        session, wanted = renga.Session.load(path, **options), renga.Session(network, **options)
        assert (session.batch, session.precision) == (wanted.batch, wanted.precision)
        assert (session.input_shapes, session.output_shapes) == ([(8, 8, 3)], [(1, 1, 3)])
        assert np.array_equal(session.run(x), wanted.run(x))
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(renga.CorruptData, match="checksum"):
        renga.Session.load(path)
    with pytest.raises(renga.FileError):
        renga.Session.load(tmp_path / "nothing")


def test_nchw_is_the_same_images(session: renga.Session, x: np.ndarray) -> None:
    turned = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    assert np.array_equal(session.run(turned, layout="nchw"), session.run(x))


def sources_seen(session: renga.Session, x: object) -> list[int]:
    """Addresses that the library is given for `x`."""
    seen: list[int] = []
    real = session_module.call

    def spy(name: str, *arguments: object) -> None:
        if name == "renga_session_run":
            seen.append(arguments[1]._obj.data)
        real(name, *arguments)

    with mock.patch.object(session_module, "call", spy):
        session.run(x)
    return seen


def test_contiguous_f32_and_u8_are_read_in_place(session: renga.Session, x: np.ndarray) -> None:
    images = (np.abs(x) * 50).astype(np.uint8)
    for array in (x, images, x[1:5], memoryview(x)):
        address = np.asarray(array).ctypes.data
        step = 4 * 8 * 8 * 3 * np.asarray(array).itemsize
        assert sources_seen(session, array) == [address + i * step for i in range((len(array) + 3) // 4)]


class Foreign:
    """Memory of another library: an array behind DLPack alone."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.exports = array, 0

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **how: object) -> object:
        self.exports += 1
        return self.array.__dlpack__(**how)


class Elsewhere(Foreign):
    """The same on a graphics card."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


class Described:
    """Memory behind NumPy's array interface alone."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__


def test_any_strides_are_read_in_place(session: renga.Session, x: np.ndarray) -> None:
    large = np.random.default_rng(3).integers(0, 256, (7, 12, 11, 5), dtype=np.uint8)
    planes = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    views = [
        large[1:, 2:10, 1:9, 1:4],
        large[::-1, 9:1:-1, 9:1:-1, 4:1:-1][:6],
        np.broadcast_to(large[0, 2:10, 1:9, 1:4], (6, 8, 8, 3)),
        np.broadcast_to(np.float32(0.25), (6, 8, 8, 3)),
        large.transpose(0, 2, 1, 3)[1:, 1:9, 2:10, :3],
        x[:, ::-1, :, ::-1],
        planes.transpose(0, 2, 3, 1),
        np.repeat(x, 2, axis=1)[:, ::2],
    ]
    with mock.patch.object(np, "ascontiguousarray", side_effect=AssertionError("a copy")):
        found = [session.run(view) for view in views]
        turned = session.run(views[0].transpose(0, 3, 1, 2), layout="nchw")
    for view, answer in zip(views, found, strict=True):
        assert np.array_equal(answer, session.run(np.array(view)))
    assert np.array_equal(turned, found[0])


def test_what_speaks_dlpack_is_read_in_place_and_let_go(session: renga.Session, x: np.ndarray) -> None:
    pixels = (np.abs(x) * 50).astype(np.uint8)
    for array in (x, pixels, x[:, ::-1], pixels.transpose(0, 2, 1, 3)):
        wanted = session.run(array)
        for kind in (Foreign, Described):
            foreign = kind(array)
            gc.collect()
            before = sys.getrefcount(array)
            assert np.array_equal(session.run(foreign), wanted)
            gc.collect()
            assert sys.getrefcount(array) == before
            held = weakref.ref(foreign)
            del foreign
            assert held() is None
    foreign = Foreign(x)
    assert sources_seen(session, foreign)[0] == x.ctypes.data and foreign.exports == 1
    with pytest.raises(renga.InvalidArgument, match="x lies on a device"):
        session.run(Elsewhere(x))
    with pytest.raises(renga.InvalidArgument, match="x has dtype int64"):
        session.run(Foreign(np.ones(x.shape, np.int64)))


def test_answers_go_on_by_dlpack_and_outlive_their_session(network: renga.Network, x: np.ndarray) -> None:
    session = renga.Session(network, batch=4)
    answer = session.run(x)
    wanted = answer.copy()
    assert answer.__dlpack_device__() == (1, 0) and answer.__array_interface__["data"][0] == answer.ctypes.data
    taken = np.from_dlpack(answer)
    assert np.shares_memory(taken, answer)
    session.close()
    del session, answer
    gc.collect()
    assert np.array_equal(taken, wanted)


def test_sets_and_trainers_take_foreign_memory_of_any_strides(network: renga.Network) -> None:
    pixels, labels = stripes(12)
    wide = np.zeros((12, 10, 9, 3), np.uint8)
    wide[:, 9:1:-1, 1:] = pixels
    view = wide[:, 9:1:-1, 1:]
    made = renga.Dataset(Foreign(view), Foreign(labels), classes=3)
    assert np.array_equal(made.images(), pixels) and np.array_equal(made.labels(), labels)
    losses = [
        renga.Trainer(network, "fast", batch=12, seed=3).step(images, numbers)
        for images, numbers in ((pixels, labels), (Foreign(view), Foreign(labels)))
    ]
    assert losses[0] == losses[1]


def test_other_floats_and_strides_are_converted_once(session: renga.Session, x: np.ndarray) -> None:
    wanted = session.run(x)
    swapped = x.astype(x.dtype.newbyteorder())
    unaligned = np.frombuffer(b"x" + x.tobytes(), dtype=np.uint8)[1:].view(np.float32).reshape(x.shape)
    for other in (
        x.astype(np.float64),
        x.tolist(),
        np.asfortranarray(x),
        np.repeat(x, 2, axis=1)[:, ::2],
        swapped,
        unaligned,
    ):
        assert np.array_equal(session.run(other), wanted)
    assert np.allclose(session.run(x.astype(np.float16)), wanted, atol=1e-2)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint16, bool, complex, object, "U1"])
def test_ambiguous_types_are_refused(session: renga.Session, x: np.ndarray, dtype: object) -> None:
    with pytest.raises(ValueError, match=r"x has dtype .*uint8 for pixels.*float32"):
        session.run(np.ones(x.shape).astype(dtype))


def test_wrong_shapes_are_refused_with_both_shapes(session: renga.Session, x: np.ndarray) -> None:
    with pytest.raises(renga.ShapeMismatch, match=r"\[6,8,7,3\].*\[N,H,W,C\] = \[N,8,8,3\]"):
        session.run(x[:, :, :7])
    with pytest.raises(ValueError, match=r"\[N,C,H,W\] = \[N,3,8,8\]"):
        session.run(x, layout="nchw")
    with pytest.raises(ValueError, match=r"x\[None\]"):
        session.run(x[0])
    with pytest.raises(ValueError, match="layout is 'chwn'"):
        session.run(x, layout="chwn")


def test_out_is_written_in_place(session: renga.Session, x: np.ndarray) -> None:
    out = np.full((6, 3), np.nan, dtype=np.float32)
    assert session.run(x, out=out) is out
    assert np.array_equal(out, session.run(x))
    readonly = out.copy()
    readonly.flags.writeable = False
    for wrong in (out.astype(np.float64), np.zeros((3, 6), np.float32).T, readonly, [0.0] * 18):
        with pytest.raises(ValueError, match="out must be"):
            session.run(x, out=wrong)
    with pytest.raises(ValueError, match=r"out has shape \[5,3\]; expected \[6,3\]"):
        session.run(x, out=out[:5])
    with pytest.raises(ValueError, match="overlaps"):
        session.run(x, out=x.reshape(-1)[:18].reshape(6, 3))


def test_no_images_give_no_answers(session: renga.Session, x: np.ndarray) -> None:
    assert session.run(x[:0]).shape == (0, 3)


def test_u8_follows_the_networks_normalisation(network: renga.Network) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    plain = renga.Session(network, batch=2).run(pixels)
    assert np.array_equal(plain, renga.Session(network, batch=2).run(pixels.astype(np.float32)))
    assert network.normalization is None
    network.normalization = (np.float64([100, 110, 120]), [0.01, 0.02, 0.04])
    assert network.normalization == ([100, 110, 120], [0.01, 0.02, 0.04])
    with pytest.raises(renga.ShapeMismatch):
        network.normalization = ([1], [1])
    with pytest.raises(renga.ShapeMismatch):
        network.normalization = ([1, 2, 3], [1])
    values = (pixels.astype(np.float32) - np.float32([100, 110, 120])) * np.float32([0.01, 0.02, 0.04])
    session = renga.Session(network, batch=2)
    assert np.allclose(session.run(pixels), session.run(values), rtol=1e-4, atol=1e-4)
    assert not np.allclose(session.run(pixels), plain)
    mirrored = pixels[:, ::-1]
    assert np.array_equal(session.run(mirrored.transpose(0, 3, 1, 2), layout="nchw"), session.run(mirrored))
    network.normalization = None
    assert network.normalization is None


def test_maps_and_several_inputs_and_outputs() -> None:
    builder = renga.Builder()
    a, b = builder.input(5, 5, 2, name="a"), builder.input(5, 5, 2, name="b")
    total = builder.add("add", a, b)
    network = builder.finish([total, builder.add("relu", total)])
    random = np.random.default_rng(2)
    p, q = (random.standard_normal((3, 5, 5, 2), dtype=np.float32) for _ in range(2))
    session = renga.Session(network, batch=2)
    added, positive = session.run([p, q])
    assert np.array_equal(added, p + q) and np.array_equal(positive, np.maximum(p + q, 0))
    turned = session.run([p.transpose(0, 3, 1, 2), q.transpose(0, 3, 1, 2)], layout="nchw")
    assert np.array_equal(turned[0], (p + q).transpose(0, 3, 1, 2))
    outs = [np.empty_like(p), np.empty_like(p)]
    session.run([p, q], out=outs)
    assert np.array_equal(outs[1], positive)
    with pytest.raises(ValueError, match="1 arrays; the network has 2 inputs"):
        session.run([p])
    with pytest.raises(ValueError, match="same number"):
        session.run([p, q[:2]])


def test_image_size_is_an_option(network: renga.Network) -> None:
    session = renga.Session(network, batch=1, size=(12, 16))
    assert session.input_shapes == [(12, 16, 3)]
    assert session.run(np.zeros((1, 12, 16, 3), np.float32)).shape == (1, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 0},
        {"batch": 2**40},
        {"threads": -1},
        {"threads": 2**33},
        {"size": (0, 8)},
        {"batch": 1.5},
        {"algorithm": "magic"},
        {"precision": "f16"},
        {"precision": 1},
        {"linear_weights": "f16"},
        {"linear_weights": None},
    ],
)
def test_bad_options_are_refused(network: renga.Network, options: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        renga.Session(network, **options)


def test_bf16_is_near_f32_in_half_the_memory(network: renga.Network, x: np.ndarray) -> None:
    whole, half = (renga.Session(network, batch=6, precision=precision) for precision in ("f32", "bf16"))
    assert (whole.precision, half.precision) == ("f32", "bf16")
    wanted, found = whole.run(x), half.run(x)
    assert found.dtype == np.float32 and not np.array_equal(found, wanted)
    assert np.linalg.norm(found - wanted) < 2.5e-2 * np.linalg.norm(wanted)
    assert half.memory.activations < 0.6 * whole.memory.activations
    assert half.profile(1)["precision"] == "bf16"
    assert np.array_equal(found, renga.Session(network, batch=2, threads=1, precision="bf16").run(x))


def test_weights_of_linear_layers_in_bf16_halve(x: np.ndarray) -> None:
    network = renga.Network.create("resnet", seed=1, **(TINY | {"classes": 100}))
    whole, half = (renga.Session(network, batch=6, linear_weights=weights) for weights in ("f32", "bf16"))
    wanted, found = whole.run(x), half.run(x)
    assert not np.array_equal(found, wanted)
    assert np.linalg.norm(found - wanted) < 2.5e-2 * np.linalg.norm(wanted)
    assert half.memory.weights < whole.memory.weights
    assert renga.session_memory(network, batch=6, linear_weights="bf16").weights == half.memory.weights
    assert "stream-bf16" in {step["algorithm"] for step in half.profile(1)["steps"]}
    assert np.array_equal(found, renga.Session(network, batch=6, threads=1, linear_weights="bf16").run(x))


def test_memory_and_profile(session: renga.Session) -> None:
    memory = session.memory
    assert memory.activations >= memory.activations_lower_bound > 0
    assert memory.total == memory.weights + memory.activations + memory.scratch
    profile = session.profile(3)
    assert profile["steps"] and {"name", "operator", "algorithm", "ms"} <= set(profile["steps"][0])


def test_a_shared_session_serves_many_threads(network: renga.Network, x: np.ndarray) -> None:
    session = renga.Session(network, batch=2, threads=2)
    wanted = session.run(x)
    with ThreadPoolExecutor(4) as pool:
        for answers in pool.map(session.run, [x] * 32):
            assert np.array_equal(answers, wanted)


def test_labels_rule() -> None:
    assert _arrays.as_labels(np.array([[1], [2]], dtype=np.uint8), 2).tolist() == [1, 2]
    for wrong, word in (([1.0, 2.0], "dtype"), ([1, 2, 3], "shape"), ([1, 2**40], "32 bits")):
        with pytest.raises(ValueError, match=word):
            _arrays.as_labels(np.array(wrong), 2)
