"""Files that are there whole or not at all: written beside, synced, renamed. Not here: network files (the library
writes those).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write; it takes `path`'s place when the block ends well, and leaves no trace when it does not."""
    target = Path(path)
    descriptor, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(beside, 0o666 & ~mask)  # mkstemp's 0600 is not what a file made by open() would have
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise
