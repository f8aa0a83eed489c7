"""Training from outside: callbacks that cancel, fail or call back; checkpoints, kill -9 and resume to the same bits; any thread count."""

import ctypes
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

import abi
from abi import Failure
from conftest import CNN, noise, stripes

RECIPE = b"epochs=3,batch=12,learning_rate=0.05,flip=yes,pad=1,seed=5"


@pytest.fixture
def trainer(renga, network):
    handle = renga.made("trainer_create", network, RECIPE, 1)
    yield handle
    renga.trainer_free(handle)


def fit(renga, trainer, train, test=None, checkpoint=None, callback=None):
    progress = abi.ProgressFn(callback) if callback else abi.ProgressFn()
    renga.trainer_fit(trainer, train, test, checkpoint, progress, None)


def trained(renga, trainer):
    network = renga.made("trainer_network", trainer)
    weights = renga.weights(network)
    renga.network_free(network)
    return weights


def test_it_learns_and_reports(renga, network, dataset):
    trainer = renga.made("trainer_create", network, b"epochs=12,batch=12,learning_rate=0.1,seed=5", 1)
    seen = []

    def callback(progress, _):
        now = progress.contents
        assert now.size >= ctypes.sizeof(abi.Progress)
        seen.append((now.epoch, now.batch, now.step, now.epoch_ended, now.test_accuracy, now.loss, now.epochs, now.batches))
        return 0

    fit(renga, trainer, dataset, dataset, callback=callback)
    steps = [entry for entry in seen if not entry[3]]
    ends = [entry for entry in seen if entry[3]]
    assert [entry[2] for entry in steps] == list(range(1, 12 * 4 + 1))
    assert [entry[0] for entry in ends] == list(range(1, 13))
    assert all(math.isnan(entry[4]) for entry in steps) and all(0 <= entry[4] <= 1 for entry in ends)
    assert ends[-1][4] > 0.9 and ends[-1][5] < ends[0][5] and ends[0][6:] == (12, 4)
    history = json.loads(renga.text("trainer_history", trainer))
    assert [epoch["test_accuracy"] for epoch in history["epochs"]] == [entry[4] for entry in ends]
    assert history["train_seconds"] > 0 and history["peak_bytes"] > 0
    renga.trainer_free(trainer)


def test_evaluate(renga, network, dataset):
    accuracy, loss, confusion = ctypes.c_double(), ctypes.c_double(), (ctypes.c_int64 * 9)()
    renga.evaluate(network, dataset, 2, ctypes.byref(accuracy), ctypes.byref(loss), confusion, 9)
    assert sum(confusion) == 48 and sum(confusion[i * 4] for i in range(3)) / 48 == accuracy.value
    assert [sum(confusion[row * 3:row * 3 + 3]) for row in range(3)] == [16, 16, 16]
    assert loss.value > 0
    assert renga.status("evaluate", network, dataset, 1, None, None, confusion, 8) == abi.ERROR_SHAPE_MISMATCH


def test_evaluate_in_bf16(renga, network, dataset):
    losses = []
    for precision in (abi.PRECISION_F32, abi.PRECISION_BF16):
        accuracy, loss, confusion = ctypes.c_double(), ctypes.c_double(), (ctypes.c_int64 * 9)()
        renga.evaluate_in(network, dataset, precision, 1, ctypes.byref(accuracy), ctypes.byref(loss), confusion, 9)
        assert sum(confusion) == 48
        losses.append(loss.value)
    assert losses[0] != losses[1] and abs(losses[1] - losses[0]) < 0.02 * losses[0]
    for wrong in (-1, 2):
        assert renga.status("evaluate_in", network, dataset, wrong, 1, None, None, None, 0) == abi.ERROR_INVALID_ARGUMENT


@pytest.mark.parametrize("recipe", [RECIPE, RECIPE + b",precision=bf16"])
def test_threads_do_not_change_a_bit(renga, network, dataset, recipe):
    weights = []
    for threads in (1, 2, 1):
        trainer = renga.made("trainer_create", network, recipe, threads)
        fit(renga, trainer, dataset)
        weights.append(trained(renga, trainer))
        renga.trainer_free(trainer)
    assert weights[0] == weights[1] == weights[2]


@pytest.mark.parametrize("stop", [1, 3, 4, 5, 8, 12])
def test_cancel_and_go_on(renga, network, dataset, stop):
    """Stopped after any step and taken up again, the training ends with the bits of one never stopped."""
    whole = renga.made("trainer_create", network, RECIPE, 1)
    fit(renga, whole, dataset)
    trainer = renga.made("trainer_create", network, RECIPE, 1)
    with pytest.raises(Failure) as failure:
        fit(renga, trainer, dataset, callback=lambda progress, _: int(progress.contents.step == stop))
    assert failure.value.status == abi.CANCELLED and f"step {stop}" in failure.value.message
    fit(renga, trainer, dataset)
    assert trained(renga, trainer) == trained(renga, whole)
    renga.trainer_free(trainer)
    renga.trainer_free(whole)


def test_cancel_at_an_epochs_end(renga, network, dataset, trainer):
    whole = renga.made("trainer_create", network, RECIPE, 1)
    fit(renga, whole, dataset)
    for _ in range(2):
        with pytest.raises(Failure):
            fit(renga, trainer, dataset, callback=lambda progress, _: progress.contents.epoch_ended)
    fit(renga, trainer, dataset)
    assert trained(renga, trainer) == trained(renga, whole)
    assert len(json.loads(renga.text("trainer_history", trainer))["epochs"]) == 3
    renga.trainer_free(whole)


def test_a_callback_may_read_its_trainer_and_nothing_else(renga, trainer, dataset, tmp_path):
    seen = []

    def callback(progress, _):
        network, path = renga.made("trainer_network", trainer), tmp_path / "inside.renga"
        renga.network_free(network)
        renga.trainer_save(trainer, str(path).encode())
        memory = abi.Memory()
        renga.memory_init(ctypes.byref(memory), ctypes.sizeof(memory))
        renga.trainer_memory(trainer, ctypes.byref(memory))
        json.loads(renga.text("trainer_history", trainer))
        seen.append(renga.status("trainer_fit", trainer, dataset, None, None, abi.ProgressFn(), None))
        pixels, labels = stripes(12)
        source = abi.source(pixels, 12, 8, 8, 1)
        seen.append(renga.status("trainer_step", trainer, ctypes.byref(source), labels, None, None))
        assert "callback" in renga.message()
        return int(progress.contents.step == 2)

    with pytest.raises(Failure):
        fit(renga, trainer, dataset, callback=callback)
    assert set(seen) == {abi.ERROR_BUSY}
    fit(renga, trainer, dataset)


def test_other_threads_are_told_that_it_is_busy(renga, trainer, dataset):
    answers = []

    def callback(progress, _):
        def ask():
            answers.append(renga.status("trainer_network", trainer, ctypes.byref(ctypes.c_void_p())))
            answers.append(renga.status("trainer_fit", trainer, dataset, None, None, abi.ProgressFn(), None))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(30)
        return 1

    with pytest.raises(Failure):
        fit(renga, trainer, dataset, callback=callback)
    assert answers == [abi.ERROR_BUSY] * 2


def test_a_failed_fit_changes_nothing(renga, trainer, network, dataset):
    before = trained(renga, trainer)
    pixels, labels = stripes(12)
    odd_shape = renga.made("dataset_create", ctypes.byref(abi.source(pixels, 12, 4, 16, 1)), labels, 3)
    many_classes = renga.made("dataset_create", ctypes.byref(abi.source(pixels, 12, 8, 8, 1)), labels, 4)
    too_few = renga.made("dataset_take", dataset, 0, 5)
    for wrong, status in ((odd_shape, abi.ERROR_SHAPE_MISMATCH), (many_classes, abi.ERROR_SHAPE_MISMATCH), (too_few, abi.ERROR_INVALID_ARGUMENT)):
        assert renga.status("trainer_fit", trainer, wrong, None, None, abi.ProgressFn(), None) == status
    assert renga.status("trainer_fit", trainer, dataset, odd_shape, None, abi.ProgressFn(), None) == abi.ERROR_SHAPE_MISMATCH
    assert trained(renga, trainer) == before
    for handle in (odd_shape, many_classes, too_few):
        renga.dataset_free(handle)


def test_a_checkpoint_that_cannot_be_written_stops_the_run(renga, trainer, dataset, tmp_path):
    with pytest.raises(Failure) as failure:
        fit(renga, trainer, dataset, checkpoint=str(tmp_path / "no" / "folder").encode())
    assert failure.value.status == abi.ERROR_FILE
    fit(renga, trainer, dataset)


def test_recipes_are_checked(renga, network):
    for recipe, status in ((b"epochs=0", abi.ERROR_INVALID_ARGUMENT), (b"epochs", abi.ERROR_NOT_FOUND), (b"fats", abi.ERROR_NOT_FOUND),
                           (b"speed=3", abi.ERROR_NOT_FOUND), (b"batch=-1", abi.ERROR_INVALID_ARGUMENT),
                           (b"learning_rate=nan", abi.ERROR_INVALID_ARGUMENT), (b"fast,,", abi.ERROR_INVALID_ARGUMENT)):
        with pytest.raises(Failure) as failure:
            renga.made("trainer_create", network, recipe, 1)
        assert failure.value.status == status, recipe
    for threads in (-1, 257, 2**31 - 1):
        with pytest.raises(Failure, match="threads"):
            renga.made("trainer_create", network, None, threads)


def test_networks_that_cannot_be_trained(renga):
    builder, value = renga.made("builder_create"), ctypes.c_int32()
    renga.builder_add_input(builder, None, 4, 4, 1, ctypes.byref(value))
    renga.builder_add_layer(builder, b"relu", None, None, ctypes.byref(value), 1, ctypes.byref(value))
    network = renga.made("builder_finish", builder, ctypes.byref(value), 1, None, 1)
    with pytest.raises(Failure, match="output") as failure:
        renga.made("trainer_create", network, None, 1)
    assert failure.value.status in (abi.ERROR_UNSUPPORTED, abi.ERROR_INVALID_ARGUMENT)
    renga.network_free(network)
    renga.builder_free(builder)


def test_steps_by_hand(renga, trainer):
    pixels, labels = stripes(12)
    source, loss, correct = abi.source(pixels, 12, 8, 8, 1), ctypes.c_double(), ctypes.c_int64()
    losses = []
    for _ in range(20):
        renga.trainer_step(trainer, ctypes.byref(source), labels, ctypes.byref(loss), ctypes.byref(correct))
        losses.append(loss.value)
        assert 0 <= correct.value <= 12
    assert losses[-1] < losses[0]


def test_steps_normalise_bytes_as_the_network_says(renga, network):
    pixels, labels = stripes(12)
    normalised = (ctypes.c_float * len(pixels))(*[(p - 100) * 0.0078125 for p in pixels])
    renga.network_set_metadata(network, b"renga.normalization", b'{"mean":[100],"scale":[0.0078125]}')
    weights = []
    for images in (pixels, normalised):
        trainer = renga.made("trainer_create", network, RECIPE, 1)
        renga.trainer_step(trainer, ctypes.byref(abi.source(images, 12, 8, 8, 1)), labels, None, None)
        weights.append(trained(renga, trainer))
        renga.trainer_free(trainer)
    assert weights[0] == weights[1]


def test_refused_steps_change_nothing(renga, trainer):
    before = trained(renga, trainer)
    images, labels = noise(12 * 64), (ctypes.c_int32 * 12)()

    def status(source):
        return renga.status("trainer_step", trainer, ctypes.byref(source), labels, None, None)

    images[70] = math.nan
    assert status(abi.source(images, 12, 8, 8, 1)) == abi.ERROR_NOT_FINITE and "image 1" in renga.message()
    images[70] = 0
    assert status(abi.source(images, 11, 8, 8, 1)) == abi.ERROR_SHAPE_MISMATCH
    labels[3] = 3
    assert status(abi.source(images, 12, 8, 8, 1)) == abi.ERROR_INVALID_ARGUMENT and "image 3" in renga.message()
    assert trained(renga, trainer) == before


def test_a_loss_that_is_not_finite(renga, network, dataset):
    trainer = renga.made("trainer_create", network, b"epochs=50,batch=12,learning_rate=1000000,clip_norm=0", 1)
    with pytest.raises(Failure, match="step") as failure:
        fit(renga, trainer, dataset)
    assert failure.value.status == abi.ERROR_NOT_FINITE
    assert all(math.isfinite(value) for weights in trained(renga, trainer).values() for value in memoryview(weights).cast("f"))
    renga.trainer_free(trainer)


def test_resume_ends_with_the_same_bits(renga, network, dataset, tmp_path):
    whole, path = renga.made("trainer_create", network, RECIPE, 1), str(tmp_path / "half.renga").encode()
    fit(renga, whole, dataset)
    half = renga.made("trainer_create", network, RECIPE, 1)
    with pytest.raises(Failure):
        fit(renga, half, dataset, callback=lambda progress, _: int(progress.contents.step == 6))
    renga.trainer_save(half, path)
    for threads in (1, 2):
        resumed = renga.made("trainer_resume", path, threads)
        fit(renga, resumed, dataset)
        assert trained(renga, resumed) == trained(renga, whole)
        renga.trainer_free(resumed)
    renga.trainer_free(half)
    renga.trainer_free(whole)


def test_a_checkpoint_is_a_network_file_and_a_network_no_checkpoint(renga, world):
    network = renga.made("network_load", str(world.checkpoint).encode())
    assert renga.weights(network) == renga.weights(world.network)
    renga.network_free(network)
    with pytest.raises(Failure) as failure:
        renga.made("trainer_resume", str(world.saved).encode(), 1)
    assert failure.value.status == abi.ERROR_CORRUPT_DATA


def test_broken_checkpoints(renga, world, tmp_path):
    data, broken = world.checkpoint.read_bytes(), tmp_path / "broken.renga"
    cases = [data[:n] for n in range(0, len(data), max(1, len(data) // 40))]
    cases += [data[:n] + bytes([data[n] ^ 1]) + data[n + 1:] for n in range(0, len(data), max(1, len(data) // 60))]
    for case in cases:
        broken.write_bytes(case)
        with pytest.raises(Failure) as failure:
            renga.made("trainer_resume", str(broken).encode(), 1)
        assert failure.value.status in (abi.ERROR_CORRUPT_DATA, abi.ERROR_UNSUPPORTED, abi.ERROR_NOT_FOUND)


# A host that trains with a checkpoint after each epoch, and is killed in the midst of the second.
KILLED = """
import ctypes, os, signal, sys
sys.path.insert(0, sys.argv[1])
import abi, conftest
renga = abi.Renga()
network = renga.made("network_create", b"cnn", conftest.CNN, 1)
pixels, labels = conftest.stripes(48)
train = renga.made("dataset_create", ctypes.byref(abi.source(pixels, 48, 8, 8, 1)), labels, 3)
trainer = renga.made("trainer_create", network, sys.argv[3].encode(), 2)
def callback(progress, _):
    if progress.contents.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return 0
renga.trainer_fit(trainer, train, None, sys.argv[2].encode(), abi.ProgressFn(callback), None)
"""


def test_kill_and_resume(renga, network, dataset, tmp_path):
    path = tmp_path / "checkpoint.renga"
    child = subprocess.run([sys.executable, "-c", KILLED, str(pathlib.Path(__file__).parent), str(path), RECIPE.decode()],
                           env={**os.environ, "RENGA_LIBRARY": str(abi.LIBRARY)}, check=False)
    assert child.returncode == -signal.SIGKILL
    whole = renga.made("trainer_create", network, RECIPE, 1)
    fit(renga, whole, dataset)
    resumed = renga.made("trainer_resume", str(path).encode(), 1)
    assert len(json.loads(renga.text("trainer_history", resumed))["epochs"]) == 1
    fit(renga, resumed, dataset)
    assert trained(renga, resumed) == trained(renga, whole)
    renga.trainer_free(resumed)
    renga.trainer_free(whole)


def test_normalisation_travels_with_the_network(renga, trainer, dataset):
    fit(renga, trainer, dataset)
    network = renga.made("trainer_network", trainer)
    normalization = json.loads(renga.text("network_get_metadata", network, b"renga.normalization"))
    assert len(normalization["mean"]) == len(normalization["scale"]) == 1
    renga.network_free(network)


def test_freed_in_any_order(renga):
    pixels, labels = stripes(24)
    network = renga.made("network_create", b"cnn", CNN, 1)
    train = renga.made("dataset_create", ctypes.byref(abi.source(pixels, 24, 8, 8, 1)), labels, 3)
    part = renga.made("dataset_take", train, 0, 12)
    trainer = renga.made("trainer_create", network, b"epochs=1,batch=12", 1)
    renga.network_free(network)
    renga.dataset_free(train)
    fit(renga, trainer, part)
    renga.dataset_free(part)
    copy = renga.made("trainer_network", trainer)
    renga.trainer_free(trainer)
    assert renga.weights(copy)
    renga.network_free(copy)
