"""Training: a network with its optimiser's state; progress, interrupts, checkpoints.

Not here: recipes and their defaults (`renga.recipes()` asks the library), evaluation (evaluation.py).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import as_batch, as_labels, layout_code, pointer, source
from ._errors import Cancelled
from ._handle import Handle
from ._interrupts import Interrupts
from ._library import call, call_json, encode, encode_path, library
from ._options import MAX_EXTENT, MAX_THREADS, OptionValue, options_text, whole
from .dataset import Dataset
from .evaluation import Evaluation, evaluate
from .network import Network
from .session import Memory


@dataclass(frozen=True)
class Progress:
    """Where training stands: after each batch, and once more at each epoch's end."""

    epoch: int  #: from 1
    epochs: int
    batch: int  #: in this epoch, from 1
    batches: int
    step: int  #: since the beginning, from 1
    images_per_second: float
    loss: float  #: of this epoch so far
    accuracy: float  #: of this epoch so far
    learning_rate: float
    seconds: float
    seconds_left: float
    test_accuracy: float  #: at an epoch's end with a test set; NaN otherwise
    epoch_ended: bool


#: Called on the thread that called `fit`. Returning True stops after this step (`fit` raises `Cancelled`); an exception
#: stops the run and is raised by `fit`. It may call `network()`, `history`, `memory` and `save()` of the
#: trainer; anything else of it raises `Busy`.
ProgressCallback = Callable[[Progress], Any]


def recipes() -> dict[str, Any]:
    """The recipes' `options` (name, kind, default, bounds, documentation) and `presets`."""
    return call_json("renga_recipes")


def _trainer_options(
    threads: int, memory_budget: int, algorithm: str | None = None, tune: bool = False
) -> _abi.TrainerOptions:
    options = _abi.TrainerOptions()
    library().renga_trainer_options_init(ctypes.byref(options), ctypes.sizeof(options))
    options.threads = whole(threads, "threads", 0, MAX_THREADS)
    options.memory_budget = whole(memory_budget, "memory_budget", 0, 2**63 - 1)
    options.algorithm = None if algorithm is None else encode(algorithm, "algorithm")
    options.tune = int(tune)
    return options


def _recipe_text(recipe: str | None, overrides: dict[str, OptionValue]) -> bytes | None:
    text = options_text(overrides, recipe or "")
    return encode(text, "recipe") if text else None


def trainer_memory(
    network: Network,
    recipe: str | None = None,
    *,
    threads: int = 0,
    memory_budget: int = 0,
    algorithm: str | None = None,
    tune: bool = False,
    **overrides: OptionValue,
) -> Memory:
    """What a `Trainer` of these arguments would hold, planned without making it."""
    options = _trainer_options(threads, memory_budget, algorithm, tune)
    with network._in_use() as handle:
        recipe_text = _recipe_text(recipe, overrides)
        return Memory._ask("renga_network_trainer_memory", handle, recipe_text, ctypes.byref(options))


class Trainer(Handle):
    """A network in training. The network it was made from stays as it is; `network()` gives a copy of the present
    state.

    recipe: a preset's name, or the library's text form, "fast,epochs=3". threads: 0 = `renga.default_threads()`.
    memory_budget: most bytes of `memory.total`, 0 = as many as it takes; under a budget activations that do not fit are
    computed again before the backward pass reads them: the same bits for more time. Raises `InvalidArgument` for less
    than the least possible, which it names.
    algorithm: as a session's; backward passes take it where they can. tune: choose algorithms by timing on this
    machine. Either may change the last bits of a training; a resumed one keeps what it began with.
    overrides: options of the recipe, `epochs=3, batch=128, seed=7, precision="bf16"`. Threads: as `Handle`.
    """

    _free_function = "renga_trainer_free"
    _noun = "trainer"

    def __init__(
        self,
        network: Network,
        recipe: str | None = None,
        *,
        threads: int = 0,
        memory_budget: int = 0,
        algorithm: str | None = None,
        tune: bool = False,
        **overrides: OptionValue,
    ) -> None:
        options = _trainer_options(threads, memory_budget, algorithm, tune)
        out = ctypes.c_void_p()
        with network._in_use() as handle:
            recipe_text = _recipe_text(recipe, overrides)
            call("renga_trainer_create_with", handle, recipe_text, ctypes.byref(options), ctypes.byref(out))
        super().__init__(out)
        self._class_names: list[str] = []

    @classmethod
    def resume(cls, path: str | os.PathLike[str], *, threads: int = 0, memory_budget: int = 0) -> Trainer:
        """A trainer from what `save` or a checkpoint wrote; a resumed run ends with the same bits as an uninterrupted
        one, for any threads and memory budget.
        """
        out = ctypes.c_void_p()
        options = _trainer_options(threads, memory_budget)
        call("renga_trainer_resume_with", encode_path(path), ctypes.byref(options), ctypes.byref(out))
        made = cls._wrap(out)
        made._class_names = []
        return made

    def fit(
        self,
        train: Dataset,
        test: Dataset | None = None,
        *,
        progress: ProgressCallback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> dict[str, Any]:
        """Trains to the end of the recipe, or from where a cancelled or resumed run stood; returns `history`.

        test: evaluated after each epoch. checkpoint: a path, written atomically after each epoch.
        Ctrl-C, an exception in `progress`, or its returning True stop after the present step: the trainer stands there,
        and `fit` goes on from there. Raises `ShapeMismatch`, `NotFinite` (the loss), `Cancelled`, and whatever
        `progress` raised.
        """
        path = None if checkpoint is None else encode_path(checkpoint)
        self._class_names = train.class_names
        with Interrupts() as interrupts, self._in_use() as handle, train._in_use() as train_handle:
            callback = _abi.PROGRESS_FN(_guarded(progress, interrupts))
            try:
                if test is None:
                    call("renga_trainer_fit", handle, train_handle, None, path, callback, None)
                else:
                    with test._in_use() as test_handle:
                        call("renga_trainer_fit", handle, train_handle, test_handle, path, callback, None)
            except Cancelled:
                interrupts.raise_pending()
                raise
        return self.history

    def step(self, x: npt.ArrayLike, labels: npt.ArrayLike, *, layout: str = "nhwc") -> tuple[float, int]:
        """One step on one batch `[N,H,W,C]` (N = the recipe's batch) with labels `[N]`; returns mean loss and how many
        were right.
        """
        array = as_batch(x)
        numbers = as_labels(labels, array.shape[0])
        described = source(array, layout_code(layout))
        loss, correct = ctypes.c_double(), ctypes.c_int64()
        with self._in_use() as handle:
            call(
                "renga_trainer_step",
                handle,
                ctypes.byref(described),
                pointer(numbers),
                ctypes.byref(loss),
                ctypes.byref(correct),
            )
        return loss.value, correct.value

    def network(self) -> Network:
        """A copy of the network as it stands now."""
        out = ctypes.c_void_p()
        with self._in_use() as handle:
            call("renga_trainer_network", handle, ctypes.byref(out))
        made = Network._wrap(out)
        if self._class_names and not made.class_names:  # names that only this side knows (folders of images, .npz)
            made.class_names = self._class_names
        return made

    def evaluate(self, dataset: Dataset, *, threads: int = 0, precision: str = "f32") -> Evaluation:
        """`evaluate` of the network as it stands now."""
        with self.network() as network:
            return evaluate(network, dataset, threads=threads, precision=precision)

    @property
    def history(self) -> dict[str, Any]:
        """Per epoch loss, accuracy, test accuracy, seconds and learning rate under "epochs"; "train_seconds",
        "peak_bytes", the recipe.
        """
        with self._in_use() as handle:
            return call_json("renga_trainer_history", handle)

    @property
    def memory(self) -> Memory:
        """Bytes of the training plan."""
        with self._in_use() as handle:
            return Memory._ask("renga_trainer_memory", handle)

    @property
    def gates(self) -> dict[str, npt.NDArray[np.bool_]]:
        """The gates of stochastic depth in the last step, by layer: `[1, gates]` for the batch or `[N, gates]`, True =
        open, that of the channels with a shortcut first. Empty where the network has none.
        """
        with self._in_use() as handle:
            found = call_json("renga_trainer_gates", handle)["gates"]
        return {gate["layer"]: np.array(gate["open"], dtype=np.bool_) for gate in found}

    def force_gates(self, gates: Mapping[str, bool | Sequence[bool]] | None) -> None:
        """Takes these gates from the next step on instead of drawing them, by layer one bool or one for each gate of
        the layer; layers that are not named are drawn. None: all are drawn again, as if they had been all along.
        """
        text = None if gates is None else ",".join(f"{layer}={_digits(open_)}" for layer, open_ in gates.items())
        with self._in_use() as handle:
            call("renga_trainer_force_gates", handle, None if text is None else encode(text, "gates"))

    def profile(self, runs: int = 10) -> dict[str, Any]:
        """Takes `runs` steps at rate 0 with a copy of the training, on the last step's batch, and reports each kernel's
        time in the fastest as `Session.profile` does; "operator" says which part of the layer's work. The trainer stays
        as it is.
        """
        with self._in_use() as handle:
            return call_json("renga_trainer_profile", handle, whole(runs, "runs", 1, MAX_EXTENT))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves everything that a resumed run needs, atomically."""
        with self._in_use() as handle:
            call("renga_trainer_save", handle, encode_path(path))


def _digits(gates: bool | Sequence[bool]) -> str:
    """A digit for each gate of a layer."""
    return "".join(str(int(bool(gate))) for gate in np.atleast_1d(np.asarray(gates)))


def _guarded(progress: ProgressCallback | None, interrupts: Interrupts) -> Callable[[Any, Any], int]:
    """The C callback: never lets an exception out (ctypes would print it and go on); keeps it for `fit` instead."""

    def report(raw: Any, _: Any) -> int:
        try:
            if interrupts.pending:
                return 1
            if progress is None:
                return 0
            p = raw.contents
            now = Progress(
                p.epoch,
                p.epochs,
                p.batch,
                p.batches,
                p.step,
                p.images_per_second,
                p.loss,
                p.accuracy,
                p.learning_rate,
                p.seconds,
                p.seconds_left,
                p.test_accuracy,
                bool(p.epoch_ended),
            )
            return 1 if progress(now) is True or interrupts.pending else 0
        except BaseException as error:
            interrupts.keep(error)
            return 1

    return report
