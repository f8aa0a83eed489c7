"""The ctypes mirror against the header it mirrors."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from renga import Status, _abi, _version

HEADER = Path(__file__).resolve().parents[3] / "include" / "renga.h"


@pytest.fixture(scope="module")
def header() -> str:
    return re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)


def test_every_function_and_its_number_of_parameters(header: str) -> None:
    declared = {}
    for name, parameters in re.findall(r"RENGA_API[^;(]*?\b(renga_\w+)\(([^)]*)\);", header):
        declared[name] = 0 if parameters.strip() == "void" else parameters.count(",") + 1
    assert declared == {name: len(arguments) for name, (_, arguments) in _abi.PROTOTYPES.items()}


def test_statuses(header: str) -> None:
    body = re.search(r"enum renga_status \{(.*?)\}", header, re.S).group(1)
    declared = {int(value): name for name, value in re.findall(r"(RENGA_\w+) = (\d+)", body)}
    assert declared == {
        status.value: "RENGA_" + (status.name if status.name in ("OK", "CANCELLED") else "ERROR_" + status.name)
        for status in Status
    }


@pytest.mark.parametrize(
    ("name", "mirror"),
    [
        ("shape", _abi.Shape),
        ("source", _abi.Source),
        ("strided", _abi.Strided),
        ("network_info", _abi.NetworkInfo),
        ("session_options", _abi.SessionOptions),
        ("memory", _abi.Memory),
        ("trainer_options", _abi.TrainerOptions),
        ("progress", _abi.Progress),
    ],
)
def test_structures(header: str, name: str, mirror: type[ctypes.Structure]) -> None:
    body = re.search(rf"typedef struct renga_{name} \{{(.*?)\}} renga_{name};", header, re.S).group(1)
    types = {
        "size_t": ctypes.c_size_t,
        "int64_t": ctypes.c_int64,
        "int32_t": ctypes.c_int32,
        "double": ctypes.c_double,
        "renga_shape": _abi.Shape,
        "const void *": ctypes.c_void_p,
        "const char *": ctypes.c_char_p,
    }
    declared = []
    for kind, names in re.findall(r"((?:const )?\w+ ?\*?)\s*(\w[\w, ]*);", body):
        declared += [(one.strip(), types[kind.strip()]) for one in names.split(",")]
    assert declared == list(mirror._fields_)


def test_version(header: str) -> None:
    parts = [re.search(rf"RENGA_VERSION_{part} (\d+)", header).group(1) for part in ("MAJOR", "MINOR", "PATCH")]
    assert ".".join(parts) == _version.VERSION
