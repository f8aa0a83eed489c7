"""Renga: convolutional networks on CPUs, in NumPy's terms.

>>> import renga
>>> network = renga.Network.create("resnet", depth=20, classes=10, input=(28, 28, 1))
>>> trainer = renga.Trainer(network, "fast")
>>> trainer.fit(renga.open_part("fashion-mnist", "train"))
>>> session = renga.Session(trainer.network(), batch=64)
>>> answers = session.run(images)

Networks are values; a `Trainer` trains a copy, a `Session` runs one. Everything is done by the C library librenga.so,
through ctypes.
"""

from ._abi import Status
from ._errors import (
    Busy,
    Cancelled,
    CorruptData,
    FileError,
    InvalidArgument,
    NotFinite,
    NotFound,
    OutOfMemory,
    RengaError,
    ShapeMismatch,
    Unsupported,
)
from ._library import default_threads, machine_peaks, runtime_info, version
from ._version import VERSION as __version__
from .builder import Builder, operators
from .contents import Metadata, Parameters
from .dataset import Dataset, open_part
from .evaluation import Evaluation, evaluate
from .network import Network, NetworkInfo, architectures
from .session import Memory, Session, session_memory
from .trainer import Progress, Trainer, recipes, trainer_memory

__all__ = [
    "Builder",
    "Busy",
    "Cancelled",
    "CorruptData",
    "Dataset",
    "Evaluation",
    "FileError",
    "InvalidArgument",
    "Memory",
    "Metadata",
    "Network",
    "NetworkInfo",
    "NotFinite",
    "NotFound",
    "OutOfMemory",
    "Parameters",
    "Progress",
    "RengaError",
    "Session",
    "ShapeMismatch",
    "Status",
    "Trainer",
    "Unsupported",
    "__version__",
    "architectures",
    "default_threads",
    "evaluate",
    "machine_peaks",
    "open_part",
    "operators",
    "recipes",
    "runtime_info",
    "session_memory",
    "trainer_memory",
    "version",
]
