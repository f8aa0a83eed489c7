"""Options in Python's words -> the library's text form `name=value,…`. The library checks names and bounds."""

from __future__ import annotations

import operator
from collections.abc import Mapping

from . import _abi
from ._errors import InvalidArgument

#: What an option's value may be: (32, 32, 3) becomes "32x32x3", True "yes".
OptionValue = bool | int | float | str | tuple[int, ...] | list[int]
MAX_THREADS = 256
MAX_EXTENT = 2**30
MAX_SEED = 2**64 - 1


def option_text(name: str, value: OptionValue) -> str:
    """`name=value`."""
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, (tuple, list)):
        text = "x".join(str(int(extent)) for extent in value)
    else:
        text = str(value)
    if not name or any(sign in name for sign in ",="):
        raise InvalidArgument(f"{name!r} is no name of an option")
    if "," in text or "=" in text:
        raise InvalidArgument(f"option {name}: {text!r} holds a comma or an equals sign")
    return f"{name}={text}"


def options_text(options: Mapping[str, OptionValue], first: str = "") -> str:
    """`first,name=value,…`; "" when there is nothing to say."""
    parts = [first] if first else []
    return ",".join(parts + [option_text(name, value) for name, value in options.items()])


#: What sessions and trainers compute in.
PRECISIONS = {"f32": _abi.PRECISION_F32, "bf16": _abi.PRECISION_BF16}


def precision_code(precision: str, name: str = "precision") -> int:
    """The number of a precision's name, given as the argument `name`."""
    try:
        return PRECISIONS[precision]
    except (KeyError, TypeError):
        raise InvalidArgument(f"{name} is {precision!r}; known: {', '.join(map(repr, PRECISIONS))}") from None


def whole(value: int, name: str, low: int, high: int) -> int:
    """`value` as an int within [low, high]: ctypes itself would wrap larger ones silently."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidArgument(f"{name} is {value!r}; expected a whole number") from None
    if not low <= number <= high:
        raise InvalidArgument(f"{name} is {number}; expected {low} to {high}")
    return number
