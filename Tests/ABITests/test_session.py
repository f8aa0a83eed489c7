"""Sessions from outside: elements and layouts, batches, threads, NaN, profile, and refused runs that write nothing."""

import ctypes
import json
import math
import threading

import pytest

import abi
from abi import Failure
from conftest import close, noise

RESNET = b"depth=8,classes=10,input=16x16x3"


@pytest.fixture
def resnet(renga):
    handle = renga.made("network_create", b"resnet", RESNET, 2)
    yield handle
    renga.network_free(handle)


def run(renga, session, images, n, layout=0, out_layout=0, count=None):
    scores = (ctypes.c_float * (n * 10 if count is None else count))()
    renga.session_run(session, ctypes.byref(abi.source(images, n, 16, 16, 3, layout)), scores, len(scores), out_layout)
    return bytes(scores)


def test_same_bits_for_any_thread_count_and_any_batch(renga, resnet):
    images = noise(4 * 768)
    answers = set()
    for threads in (1, 2, 3):
        session = renga.session(resnet, batch=4, threads=threads)
        answers.add(run(renga, session, images, 4))
        one_by_one = b"".join(
            run(renga, session, (ctypes.c_float * 768)(*images[i * 768:(i + 1) * 768]), 1) for i in range(4))
        answers.add(one_by_one)
        answers.add(run(renga, session, images, 4))
        renga.session_free(session)
    assert len(answers) == 1


def test_layouts_and_bytes_mean_the_same(renga, resnet):
    pixels = (ctypes.c_uint8 * 768)(*[(i * 37) % 256 for i in range(768)])
    as_floats = (ctypes.c_float * 768)(*pixels)
    planes = (ctypes.c_uint8 * 768)(*[pixels[(i % 256) * 3 + i // 256] for i in range(768)])
    session = renga.session(resnet, threads=1)
    expected = run(renga, session, as_floats, 1)
    assert run(renga, session, pixels, 1) == expected
    assert run(renga, session, planes, 1, layout=abi.NCHW) == expected
    renga.session_free(session)


def strided(renga, buffer, at, strides, shape, block=None):
    """A source of f32 or u8 elements `strides` bytes apart, the first one at byte `at` of `buffer`; `block`: as many bytes are its memory."""
    view = abi.Strided()
    renga.strided_init(ctypes.byref(view), ctypes.sizeof(view))
    view.data = ctypes.addressof(buffer) + at
    view.n, view.h, view.w, view.c = strides
    if block is not None:
        view.begin, view.bytes = ctypes.addressof(buffer), block
    source = abi.source(buffer, *shape)
    source.data, source.layout = ctypes.addressof(view), abi.STRIDED
    source.view = view
    return source


def run_strided(renga, session, *what, **block):
    scores = (ctypes.c_float * 10)()
    renga.session_run(session, ctypes.byref(strided(renga, *what, **block)), scores, 10, abi.NHWC)
    return bytes(scores)


def test_images_that_are_not_dense(renga, resnet):
    """A window of a larger image, rows and columns from behind, channels in planes and from behind, one row for all, floats at odd addresses."""
    session = renga.session(resnet, threads=1)
    shape, h, w = (1, 16, 16, 3), 20, 24
    large = (ctypes.c_uint8 * (h * w * 3))(*[(i * 37) % 256 for i in range(h * w * 3)])

    def dense(at, row, column, channel):
        return (ctypes.c_uint8 * 768)(*[large[at + y * row + x * column + c * channel]
                                        for y in range(16) for x in range(16) for c in range(3)])

    for at, row, column, channel in (
            (2 * w * 3 + 9, w * 3, 3, 1), (19 * w * 3, -w * 3, 3, 1), (17 * w * 3 + 66, -w * 3, -3, 1),
            (0, w, 1, h * w), (2 * h * w, w, 1, -h * w), (30, 0, 3, 1), (7, 0, 0, 0), (11, 71, 4, 5)):
        expected = run(renga, session, dense(at, row, column, channel), 1)
        strides = (-2**62, row, column, channel)  # what one image says of the next does not matter
        assert run_strided(renga, session, large, at, strides, shape, block=len(large)) == expected
    odd = (ctypes.c_uint8 * (768 * 4 + 3))()
    values = noise(768)
    ctypes.memmove(ctypes.addressof(odd) + 3, values, 768 * 4)
    source = strided(renga, odd, 3, (0, 16 * 3 * 4, 12, 4), shape)
    source.element = abi.F32
    scores = (ctypes.c_float * 10)()
    renga.session_run(session, ctypes.byref(source), scores, 10, abi.NHWC)
    assert bytes(scores) == run(renga, session, values, 1)
    renga.session_free(session)


def test_strides_that_leave_their_memory_are_refused(renga, resnet):
    session = renga.session(resnet, threads=1)
    buffer, shape, row = (ctypes.c_uint8 * 768)(), (1, 16, 16, 3), 48
    assert run_strided(renga, session, buffer, 0, (0, row, 3, 1), shape, block=768)
    for at, strides, block in (
            (1, (0, row, 3, 1), 768), (0, (0, row, 3, 1), 767), (0, (0, -row, 3, 1), 768), (767, (0, -row, -3, -2), 768),
            (0, (0, row, 3, 1), 0), (0, (0, 2**40, 3, 1), 768), (0, (0, 2**62, 2**62, 1), None),
            (0, (0, -2**63, 3, 1), None), (0, (0, 2**57, 0, 0), None), (0, (0, -2**55, 0, 0), None)):
        with pytest.raises(Failure) as refused:
            run_strided(renga, session, buffer, at, strides, shape, block=block)
        assert refused.value.status == abi.ERROR_INVALID_ARGUMENT, (at, strides, block)
    source = strided(renga, buffer, 0, (0, row, 3, 1), shape)
    source.view.data = None
    scores = (ctypes.c_float * 10)()
    assert renga.status("session_run", session, ctypes.byref(source), scores, 10, 0) == abi.ERROR_NULL_POINTER
    source.view.data, source.view.size = ctypes.addressof(buffer), 3
    assert renga.status("session_run", session, ctypes.byref(source), scores, 10, 0) == abi.ERROR_INVALID_ARGUMENT
    dense = abi.source(buffer, 1, 16, 16, 3)
    assert renga.status("session_run", session, ctypes.byref(dense), scores, 10, abi.STRIDED) == abi.ERROR_INVALID_ARGUMENT
    renga.session_free(session)


def test_normalisation_by_numbers(renga, resnet):
    mean, scale = (ctypes.c_float * 3)(1, 2.5, 128), (ctypes.c_float * 3)(0.5, 0.25, 1 / 3)
    renga.network_set_normalization(resnet, mean, scale, 3)
    assert json.loads(renga.text("network_get_metadata", resnet, b"renga.normalization"))["mean"] == [1, 2.5, 128]
    for channels in (0, 2, 4, 2**64 - 1):
        assert renga.status("network_set_normalization", resnet, mean, scale, channels) == abi.ERROR_SHAPE_MISMATCH
    mean[1] = math.nan
    assert renga.status("network_set_normalization", resnet, mean, scale, 3) == abi.ERROR_NOT_FINITE
    renga.network_set_normalization(resnet, None, None, 0)
    assert renga.text("network_get_metadata", resnet, b"renga.normalization") is None


def test_normalisation_touches_bytes_only(renga, resnet):
    pixels = (ctypes.c_uint8 * 768)(*[(i * 37) % 256 for i in range(768)])
    normalised = (ctypes.c_float * 768)(*[(p - 128) * 0.015625 for p in pixels])
    plain = renga.session(resnet, threads=1)
    expected = run(renga, plain, normalised, 1)
    renga.network_set_metadata(resnet, b"renga.normalization", b'{"mean":[128,128,128],"scale":[0.015625,0.015625,0.015625]}')
    session = renga.session(resnet, threads=1)
    assert run(renga, session, pixels, 1) == expected
    assert run(renga, session, normalised, 1) == expected
    for wrong in (b"{}", b"nonsense", b'{"mean":[1],"scale":[1]}', b'{"mean":[1,2,1e999],"scale":[1,1,1]}'):
        renga.network_set_metadata(resnet, b"renga.normalization", wrong)
        with pytest.raises(Failure):
            renga.session(resnet, threads=1)
    renga.session_free(plain)
    renga.session_free(session)


def test_nan_in_gives_nan_out_and_ok(renga, resnet):
    images = noise(768)
    images[100] = math.nan
    session = renga.session(resnet, threads=1)
    scores = (ctypes.c_float * 10)()
    renga.session_run(session, ctypes.byref(abi.source(images, 1, 16, 16, 3)), scores, 10, 0)
    assert all(math.isnan(score) for score in scores)
    clean = run(renga, session, noise(768), 1)
    fresh = renga.session(resnet, threads=1)
    assert clean == run(renga, fresh, noise(768), 1), "a NaN of an earlier run lives on"
    renga.session_free(session)
    renga.session_free(fresh)


def test_refused_runs_write_nothing(renga, resnet):
    session = renga.session(resnet, batch=2, threads=1)
    images = noise(3 * 768)
    scores = (ctypes.c_float * 30)(*[7] * 30)
    for source, room in ((abi.source(images, 3, 16, 16, 3), 30), (abi.source(images, 1, 16, 16, 3), 9),
                         (abi.source(images, 1, 16, 48, 1), 30), (abi.source(images, 1, 48, 16, 1), 30), (abi.source(images, 2, 16, 16, 3), 19)):
        status = renga.status("session_run", session, ctypes.byref(source), scores, room, 0)
        assert status in (abi.ERROR_SHAPE_MISMATCH, abi.ERROR_INVALID_ARGUMENT)
    assert list(scores) == [7] * 30
    assert run(renga, session, images, 2, count=30)[80:] == bytes(40), "more is written than n images need"
    renga.session_free(session)


def test_run_many_with_two_inputs_and_outputs(renga):
    builder, a, b, total = renga.made("builder_create"), ctypes.c_int32(), ctypes.c_int32(), ctypes.c_int32()
    renga.builder_add_input(builder, b"a", 2, 2, 1, ctypes.byref(a))
    renga.builder_add_input(builder, b"b", 2, 2, 1, ctypes.byref(b))
    renga.builder_add_layer(builder, b"add", None, b"sum", (ctypes.c_int32 * 2)(a.value, b.value), 2, ctypes.byref(total))
    rectified = ctypes.c_int32()
    renga.builder_add_layer(builder, b"relu", None, None, ctypes.byref(total), 1, ctypes.byref(rectified))
    network = renga.made("builder_finish", builder, (ctypes.c_int32 * 2)(total.value, rectified.value), 2, None, 1)
    session = renga.session(network, threads=1)
    left, right = (ctypes.c_float * 4)(1, 2, 3, 4), (ctypes.c_float * 4)(-5, 1, -5, 1)
    sources = (abi.Source * 2)(abi.source(left, 1, 2, 2, 1), abi.source(right, 1, 2, 2, 1))
    first, second = (ctypes.c_float * 4)(), (ctypes.c_float * 4)()
    pointers = (ctypes.c_void_p * 2)(ctypes.addressof(first), ctypes.addressof(second))
    counts = (ctypes.c_size_t * 2)(4, 4)
    renga.session_run_many(session, sources, 2, pointers, counts, 2, 0)
    assert list(first) == [-4, 3, -2, 5] and list(second) == [0, 3, 0, 5]
    # One source or one output too few, and a run that is for networks with one of each.
    assert renga.status("session_run_many", session, sources, 1, pointers, counts, 2, 0) == abi.ERROR_INVALID_ARGUMENT
    assert renga.status("session_run_many", session, sources, 2, pointers, counts, 1, 0) == abi.ERROR_INVALID_ARGUMENT
    assert renga.status("session_run", session, sources, first, 4, 0) == abi.ERROR_INVALID_ARGUMENT
    pointers[1] = None
    assert renga.status("session_run_many", session, sources, 2, pointers, counts, 2, 0) == abi.ERROR_NULL_POINTER
    for free, handle in ((renga.session_free, session), (renga.network_free, network), (renga.builder_free, builder)):
        free(handle)


@pytest.mark.parametrize("fields,status", [
    ({"batch": 0}, abi.ERROR_INVALID_ARGUMENT), ({"batch": -1}, abi.ERROR_INVALID_ARGUMENT),
    ({"threads": -1}, abi.ERROR_INVALID_ARGUMENT), ({"threads": 257}, abi.ERROR_INVALID_ARGUMENT),
    ({"height": -1}, abi.ERROR_INVALID_ARGUMENT), ({"width": 2**31}, abi.ERROR_INVALID_ARGUMENT),
    ({"precision": 2}, abi.ERROR_INVALID_ARGUMENT), ({"precision": -1}, abi.ERROR_INVALID_ARGUMENT),
    ({"fold_batch_norm": 2}, abi.ERROR_INVALID_ARGUMENT), ({"algorithm": b"magic"}, abi.ERROR_NOT_FOUND),
    ({"algorithm": b"no such layer=direct"}, abi.ERROR_NOT_FOUND), ({"tune": 2}, abi.ERROR_INVALID_ARGUMENT),
    ({"linear_weights": 2}, abi.ERROR_INVALID_ARGUMENT), ({"linear_weights": -1}, abi.ERROR_INVALID_ARGUMENT),
])
def test_options_out_of_bounds(renga, resnet, fields, status):
    with pytest.raises(Failure, match=next(iter(fields))) as failure:
        renga.session(resnet, **fields)
    assert failure.value.status == status


def test_a_batch_beyond_memory_is_refused(renga, resnet):
    with pytest.raises(Failure) as failure:
        renga.session(resnet, batch=2**30, threads=1)
    assert failure.value.status in (abi.ERROR_OUT_OF_MEMORY, abi.ERROR_INVALID_ARGUMENT)


def test_algorithms_agree(renga, resnet):
    images, answers = noise(768), {}
    for algorithm in (None, b"reference", b"direct", b"tuned"):
        options = {"tune": 1} if algorithm == b"tuned" else {"algorithm": algorithm}
        session = renga.session(resnet, threads=1, **options)
        scores = (ctypes.c_float * 10)()
        renga.session_run(session, ctypes.byref(abi.source(images, 1, 16, 16, 3)), scores, 10, 0)
        answers[algorithm] = list(scores)
        renga.session_free(session)
    assert close(answers[None], answers[b"reference"], 1e-3) and close(answers[b"direct"], answers[b"reference"], 1e-3)


def test_bf16_is_near_f32_in_half_the_memory_and_the_same_bits_for_any_threads(renga, resnet):
    images, answers, memories = noise(4 * 768), {}, {}
    assert abi.PRECISION_F32 == 0 and abi.PRECISION_BF16 == 1
    for precision in (abi.PRECISION_F32, abi.PRECISION_BF16):
        found = set()
        for threads in (1, 2, 3):
            session = renga.session(resnet, batch=4, threads=threads, precision=precision)
            found.add(run(renga, session, images, 4))
            memory = abi.Memory()
            renga.memory_init(ctypes.byref(memory), ctypes.sizeof(memory))
            renga.session_memory(session, ctypes.byref(memory))
            memories[precision] = memory.activations
            assert json.loads(renga.text("session_profile", session, 1))["precision"] == ("f32", "bf16")[precision]
            renga.session_free(session)
        assert len(found) == 1, "thread counts differ"
        answers[precision] = list((ctypes.c_float * 40).from_buffer_copy(found.pop()))
    half, whole = answers[abi.PRECISION_BF16], answers[abi.PRECISION_F32]
    assert half != whole
    scale = math.sqrt(sum(value * value for value in whole))
    assert math.sqrt(sum((a - b) ** 2 for a, b in zip(half, whole))) < 2.5e-2 * scale
    assert memories[abi.PRECISION_BF16] < 0.6 * memories[abi.PRECISION_F32]


def test_weights_of_linear_layers_in_bf16(renga):
    network = renga.made("network_create", b"resnet", b"depth=8,classes=100,input=16x16x3", 2)
    images, answers, memories = noise(768), [], []
    for weights in (abi.PRECISION_F32, abi.PRECISION_BF16):
        session = renga.session(network, threads=1, linear_weights=weights)
        answers.append(list((ctypes.c_float * 100).from_buffer_copy(run(renga, session, images, 1, count=100))))
        memory = abi.Memory()
        renga.memory_init(ctypes.byref(memory), ctypes.sizeof(memory))
        renga.session_memory(session, ctypes.byref(memory))
        memories.append(memory.weights)
        renga.session_free(session)
    renga.network_free(network)
    assert answers[0] != answers[1] and close(answers[1], answers[0], 2.5e-2 * max(map(abs, answers[0])))
    assert memories[1] < memories[0]


def test_another_image_size(renga, resnet):
    session = renga.session(resnet, threads=1, height=24, width=20)
    shape = abi.Shape()
    renga.session_input_shape(session, 0, ctypes.byref(shape))
    assert shape.extents() == (1, 24, 20, 3)
    assert renga.status("session_input_shape", session, 1, ctypes.byref(shape)) == abi.ERROR_INVALID_ARGUMENT
    renga.session_output_shape(session, 0, ctypes.byref(shape))
    assert shape.extents() == (1, 1, 1, 10)
    renga.session_free(session)


def test_a_session_outlives_its_network(renga):
    network = renga.made("network_create", b"resnet", RESNET, 2)
    session = renga.session(network, threads=1)
    before = run(renga, session, noise(768), 1)
    renga.network_free(network)
    assert run(renga, session, noise(768), 1) == before
    renga.session_free(session)


def test_profile_and_memory(renga, resnet):
    session = renga.session(resnet, batch=2, threads=1)
    profile = json.loads(renga.text("session_profile", session, 2))
    assert profile["ms"] > 0 and any(step["algorithm"] for step in profile["steps"])
    assert {"name", "operator", "algorithm", "ms", "macs", "gflops", "bytes", "gbytes_per_s"} == set(profile["steps"][0])
    memory = abi.Memory()
    renga.memory_init(ctypes.byref(memory), ctypes.sizeof(memory))
    renga.session_memory(session, ctypes.byref(memory))
    assert memory.weights > 0 and memory.activations >= memory.activations_lower_bound > 0
    renga.session_free(session)


@pytest.mark.parametrize("shared", [True, False])
def test_four_threads_at_once(renga, resnet, shared):
    """On one session calls run one after another; on own sessions at the same time: the same bits, and each thread its own message."""
    sessions = [renga.session(resnet, threads=2) for _ in range(1 if shared else 4)]
    images = [noise(768, seed) for seed in range(4)]
    expected = [run(renga, sessions[0], image, 1) for image in images]
    failures = []

    def work(index):
        session = sessions[0 if shared else index]
        for turn in range(25):
            if run(renga, session, images[index], 1) != expected[index]:
                failures.append(f"thread {index} got other bits")
            name = f"thread{index}turn{turn}".encode()
            renga.status("network_create", name, None, 1, ctypes.byref(ctypes.c_void_p()))
            if name.decode() not in renga.message():
                failures.append(f"thread {index} reads another's message")

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for session in sessions:
        renga.session_free(session)
