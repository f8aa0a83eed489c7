"""Training: progress, exceptions in callbacks, interrupts, resuming, and who may touch a trainer meanwhile."""

from __future__ import annotations

import math
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import run_python, stripes

import renga

RECIPE = {"epochs": 2, "batch": 32, "seed": 3}


def weights(network: renga.Network) -> list[np.ndarray]:
    return [network.parameters[name] for name in network.parameters]


def same(a: renga.Network, b: renga.Network) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_many_classes_are_judged_without_a_matrix() -> None:
    builder = renga.Builder()
    network = builder.finish(builder.add("linear", builder.input(1, 1, 2), channels=4097))
    data = renga.Dataset(np.ones((3, 1, 1, 2), dtype=np.float32), [0, 1, 2], classes=4097)
    with network, data:
        result = renga.evaluate(network, data)
    assert result.n == 3 and math.isfinite(result.loss) and result.confusion.shape == (0, 0)


def test_bf16_learns_and_is_judged_in_either_precision(
    network: renga.Network, train_set: renga.Dataset, test_set: renga.Dataset
) -> None:
    with renga.Trainer(network, **{**RECIPE, "epochs": 4}, precision="bf16") as trainer:
        history = trainer.fit(train_set, test_set)
        half, whole = (trainer.evaluate(test_set, precision=precision) for precision in ("bf16", "f32"))
    assert history["recipe"]["precision"] == "bf16"
    assert history["epochs"][-1]["test_loss"] == half.loss != whole.loss
    assert half.accuracy > 0.9 and whole.accuracy > 0.9 and abs(half.loss - whole.loss) < 0.05 * whole.loss
    with pytest.raises(ValueError, match="precision"):
        renga.evaluate(network, test_set, precision="f64")
    with pytest.raises(ValueError, match="precision"):
        renga.Trainer(network, precision="f64")


def test_fit_learns_and_tells(network: renga.Network, train_set: renga.Dataset, test_set: renga.Dataset) -> None:
    before = weights(network)
    seen: list[renga.Progress] = []
    with renga.Trainer(network, **{**RECIPE, "epochs": 4}) as trainer:
        history = trainer.fit(train_set, test_set, progress=seen.append)
        trained = trainer.network()
        assert trainer.memory.total > 0
        result = trainer.evaluate(test_set)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(network), strict=True))
    assert len(history["epochs"]) == 4 and history["train_seconds"] > 0 and history["peak_bytes"] > 0
    ends = [p for p in seen if p.epoch_ended]
    assert [p.epoch for p in ends] == [1, 2, 3, 4] and all(0 <= p.test_accuracy <= 1 for p in ends)
    steps = [p for p in seen if not p.epoch_ended]
    assert [p.step for p in steps] == list(range(1, len(steps) + 1)) and len(steps) == 4 * steps[0].batches
    assert all(math.isfinite(p.loss) and p.images_per_second > 0 for p in steps)
    assert result.accuracy > 0.9 and result.n == 60
    assert result.confusion.shape == (3, 3) and result.confusion.sum() == 60
    assert np.trace(result.confusion) / 60 == pytest.approx(result.accuracy)
    assert trained.class_names == ["red", "green", "blue"]
    session = renga.Session(trained, batch=60)
    images, labels = stripes(60, seed=1)
    assert (session.run(images).argmax(axis=1) == labels).mean() == pytest.approx(result.accuracy)


def test_an_exception_in_progress_stops_and_comes_out(network: renga.Network, train_set: renga.Dataset) -> None:
    class Mine(Exception):
        pass

    steps = []

    def fail_at_third(now: renga.Progress) -> None:
        steps.append(now.step)
        if now.step == 3:
            raise Mine("at the third")

    trainer = renga.Trainer(network, **RECIPE)
    with pytest.raises(Mine, match="at the third"):
        trainer.fit(train_set, progress=fail_at_third)
    assert steps == [1, 2, 3]
    trainer.fit(train_set)  # goes on from there …
    whole = renga.Trainer(network, **RECIPE)
    whole.fit(train_set)
    assert same(trainer.network(), whole.network())  # … to the same bits


def test_returning_true_cancels(network: renga.Network, train_set: renga.Dataset) -> None:
    trainer = renga.Trainer(network, **RECIPE)
    with pytest.raises(renga.Cancelled) as caught:
        trainer.fit(train_set, progress=lambda now: now.step == 2)
    assert caught.value.status is renga.Status.CANCELLED


@pytest.mark.parametrize("progress", [None, lambda now: None])
def test_ctrl_c_stops_between_steps(network: renga.Network, train_set: renga.Dataset, progress: object) -> None:
    """A signal of its own thread while the library works: KeyboardInterrupt comes out, the trainer is whole."""
    trainer = renga.Trainer(network, epochs=10000, batch=32)
    handler = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer.fit(train_set, progress=progress)
    finally:
        timer.cancel()
    assert signal.getsignal(signal.SIGINT) is handler
    assert all(np.isfinite(values).all() for values in weights(trainer.network()))


def test_a_handler_of_the_hosts_own_still_runs(network: renga.Network, train_set: renga.Dataset) -> None:
    heard = []
    previous = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        trainer = renga.Trainer(network, **RECIPE)
        trainer.fit(train_set, progress=lambda now: os.kill(os.getpid(), signal.SIGTERM) if now.step == 2 else None)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert heard == [True]


def test_what_progress_may_do(network: renga.Network, train_set: renga.Dataset, tmp_path: Path) -> None:
    trainer = renga.Trainer(network, **RECIPE)
    refused = []

    def look(now: renga.Progress) -> None:
        if now.step != 3:
            return
        trainer.save(tmp_path / "third")
        assert trainer.network().info == network.info
        for forbidden in (trainer.close, lambda: trainer.fit(train_set), lambda: trainer.step(*stripes(32))):
            with pytest.raises(renga.Busy):
                forbidden()
            refused.append(True)

    trainer.fit(train_set, progress=look)
    assert len(refused) == 3
    resumed = renga.Trainer.resume(tmp_path / "third", threads=1)
    resumed.fit(train_set)
    assert same(resumed.network(), trainer.network())


def test_tuned_and_forced_algorithms_are_kept(network: renga.Network, train_set: renga.Dataset, tmp_path: Path) -> None:
    def algorithms(trainer: renga.Trainer) -> list[str]:
        return [step["algorithm"] for step in trainer.profile(1)["steps"]]

    for choice in ({"tune": True}, {"algorithm": "reference"}):
        trainer = renga.Trainer(network, **choice, **RECIPE)
        trainer.save(tmp_path / "a")
        resumed = renga.Trainer.resume(tmp_path / "a", threads=1)
        assert algorithms(resumed) == algorithms(trainer)
        trainer.fit(train_set)
        resumed.fit(train_set)
        assert same(resumed.network(), trainer.network())
    assert set(algorithms(trainer)) == {"", "reference"}
    with pytest.raises(renga.NotFound, match="magic"):
        renga.Trainer(network, algorithm="magic", **RECIPE)
    assert renga.trainer_memory(network, algorithm="direct", **RECIPE).total > 0


def test_checkpoints_resume_to_the_same_bits(network: renga.Network, train_set: renga.Dataset, tmp_path: Path) -> None:
    path = tmp_path / "c"
    trainer = renga.Trainer(network, **RECIPE)
    stop_in_second = 192 // 32 + 2
    with pytest.raises(renga.Cancelled):
        trainer.fit(train_set, checkpoint=path, progress=lambda now: now.step == stop_in_second)
    resumed = renga.Trainer.resume(path)
    resumed.fit(train_set, checkpoint=path)
    whole = renga.Trainer(network, **RECIPE)
    whole.fit(train_set)
    assert same(resumed.network(), whole.network())
    with pytest.raises(renga.RengaError):
        renga.Trainer.resume(__file__)


def test_steps(network: renga.Network) -> None:
    images, labels = stripes(32)
    trainer = renga.Trainer(network, **RECIPE)
    x = images.astype(np.float32) / 128 - 1
    losses = [trainer.step(x, labels)[0] for _ in range(20)]
    assert losses[-1] < losses[0]
    loss, correct = trainer.step(x, labels.astype(np.int64))
    assert math.isfinite(loss) and 0 <= correct <= 32
    with pytest.raises(ValueError, match="labels has shape"):
        trainer.step(x, labels[:3])
    with pytest.raises(renga.RengaError):
        trainer.step(x, labels + 7)
    with pytest.raises(renga.RengaError):
        trainer.step(x[:, :4], labels)


def test_not_a_number_is_an_error(network: renga.Network) -> None:
    images, labels = stripes(32)
    with pytest.raises(renga.NotFinite):
        renga.Trainer(network, **RECIPE).step(np.full(images.shape, np.nan, np.float32), labels)


def test_bad_recipes_are_refused(network: renga.Network, train_set: renga.Dataset) -> None:
    for bad in ({"recipe": "magic"}, {"epochs": -1}, {"speed": 3}, {"threads": -1}, {"threads": 10**6}):
        with pytest.raises((ValueError, KeyError)):
            renga.Trainer(network, **bad)
    with pytest.raises(renga.RengaError):
        renga.Trainer(network, **RECIPE).fit(renga.Dataset(np.zeros((64, 4, 4, 1), np.uint8), [0] * 64, classes=3))


def test_threads_give_the_same_bits(network: renga.Network, train_set: renga.Dataset) -> None:
    one, two = (renga.Trainer(network, threads=threads, **RECIPE) for threads in (1, 2))
    one.fit(train_set)
    two.fit(train_set)
    assert same(one.network(), two.network())


def test_a_profile_leaves_the_training_as_it_is(network: renga.Network) -> None:
    images, labels = stripes(32)
    x = images.astype(np.float32) / 128 - 1
    profiled, plain = (renga.Trainer(network, **RECIPE) for _ in range(2))
    for trainer in (profiled, plain):
        trainer.step(x, labels)
    steps = profiled.profile(2)["steps"]
    assert same(profiled.network(), plain.network())
    assert profiled.step(x, labels) == plain.step(x, labels)
    assert same(profiled.network(), plain.network())
    assert {"backward weight", "backward data"} <= {step["operator"] for step in steps}
    assert all(step["ms"] > 0 and step["gbytes_per_s"] >= 0 for step in steps)
    with pytest.raises(ValueError):
        profiled.profile(0)


def test_the_machines_peaks() -> None:
    one = renga.machine_peaks(1)
    assert one["threads"] == 1 and 1 < one["f32_gflops"] < 1000 and 0.1 < one["read_gbytes_per_s"] < 1000
    assert one["bf16_gflops"] >= 0 and one["write_gbytes_per_s"] > 0
    assert renga.machine_peaks()["threads"] == renga.default_threads()
    with pytest.raises(ValueError):
        renga.machine_peaks(-1)


def test_a_budget_changes_no_bit_and_is_kept(network: renga.Network, train_set: renga.Dataset, tmp_path: Path) -> None:
    recipe = {"epochs": 1, "batch": 32, "seed": 3}
    usual = renga.trainer_memory(network, **recipe)
    with pytest.raises(renga.InvalidArgument, match="least possible is") as refusal:
        renga.Trainer(network, memory_budget=1000, **recipe)
    least = int(str(refusal.value).split()[-1])
    assert least < usual.total
    planned = renga.trainer_memory(network, memory_budget=least, **recipe)
    with renga.Trainer(network, **recipe) as one, renga.Trainer(network, memory_budget=least, **recipe) as two:
        assert one.memory == usual and two.memory == planned and planned.total <= least
        assert planned.recomputed_layers > 0 and usual.recomputed_layers == 0
        one.fit(train_set)
        two.fit(train_set)
        a, b = one.network(), two.network()
        assert all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)
        two.save(tmp_path / "t")
    with renga.Trainer.resume(tmp_path / "t", memory_budget=usual.total) as resumed:
        assert resumed.memory == usual


def test_resident_memory_is_what_was_planned() -> None:
    """Within 10 % and 24 MB of what a process takes besides: huge pages round up, the allocator keeps a little."""
    code = """
import numpy as np, renga
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
network = renga.Network.create("resnet", depth=20, classes=10, input=(32, 32, 3))
tiny = renga.Network.create("resnet", depth=8, classes=10, input=(8, 8, 3))
x, y = np.zeros((128, 32, 32, 3), np.float32), np.zeros(128, np.int32)
with renga.Trainer(tiny, batch=8) as warm:
    warm.step(x[:8, :8, :8], y[:8])
before = resident()
budget = BUDGET * renga.trainer_memory(network, batch=128).total // 100
trainer = renga.Trainer(network, batch=128, memory_budget=budget)
trainer.step(x, y)
print(resident() - before, trainer.memory.total)
"""
    held = {}
    for share in (100, 70):
        ended = run_python(code.replace("BUDGET", str(share)))
        assert ended.returncode == 0, ended.stderr
        held[share], planned = (int(word) for word in ended.stdout.split())
        assert abs(held[share] - planned) < 0.1 * planned + 24e6, (share, held[share], planned)
    assert held[70] < 0.85 * held[100]


def test_gates_are_told_and_can_be_forced() -> None:
    options = {"depth": 8, "width": 4, "alpha": 9, "classes": 3, "input": "8x8x1", "stochastic_depth": "separate"}
    x = np.random.default_rng(0).random((8, 8, 8, 1), dtype=np.float32)
    labels = np.arange(8) % 3
    with renga.Network.create("pyramidnet", **options, survival=0.4) as network:
        drawn, forced = renga.Trainer(network, batch=8, seed=5), renga.Trainer(network, batch=8, seed=6)
        assert all(gates.shape == (1, 2) and gates.all() for gates in drawn.gates.values())
        seen = set()
        for _ in range(6):
            loss = drawn.step(x, labels)
            gates = drawn.gates
            seen.add(str(gates))
            forced.force_gates({layer: open_[0].tolist() for layer, open_ in gates.items()})
            assert forced.step(x, labels) == loss
        assert len(seen) > 1 and same(drawn.network(), forced.network())
        layer = next(iter(drawn.gates))
        forced.force_gates({layer: (False, True)})
        forced.step(x, labels)
        assert forced.gates[layer].tolist() == [[False, True]]
        forced.force_gates(None)
        with pytest.raises(renga.RengaError, match="2 gate"):
            forced.force_gates({layer: True})
        with pytest.raises(renga.RengaError, match="nobody"):
            forced.force_gates({"nobody": True})
        drawn.close(), forced.close()
