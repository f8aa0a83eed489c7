"""Lifetimes: closing, garbage, threads, interpreter exit; errors as exceptions; and company in the process."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, run_python
from sklearn.ensemble import HistGradientBoostingClassifier

import renga
from renga._errors import error_of


def test_closing_is_idempotent_and_final(network: renga.Network) -> None:
    session = renga.Session(network)
    with session:
        pass
    session.close()
    assert session.closed
    for use in (lambda: session.run(np.zeros((1, 8, 8, 3), np.float32)), lambda: session.memory):
        with pytest.raises(renga.Busy, match="this session is closed"):
            use()
    assert "closed" in repr(closed(network.copy()))


def closed(network: renga.Network) -> renga.Network:
    network.close()
    return network


def test_garbage_is_freed_in_any_order(network: renga.Network) -> None:
    session = renga.Session(network)
    trainer = renga.Trainer(network)
    parameters = network.parameters
    gone = weakref.ref(network)
    del network
    gc.collect()
    name = next(iter(parameters))  # the view keeps its owner
    assert gone() is not None and parameters[name].size
    del parameters
    gc.collect()
    assert session.run(np.zeros((1, 8, 8, 3), np.float32)).shape == (1, 3)
    assert trainer.network().info.parameters
    answers = session.run(np.ones((1, 8, 8, 3), np.float32))
    kept = answers.copy()
    session.close()
    gc.collect()
    assert np.array_equal(answers, kept)


def test_a_cycle_is_collected() -> None:
    network = renga.Network.create("resnet", **TINY)
    network.myself = network
    gone = weakref.ref(network)
    del network
    gc.collect()
    assert gone() is None


def test_a_failed_constructor_leaves_nothing_to_free(network: renga.Network) -> None:
    for _ in range(3):
        with pytest.raises(renga.RengaError):
            renga.Session(network, algorithm="magic")
    half = renga.Session.__new__(renga.Session)
    half.close()
    with pytest.raises(renga.Busy, match="never made"):
        _ = half.memory


def test_close_while_running_is_refused(network: renga.Network) -> None:
    session = renga.Session(network, batch=16, size=(32, 32))
    x = np.zeros((16, 32, 32, 3), np.float32)
    stop, outcomes = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            session.run(x)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(200):
            try:
                session.close()
                outcomes.append("closed")
                break
            except renga.Busy:
                outcomes.append("busy")
    finally:
        stop.set()
        thread.join()
    assert "busy" in outcomes


def test_interpreter_exit_with_live_objects_and_a_running_thread() -> None:
    ended = run_python(
        """
        import threading, numpy as np, renga
        network = renga.Network.create("resnet", depth=8, classes=3, input=(8, 8, 3))
        sessions = [renga.Session(network) for _ in range(3)]
        trainer = renga.Trainer(network)
        cycle = [network, trainer]; cycle.append(cycle)
        x = np.zeros((64, 8, 8, 3), np.float32)
        def work():
            while True:
                sessions[0].run(x)
        threading.Thread(target=work, daemon=True).start()
        sessions[1].run(x)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_missing_library_is_one_sentence(tmp_path: Path) -> None:
    ended = run_python("import renga; renga.version()", RENGA_LIBRARY=str(tmp_path / "none.so"))
    assert ended.returncode == 1 and "RENGA_LIBRARY" in ended.stderr.splitlines()[-1]


def test_a_foreign_library_is_refused() -> None:
    ended = run_python("import renga; renga.version()", RENGA_LIBRARY="libc.so.6")
    assert ended.returncode == 1 and "libc.so.6 has no renga_" in ended.stderr


def test_errors_are_what_python_expects() -> None:
    assert {type(error_of(code, "m")).__name__ for code in range(1, 12)} == {
        "InvalidArgument", "ShapeMismatch", "RengaError", "OutOfMemory", "FileError", "CorruptData", "Unsupported",
        "Cancelled", "Busy", "NotFinite", "NotFound",
    }  # fmt: skip
    assert isinstance(error_of(4, "m"), MemoryError) and isinstance(error_of(10, "m"), ArithmeticError)
    unknown = error_of(57, "strange")
    assert "57" in str(unknown) and unknown.status is renga.Status.INTERNAL
    again = pickle.loads(pickle.dumps(error_of(11, "no such")))
    assert isinstance(again, renga.NotFound) and str(again) == "no such" and again.message == "no such"


def test_runtime_info() -> None:
    info = renga.runtime_info()
    assert info["version"] == renga.version() and info["isa"] and info["library"]
    assert 1 <= renga.default_threads() <= 256


def test_beside_scikit_learn(network: renga.Network) -> None:
    """Two OpenMP runtimes in one process, in turn and at once."""
    random = np.random.default_rng(0)
    session = renga.Session(network, batch=32, threads=2)
    x = random.standard_normal((32, 8, 8, 3), dtype=np.float32)
    wanted = session.run(x)
    features, labels = random.standard_normal((200, 4)), np.arange(200) % 2

    def learn() -> float:
        model = HistGradientBoostingClassifier(max_iter=5)
        return float(model.fit(features, labels).score(features, labels))

    alone = learn()
    thread = threading.Thread(target=lambda: [session.run(x) for _ in range(10)])
    thread.start()
    assert learn() == alone
    thread.join()
    assert np.array_equal(session.run(x), wanted)


def test_a_fork_goes_on(network: renga.Network) -> None:
    """Though scikit-learn, imported above, sets KMP_INIT_AT_FORK for the whole process."""
    session = renga.Session(network, threads=2)
    x = np.ones((1, 8, 8, 3), np.float32)
    wanted = session.run(x)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a child that hangs is killed, and fails
        os._exit(0 if np.array_equal(session.run(x), wanted) else 1)
    assert os.waitpid(child, 0)[1] == 0
