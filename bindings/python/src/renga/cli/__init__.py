"""The command line, `renga` or `python -m renga`: a thin layer over the package, for people and scripts.

Exit status: 0; 1 with one sentence on standard error for bad input; 130 when interrupted. Not here: the commands
themselves (inspect.py, run.py, train.py).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    try:
        # Imported here so that Ctrl-C while NumPy loads ends like any other.
        from ._parser import run_command

        return run_command(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt as error:
        _say(str(error) or "interrupted")
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader of standard output has gone: nothing to say, and nobody to say it to at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ImportError as error:
        _say(str(error))
        return 1


def _say(sentence: str) -> None:
    print(f"renga: {sentence}", file=sys.stderr)
