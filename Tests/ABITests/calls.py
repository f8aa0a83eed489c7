"""Valid arguments for every function of the header, made anew for each call; which pointers may be NULL.

A function of the header without an entry here fails test_arguments: nothing can be added without being tested."""

import ctypes
import pathlib

import abi

# Pointers that the header allows to be NULL.
OPTIONAL = {
    ("renga_network_create", "options"), ("renga_network_set_metadata", "value"),
    ("renga_network_fold_batch_norm", "out_report"), ("renga_network_import_onnx", "options"),
    ("renga_network_load_weights", "names"), ("renga_network_save_weights", "names"), ("renga_network_export_onnx", "options"),
    ("renga_network_import_onnx", "out_report"), ("renga_network_import_onnx_memory", "options"),
    ("renga_network_import_onnx_memory", "out_report"), ("renga_builder_add_input", "name"),
    ("renga_builder_add_layer", "attributes"), ("renga_builder_add_layer", "name"),
    ("renga_builder_finish", "initialization"), ("renga_session_create", "options"),
    ("renga_session_load", "options"),
    ("renga_dataset_info", "out_shape"), ("renga_dataset_info", "out_classes"), ("renga_dataset_get", "images"),
    ("renga_dataset_get", "labels"), ("renga_trainer_create", "recipe"),
    ("renga_network_session_memory", "options"), ("renga_network_trainer_memory", "recipe"),
    ("renga_network_trainer_memory", "options"), ("renga_trainer_create_with", "recipe"),
    ("renga_trainer_create_with", "options"), ("renga_trainer_resume_with", "options"),
    ("renga_trainer_force_gates", "gates"), ("renga_trainer_fit", "test"),
    ("renga_trainer_fit", "checkpoint"), ("renga_trainer_fit", "progress"), ("renga_trainer_fit", "user_data"),
    ("renga_trainer_step", "out_loss"), ("renga_trainer_step", "out_correct"), ("renga_evaluate", "out_accuracy"),
    ("renga_evaluate", "out_loss"), ("renga_evaluate", "out_confusion"), ("renga_evaluate_in", "out_accuracy"),
    ("renga_evaluate_in", "out_loss"), ("renga_evaluate_in", "out_confusion"),
}




def _field(number, content):
    """A field of protobuf: bytes, or a number below 128."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def _value(name):
    """An ONNX ValueInfo of f32 [1,3,4,4]."""
    shape = b"".join(_field(1, _field(1, extent)) for extent in (1, 3, 4, 4))
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, shape)))


# An ONNX file of operator set 13 with one Relu.
RELU_ONNX = (
    _field(1, 8)
    + _field(7, _field(1, _field(1, b"x") + _field(2, b"y") + _field(4, b"Relu")) + _field(11, _value(b"x")) + _field(12, _value(b"y")))
    + _field(8, _field(2, 13))
)


class Out:
    """A pointer-sized out-parameter that starts as garbage: a failed call must clear it."""

    def __init__(self, ctype=ctypes.c_void_p, garbage=0x5A5A5A5A, size=1):
        self.storage = (ctype * size)(*[garbage] * size)
        self.garbage = garbage

    @property
    def is_clear(self):
        return all(not value for value in self.storage)

    @property
    def value(self):
        return self.storage[0]


def arguments(world, name):
    """The arguments of one valid call; out-parameters of handles and text are Out."""
    w = world
    pixels, labels = _batch()
    images = abi.source(pixels, 12, 8, 8, 1)
    one = abi.source((ctypes.c_float * 64)(), 1, 8, 8, 1)
    scores = (ctypes.c_float * 3)()
    parameter, count = _first_parameter(w)
    values = (ctypes.c_float * count)()
    ints = (ctypes.c_int32 * 64)()
    info, memory, options = abi.NetworkInfo(), abi.Memory(), abi.SessionOptions()
    w.renga.network_info_init(ctypes.byref(info), ctypes.sizeof(info))
    w.renga.memory_init(ctypes.byref(memory), ctypes.sizeof(memory))
    w.renga.session_options_init(ctypes.byref(options), ctypes.sizeof(options))
    training = abi.TrainerOptions()
    w.renga.trainer_options_init(ctypes.byref(training), ctypes.sizeof(training))
    idx = pathlib.Path(w.folder)
    images_path, labels_path = write_idx(idx)
    onnx_path = idx / "relu.onnx"
    onnx_path.write_bytes(RELU_ONNX)
    pointers = (ctypes.c_void_p * 1)(ctypes.addressof(scores))
    pointers.scores = scores
    counts = (ctypes.c_size_t * 1)(3)
    made = {
        "renga_version_check": [w.renga.version_number()],
        "renga_runtime_info": [Out()],
        "renga_machine_peaks": [1, Out()],
        "renga_architectures": [Out()],
        "renga_operators": [Out()],
        "renga_recipes": [Out()],
        "renga_network_create": [b"cnn", None, 1, Out()],
        "renga_network_load": [str(w.saved).encode(), Out()],
        "renga_network_load_memory": [w.file, len(w.file), Out()],
        "renga_network_save": [w.network, str(w.folder / "again.renga").encode()],
        "renga_network_clone": [w.network, Out()],
        "renga_network_get_info": [w.network, info],
        "renga_network_describe": [w.network, 0, Out()],
        "renga_network_parameter_count": [w.network, Out(ctypes.c_int64)],
        "renga_network_parameter_info": [w.network, 0, Out(), Out(ctypes.c_int64, size=4), Out(ctypes.c_int32)],
        "renga_network_get_parameter": [w.network, parameter, values, count],
        "renga_network_set_parameter": [w.network, parameter, values, count],
        "renga_network_get_metadata": [w.network, b"renga.architecture", Out()],
        "renga_network_set_normalization": [w.network, (ctypes.c_float * 1)(0.5), (ctypes.c_float * 1)(2), 1],
        "renga_network_set_metadata": [w.network, b"note", b"text"],
        "renga_network_fold_batch_norm": [w.network, Out(), Out()],
        "renga_network_import_onnx": [str(onnx_path).encode(), None, Out(), Out()],
        "renga_network_import_onnx_memory": [RELU_ONNX, len(RELU_ONNX), None, Out(), Out()],
        "renga_network_load_weights": [w.network, str(w.saved).encode(), b"renga"],
        "renga_network_save_weights": [w.network, str(w.folder / "weights.safetensors").encode(), b"pytorch"],
        "renga_network_export_onnx": [w.network, str(w.folder / "network.onnx").encode(), b"opset=13"],
        "renga_builder_create": [Out()],
        "renga_builder_add_input": [w.builder, b"second", 8, 8, 1, ctypes.byref(ctypes.c_int32())],
        "renga_builder_add_layer": [w.builder, b"relu", None, None, ints, 1, ctypes.byref(ctypes.c_int32())],
        "renga_builder_shape": [w.builder, 0, abi.Shape()],
        "renga_builder_finish": [w.builder, ints, 1, None, 1, Out()],
        "renga_session_create": [w.network, options, Out()],
        "renga_session_load": [str(w.saved).encode(), options, Out()],
        "renga_session_input_shape": [w.session, 0, abi.Shape()],
        "renga_session_output_shape": [w.session, 0, abi.Shape()],
        "renga_session_run": [w.session, one, scores, 3, 0],
        "renga_session_run_many": [w.session, one, 1, pointers, counts, 1, 0],
        "renga_session_memory": [w.session, memory],
        "renga_network_session_memory": [w.network, options, memory],
        "renga_network_trainer_memory": [w.network, b"batch=4", training, memory],
        "renga_session_profile": [w.session, 1, Out()],
        "renga_dataset_create": [images, labels, 3, Out()],
        "renga_dataset_open": [str(w.folder).encode(), b"train", Out()],
        "renga_dataset_open_idx": [str(images_path).encode(), str(labels_path).encode(), Out()],
        "renga_dataset_take": [w.dataset, 0, 4, Out()],
        "renga_dataset_info": [w.dataset, abi.Shape(), Out(ctypes.c_int32)],
        "renga_dataset_get": [w.dataset, 0, 1, (ctypes.c_float * 64)(), 64, ints, 1],
        "renga_dataset_class_name": [w.dataset, 0, Out()],
        "renga_trainer_create": [w.network, None, 1, Out()],
        "renga_trainer_create_with": [w.network, None, training, Out()],
        "renga_trainer_fit": [w.trainer, w.dataset, None, None, abi.ProgressFn(), None],
        "renga_trainer_step": [w.trainer, images, labels, Out(ctypes.c_double, 1.0), Out(ctypes.c_int64)],
        "renga_trainer_network": [w.trainer, Out()],
        "renga_trainer_history": [w.trainer, Out()],
        "renga_trainer_gates": [w.trainer, Out()],
        "renga_trainer_force_gates": [w.trainer, None],
        "renga_trainer_profile": [w.trainer, 1, Out()],
        "renga_trainer_memory": [w.trainer, memory],
        "renga_trainer_save": [w.trainer, str(w.folder / "trainer.renga").encode()],
        "renga_trainer_resume": [str(w.checkpoint).encode(), 1, Out()],
        "renga_trainer_resume_with": [str(w.checkpoint).encode(), training, Out()],
        "renga_evaluate": [w.network, w.dataset, 1, Out(ctypes.c_double, 1.0), Out(ctypes.c_double, 1.0),
                           (ctypes.c_int64 * 9)(), 9],
        "renga_evaluate_in": [w.network, w.dataset, 1, 1, Out(ctypes.c_double, 1.0), Out(ctypes.c_double, 1.0),
                              (ctypes.c_int64 * 9)(), 9],
    }[name]
    return made


def passed(arguments):
    """The arguments as ctypes wants them."""
    return [argument.storage if isinstance(argument, Out)
            else ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else argument
            for argument in arguments]


def release(renga, name, arguments):
    """Frees what a successful call made."""
    for parameter, argument in zip(abi.FUNCTIONS[name].parameters, arguments):
        if not isinstance(argument, Out) or parameter.type.startswith("const char"):
            continue
        if parameter.type == "char * *":
            renga.text_free(argument.value)
        elif parameter.type.endswith("* *"):
            getattr(renga, parameter.type.split()[0].removeprefix("renga_") + "_free")(argument.value)


def write_idx(folder):
    """A pair of IDX files of 12 images [8,8,1] by MNIST's names, for both parts."""
    pixels, labels = _batch()
    for part in ("train", "t10k"):
        header = (0x803).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in (12, 8, 8))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + bytes(pixels))
        header = (0x801).to_bytes(4, "big") + (12).to_bytes(4, "big")
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + bytes(list(labels)))
    return folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"


def _batch():
    pixels = (ctypes.c_uint8 * (12 * 64))(*[(7 * i) % 256 for i in range(12 * 64)])
    return pixels, (ctypes.c_int32 * 12)(*[i % 3 for i in range(12)])


def _first_parameter(world):
    name, dimensions = next(iter(world.renga.parameters(world.network).items()))
    count = 1
    for extent in dimensions:
        count *= extent
    return name.encode(), count
