"""renga.h as ctypes: numbers, structures and the prototype of every function.

Not here: finding and loading the library (`_library.py`), and any behaviour.
"""

from __future__ import annotations

import ctypes as c
from enum import IntEnum
from typing import Any


class Status(IntEnum):
    """What happened (`renga_status`)."""

    OK = 0
    INVALID_ARGUMENT = 1
    SHAPE_MISMATCH = 2
    NULL_POINTER = 3
    OUT_OF_MEMORY = 4
    FILE = 5
    CORRUPT_DATA = 6
    UNSUPPORTED = 7
    CANCELLED = 8
    BUSY = 9
    NOT_FINITE = 10
    NOT_FOUND = 11
    INTERNAL = 99


F32, U8 = 0, 1
PRECISION_F32, PRECISION_BF16 = 0, 1
NHWC, NCHW, STRIDED = 0, 1, 2
DESCRIPTION_TEXT, DESCRIPTION_JSON, DESCRIPTION_DOT = 0, 1, 2


class Shape(c.Structure):
    """`renga_shape`: extents of a batch."""

    _fields_ = (("n", c.c_int64), ("h", c.c_int64), ("w", c.c_int64), ("c", c.c_int64))

    def as_tuple(self) -> tuple[int, int, int, int]:
        """`(n, h, w, c)`."""
        return (self.n, self.h, self.w, self.c)


class Source(c.Structure):
    """`renga_source`: images that the caller owns and the call only reads."""

    _fields_ = (("data", c.c_void_p), ("shape", Shape), ("element", c.c_int32), ("layout", c.c_int32))
    #: what `data` points to where the layout is STRIDED
    strided: Strided | None = None


class Strided(c.Structure):
    """`renga_strided`: where images lie that are not dense."""

    _fields_ = (
        ("size", c.c_size_t),
        ("data", c.c_void_p),
        ("n", c.c_int64),
        ("h", c.c_int64),
        ("w", c.c_int64),
        ("c", c.c_int64),
        ("begin", c.c_void_p),
        ("bytes", c.c_size_t),
    )


class NetworkInfo(c.Structure):
    """`renga_network_info`."""

    _fields_ = (
        ("size", c.c_size_t),
        ("parameters", c.c_int64),
        ("macs", c.c_int64),
        ("layers", c.c_int64),
        ("inputs", c.c_int32),
        ("outputs", c.c_int32),
        ("input_shape", Shape),
        ("output_shape", Shape),
    )


class SessionOptions(c.Structure):
    """`renga_session_options`."""

    _fields_ = (
        ("size", c.c_size_t),
        ("batch", c.c_int64),
        ("height", c.c_int64),
        ("width", c.c_int64),
        ("threads", c.c_int32),
        ("fold_batch_norm", c.c_int32),
        ("algorithm", c.c_char_p),
        ("precision", c.c_int32),
        ("tune", c.c_int32),
        ("linear_weights", c.c_int32),
    )


class Memory(c.Structure):
    """`renga_memory`."""

    _fields_ = (
        ("size", c.c_size_t),
        ("weights", c.c_int64),
        ("activations", c.c_int64),
        ("scratch", c.c_int64),
        ("activations_lower_bound", c.c_int64),
        ("parameters", c.c_int64),
        ("gradients", c.c_int64),
        ("optimizer", c.c_int64),
        ("batch", c.c_int64),
        ("kept", c.c_int64),
        ("recomputed_layers", c.c_int64),
        ("recomputed_macs", c.c_int64),
    )


class TrainerOptions(c.Structure):
    """`renga_trainer_options`."""

    _fields_ = (
        ("size", c.c_size_t),
        ("memory_budget", c.c_int64),
        ("threads", c.c_int32),
        ("algorithm", c.c_char_p),
        ("tune", c.c_int32),
    )


class Progress(c.Structure):
    """`renga_progress`."""

    _fields_ = (
        ("size", c.c_size_t),
        ("epoch", c.c_int64),
        ("epochs", c.c_int64),
        ("batch", c.c_int64),
        ("batches", c.c_int64),
        ("step", c.c_int64),
        ("images_per_second", c.c_double),
        ("loss", c.c_double),
        ("accuracy", c.c_double),
        ("learning_rate", c.c_double),
        ("seconds", c.c_double),
        ("seconds_left", c.c_double),
        ("test_accuracy", c.c_double),
        ("epoch_ended", c.c_int32),
    )


PROGRESS_FN = c.CFUNCTYPE(c.c_int32, c.POINTER(Progress), c.c_void_p)

_handle = c.c_void_p
_out_handle = c.POINTER(c.c_void_p)
_out_text = c.POINTER(c.c_void_p)  # not c_char_p: the pointer itself is needed to free the text
_text = c.c_char_p
_i32, _i64, _u64, _size = c.c_int32, c.c_int64, c.c_uint64, c.c_size_t
_p = c.POINTER

#: name: (restype, argtypes). `_i32` as restype stands for renga_status where the header says so.
PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "renga_last_error": (_text, ()),
    "renga_status_name": (_text, (_i32,)),
    "renga_text_free": (None, (c.c_void_p,)),
    "renga_version": (_text, ()),
    "renga_version_number": (_i32, ()),
    "renga_version_check": (_i32, (_i32,)),
    "renga_runtime_info": (_i32, (_out_text,)),
    "renga_machine_peaks": (_i32, (_i32, _out_text)),
    "renga_default_threads": (_i32, ()),
    "renga_architectures": (_i32, (_out_text,)),
    "renga_operators": (_i32, (_out_text,)),
    "renga_network_create": (_i32, (_text, _text, _u64, _out_handle)),
    "renga_network_load": (_i32, (_text, _out_handle)),
    "renga_network_load_memory": (_i32, (c.c_void_p, _size, _out_handle)),
    "renga_network_save": (_i32, (_handle, _text)),
    "renga_network_clone": (_i32, (_handle, _out_handle)),
    "renga_network_free": (None, (_handle,)),
    "renga_network_info_init": (None, (_p(NetworkInfo), _size)),
    "renga_network_get_info": (_i32, (_handle, _p(NetworkInfo))),
    "renga_network_describe": (_i32, (_handle, _i32, _out_text)),
    "renga_network_parameter_count": (_i32, (_handle, _p(_i64))),
    "renga_network_parameter_info": (_i32, (_handle, _i64, _p(_text), _p(_i64), _p(_i32))),
    "renga_network_get_parameter": (_i32, (_handle, _text, c.c_void_p, _size)),
    "renga_network_set_parameter": (_i32, (_handle, _text, c.c_void_p, _size)),
    "renga_network_get_metadata": (_i32, (_handle, _text, _out_text)),
    "renga_network_set_metadata": (_i32, (_handle, _text, _text)),
    "renga_network_set_normalization": (_i32, (_handle, c.c_void_p, c.c_void_p, _size)),
    "renga_network_fold_batch_norm": (_i32, (_handle, _out_handle, _out_text)),
    "renga_network_import_onnx": (_i32, (_text, _text, _out_handle, _out_text)),
    "renga_network_import_onnx_memory": (_i32, (c.c_void_p, _size, _text, _out_handle, _out_text)),
    "renga_network_load_weights": (_i32, (_handle, _text, _text)),
    "renga_network_save_weights": (_i32, (_handle, _text, _text)),
    "renga_network_export_onnx": (_i32, (_handle, _text, _text)),
    "renga_builder_create": (_i32, (_out_handle,)),
    "renga_builder_free": (None, (_handle,)),
    "renga_builder_add_input": (_i32, (_handle, _text, _i64, _i64, _i64, _p(_i32))),
    "renga_builder_add_layer": (_i32, (_handle, _text, _text, _text, _p(_i32), _size, _p(_i32))),
    "renga_builder_shape": (_i32, (_handle, _i32, _p(Shape))),
    "renga_builder_finish": (_i32, (_handle, _p(_i32), _size, _text, _u64, _out_handle)),
    "renga_session_options_init": (None, (_p(SessionOptions), _size)),
    "renga_session_create": (_i32, (_handle, _p(SessionOptions), _out_handle)),
    "renga_session_load": (_i32, (_text, _p(SessionOptions), _out_handle)),
    "renga_session_free": (None, (_handle,)),
    "renga_session_input_shape": (_i32, (_handle, _i32, _p(Shape))),
    "renga_session_output_shape": (_i32, (_handle, _i32, _p(Shape))),
    "renga_session_run": (_i32, (_handle, _p(Source), c.c_void_p, _size, _i32)),
    "renga_session_run_many": (_i32, (_handle, _p(Source), _size, _p(c.c_void_p), _p(_size), _size, _i32)),
    "renga_memory_init": (None, (_p(Memory), _size)),
    "renga_session_memory": (_i32, (_handle, _p(Memory))),
    "renga_network_session_memory": (_i32, (_handle, _p(SessionOptions), _p(Memory))),
    "renga_session_profile": (_i32, (_handle, _i32, _out_text)),
    "renga_strided_init": (None, (_p(Strided), _size)),
    "renga_dataset_create": (_i32, (_p(Source), c.c_void_p, _i32, _out_handle)),
    "renga_dataset_open": (_i32, (_text, _text, _out_handle)),
    "renga_dataset_open_idx": (_i32, (_text, _text, _out_handle)),
    "renga_dataset_free": (None, (_handle,)),
    "renga_dataset_take": (_i32, (_handle, _i64, _i64, _out_handle)),
    "renga_dataset_info": (_i32, (_handle, _p(Shape), _p(_i32))),
    "renga_dataset_get": (_i32, (_handle, _i64, _i64, c.c_void_p, _size, c.c_void_p, _size)),
    "renga_dataset_class_name": (_i32, (_handle, _i32, _p(_text))),
    "renga_recipes": (_i32, (_out_text,)),
    "renga_trainer_create": (_i32, (_handle, _text, _i32, _out_handle)),
    "renga_trainer_options_init": (None, (_p(TrainerOptions), _size)),
    "renga_trainer_create_with": (_i32, (_handle, _text, _p(TrainerOptions), _out_handle)),
    "renga_network_trainer_memory": (_i32, (_handle, _text, _p(TrainerOptions), _p(Memory))),
    "renga_trainer_free": (None, (_handle,)),
    "renga_trainer_fit": (_i32, (_handle, _handle, _handle, _text, PROGRESS_FN, c.c_void_p)),
    "renga_trainer_step": (_i32, (_handle, _p(Source), c.c_void_p, _p(c.c_double), _p(_i64))),
    "renga_trainer_network": (_i32, (_handle, _out_handle)),
    "renga_trainer_history": (_i32, (_handle, _out_text)),
    "renga_trainer_gates": (_i32, (_handle, _out_text)),
    "renga_trainer_force_gates": (_i32, (_handle, _text)),
    "renga_trainer_profile": (_i32, (_handle, _i32, _out_text)),
    "renga_trainer_memory": (_i32, (_handle, _p(Memory))),
    "renga_trainer_save": (_i32, (_handle, _text)),
    "renga_trainer_resume": (_i32, (_text, _i32, _out_handle)),
    "renga_trainer_resume_with": (_i32, (_text, _p(TrainerOptions), _out_handle)),
    "renga_evaluate": (_i32, (_handle, _handle, _i32, _p(c.c_double), _p(c.c_double), c.c_void_p, _size)),
    "renga_evaluate_in": (_i32, (_handle, _handle, _i32, _i32, _p(c.c_double), _p(c.c_double), c.c_void_p, _size)),
}
