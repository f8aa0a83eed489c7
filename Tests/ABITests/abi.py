"""The library as a foreign host sees it: every declaration of renga.h bound by ctypes, straight from the header's text.

Not here: the Python package (bindings/python), any test. What the header declares and this reader cannot bind is an error."""

import ctypes
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "renga.h"
LIBRARY = pathlib.Path(os.environ.get("RENGA_LIBRARY", ROOT / ".build" / "release" / "librenga.so"))

HANDLES = ("renga_network", "renga_builder", "renga_session", "renga_dataset", "renga_trainer")


class Shape(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in "nhwc"]

    def extents(self):
        return self.n, self.h, self.w, self.c


class Source(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("shape", Shape), ("element", ctypes.c_int32), ("layout", ctypes.c_int32)]


class Strided(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("data", ctypes.c_void_p), ("n", ctypes.c_int64), ("h", ctypes.c_int64),
                ("w", ctypes.c_int64), ("c", ctypes.c_int64), ("begin", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


class NetworkInfo(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("parameters", ctypes.c_int64), ("macs", ctypes.c_int64),
                ("layers", ctypes.c_int64), ("inputs", ctypes.c_int32), ("outputs", ctypes.c_int32),
                ("input_shape", Shape), ("output_shape", Shape)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("batch", ctypes.c_int64), ("height", ctypes.c_int64),
                ("width", ctypes.c_int64), ("threads", ctypes.c_int32), ("fold_batch_norm", ctypes.c_int32),
                ("algorithm", ctypes.c_char_p), ("precision", ctypes.c_int32), ("tune", ctypes.c_int32),
                ("linear_weights", ctypes.c_int32)]


class Memory(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("weights", ctypes.c_int64), ("activations", ctypes.c_int64),
                ("scratch", ctypes.c_int64), ("activations_lower_bound", ctypes.c_int64),
                ("parameters", ctypes.c_int64), ("gradients", ctypes.c_int64), ("optimizer", ctypes.c_int64),
                ("batch", ctypes.c_int64), ("kept", ctypes.c_int64), ("recomputed_layers", ctypes.c_int64),
                ("recomputed_macs", ctypes.c_int64)]


class TrainerOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("memory_budget", ctypes.c_int64), ("threads", ctypes.c_int32),
                ("algorithm", ctypes.c_char_p), ("tune", ctypes.c_int32)]


class Progress(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("epoch", ctypes.c_int64), ("epochs", ctypes.c_int64),
                ("batch", ctypes.c_int64), ("batches", ctypes.c_int64), ("step", ctypes.c_int64),
                ("images_per_second", ctypes.c_double), ("loss", ctypes.c_double), ("accuracy", ctypes.c_double),
                ("learning_rate", ctypes.c_double), ("seconds", ctypes.c_double), ("seconds_left", ctypes.c_double),
                ("test_accuracy", ctypes.c_double), ("epoch_ended", ctypes.c_int32)]


ProgressFn = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(Progress), ctypes.c_void_p)

STRUCTS = {"renga_shape": Shape, "renga_source": Source, "renga_strided": Strided,
           "renga_network_info": NetworkInfo,
           "renga_session_options": SessionOptions,
           "renga_trainer_options": TrainerOptions, "renga_memory": Memory, "renga_progress": Progress}
NUMBERS = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64,
           "size_t": ctypes.c_size_t, "renga_status": ctypes.c_int32}


class Parameter:
    """One parameter of a C function: its name and C type."""

    def __init__(self, text):
        match = re.fullmatch(r"(.*?)(\w+)(\[\w+\])?", text.strip())
        self.name = match.group(2)
        self.type = " ".join(match.group(1).replace("*", " * ").split()) + (" *" if match.group(3) else "")
        self.is_pointer = "*" in self.type or self.type == "renga_progress_fn"
        self.handle = next((name for name in HANDLES if self.type in (f"{name} *", f"const {name} *")), None)

    @property
    def ctype(self):
        if self.type == "renga_progress_fn":
            return ProgressFn
        return ctypes.c_void_p if self.is_pointer else NUMBERS[self.type]


class Function:
    """One declaration of the header."""

    def __init__(self, result, name, parameters):
        self.name = name
        self.result = " ".join(result.replace("*", " * ").split())
        self.parameters = [] if parameters.strip() == "void" else [Parameter(text) for text in parameters.split(",")]

    @property
    def returns_status(self):
        return self.result == "renga_status"


def declarations():
    """The functions of the header, in its order."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(encoding="utf-8"), flags=re.S)
    pattern = r"RENGA_API\s+(?:RENGA_MUST_CHECK\s+)?([\w\s*]+?)\s*\b(renga_\w+)\s*\(([^;]*?)\)\s*;"
    return {match[1]: Function(*match) for match in re.findall(pattern, text)}


def constants():
    """Enumerators and number macros of the header, by name."""
    text = HEADER.read_text(encoding="utf-8")
    pairs = re.findall(r"^\s*(?:#define )?(RENGA_[A-Z0-9_]+)(?: =)? (\d+)\b", text, flags=re.M)
    pairs += re.findall(r"\b(RENGA_[A-Z0-9_]+) = (\d+)", text)
    return {name: int(value) for name, value in pairs}


FUNCTIONS = declarations()
CONSTANTS = constants()
globals().update({name.removeprefix("RENGA_"): value for name, value in CONSTANTS.items()})


def load(path=LIBRARY):
    """The library with every function's types set."""
    library = ctypes.CDLL(str(path))
    for function in FUNCTIONS.values():
        bound = getattr(library, function.name)
        bound.argtypes = [parameter.ctype for parameter in function.parameters]
        if function.result == "void":
            bound.restype = None
        else:
            bound.restype = ctypes.c_char_p if "*" in function.result else NUMBERS[function.result]
    return library


class Failure(Exception):
    """A call that did not return RENGA_OK."""

    def __init__(self, name, status, message):
        super().__init__(f"{name}: {status}: {message}")
        self.status = status
        self.message = message


class Renga:
    """Calls by short name ("network_create"): raises Failure where the status is not RENGA_OK."""

    def __init__(self, path=LIBRARY):
        self.library = load(path)

    def __getattr__(self, name):
        function = getattr(self.library, "renga_" + name)
        if not FUNCTIONS["renga_" + name].returns_status:
            return function

        def call(*arguments):
            status = function(*arguments)
            if status != CONSTANTS["RENGA_OK"]:
                raise Failure(name, status, self.message())

        return call

    def status(self, name, *arguments):
        """The status of a call that may fail."""
        return getattr(self.library, "renga_" + name)(*arguments)

    def message(self):
        return self.library.renga_last_error().decode()

    def made(self, name, *arguments):
        """What `name(arguments…, &out)` makes: a handle's address."""
        out = ctypes.c_void_p()
        getattr(self, name)(*arguments, ctypes.byref(out))
        return out.value

    def text(self, name, *arguments):
        """The text of `name(arguments…, &text)`; None where it gives none."""
        out = ctypes.c_void_p()
        getattr(self, name)(*arguments, ctypes.byref(out))
        if out.value is None:
            return None
        text = ctypes.string_at(out).decode()
        self.library.renga_text_free(out)
        return text

    def parameters(self, network):
        """{name: dimensions} of a network, in its order."""
        count = ctypes.c_int64()
        self.network_parameter_count(network, ctypes.byref(count))
        found = {}
        for index in range(count.value):
            name, rank = ctypes.c_char_p(), ctypes.c_int32()
            dimensions = (ctypes.c_int64 * 4)()
            self.network_parameter_info(network, index, ctypes.byref(name), dimensions, ctypes.byref(rank))
            found[name.value.decode()] = list(dimensions)[: rank.value]
        return found

    def weights(self, network):
        """{name: bytes} of all parameters of a network: equal exactly where the networks are."""
        values = {}
        for name, dimensions in self.parameters(network).items():
            count = 1
            for extent in dimensions:
                count *= extent
            buffer = (ctypes.c_float * count)()
            self.network_get_parameter(network, name.encode(), buffer, count)
            values[name] = bytes(buffer)
        return values

    def session(self, network, **fields):
        options = SessionOptions()
        self.session_options_init(ctypes.byref(options), ctypes.sizeof(options))
        for name, value in fields.items():
            setattr(options, name, value)
        return self.made("session_create", network, ctypes.byref(options))


def source(values, n, h, w, c, layout=0):
    """A source over a ctypes array of c_float or c_uint8, which it keeps alive."""
    element = CONSTANTS["RENGA_F32" if values._type_ is ctypes.c_float else "RENGA_U8"]
    made = Source(ctypes.addressof(values), Shape(n, h, w, c), element, layout)
    made.values = values
    return made
