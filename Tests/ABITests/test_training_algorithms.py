"""Algorithms of a training from outside: forced, tuned, named by the profile, kept where it is resumed."""

import ctypes
import json

import pytest

import abi
from abi import Failure
from test_training import RECIPE, fit, trained


def made(renga, network, **fields):
    """A trainer with these options; all other fields are zero or their default."""
    options = abi.TrainerOptions()
    renga.trainer_options_init(ctypes.byref(options), ctypes.sizeof(options))
    for name, value in fields.items():
        setattr(options, name, value)
    return renga.made("trainer_create_with", network, RECIPE, ctypes.byref(options))


def algorithms(renga, trainer):
    steps = json.loads(renga.text("trainer_profile", trainer, 1))["steps"]
    return [(step["name"], step["operator"], step["algorithm"]) for step in steps]


@pytest.mark.parametrize("fields", [{"algorithm": b"reference"}, {"tune": 1}], ids=["forced", "tuned"])
def test_a_resumed_training_keeps_its_algorithms(renga, network, dataset, tmp_path, fields):
    path = str(tmp_path / "half.renga").encode()
    first = made(renga, network, threads=2, **fields)
    with pytest.raises(Failure):
        fit(renga, first, dataset, callback=lambda progress, _: int(progress.contents.step == 6))
    renga.trainer_save(first, path)
    second = renga.made("trainer_resume", path, 1)
    assert algorithms(renga, second) == algorithms(renga, first)
    if "algorithm" in fields:
        assert {algorithm for *_, algorithm in algorithms(renga, second)} == {"", "reference"}
    for trainer in (first, second):
        fit(renga, trainer, dataset)
    assert trained(renga, first) == trained(renga, second)
    for trainer in (first, second):
        renga.trainer_free(trainer)


@pytest.mark.parametrize("fields,status", [
    ({"algorithm": b"magic"}, abi.ERROR_NOT_FOUND), ({"algorithm": b"no such layer=direct"}, abi.ERROR_NOT_FOUND),
    ({"tune": 2}, abi.ERROR_INVALID_ARGUMENT), ({"tune": -1}, abi.ERROR_INVALID_ARGUMENT),
])
def test_options_out_of_bounds(renga, network, fields, status):
    with pytest.raises(Failure, match=next(iter(fields))) as failure:
        made(renga, network, **fields)
    assert failure.value.status == status


@pytest.mark.parametrize("field,value", [("algorithm", b"direct"), ("tune", 1)])
def test_a_resumed_training_chooses_nothing(renga, world, field, value):
    options = abi.TrainerOptions()
    renga.trainer_options_init(ctypes.byref(options), ctypes.sizeof(options))
    setattr(options, field, value)
    with pytest.raises(Failure, match="began with") as failure:
        renga.made("trainer_resume_with", str(world.checkpoint).encode(), ctypes.byref(options))
    assert failure.value.status == abi.ERROR_INVALID_ARGUMENT


def test_a_host_of_0_1_0_trains_by_rule(renga, network, dataset):
    """Its shorter struct, with anything behind it."""
    buffer = ctypes.create_string_buffer(b"\xff" * 256, 256)
    renga.trainer_options_init(buffer, 24)
    older = renga.made("trainer_create_with", network, RECIPE, buffer)
    assert algorithms(renga, older) == algorithms(renga, made(renga, network))
    renga.trainer_free(older)
