"""The arguments of every command, and how its failures end. Not here: what the commands do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from .._errors import RengaError
from .._options import PRECISIONS
from .._version import VERSION
from ._bench import bench
from ._common import UsageError, byte_count, positive, positives, show, size
from ._convert import convert
from ._inspect import archs, fold, info
from ._run import run
from ._train import evaluate, train

_TUNE = "choose each convolution's algorithm by timing on this machine"
_NETWORK = "a network file, an ONNX file (.onnx), or arch:NAME,option=value,… (`renga archs` lists names and options)"
_SET = (
    "'fashion-mnist', a folder of IDX or CIFAR files, a folder of images by class, "
    "or an .npz (x_train, y_train, x_test, y_test)"
)
#: Commands that compute with a network's maps.
_COMPUTING = (run, bench, train, evaluate)


class _Parser(argparse.ArgumentParser):
    """Bad arguments are one sentence and exit status 1, like any other bad input."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _common(*, many: bool) -> _Parser:
    common = _Parser(add_help=False)
    if many:
        text = "threads to use; several counts (1,2) are compared (default: the library's rule)"
        common.add_argument("--threads", type=positives, default=[0], metavar="N,…", help=text)
    else:
        text = "threads to use (default: the library's rule)"
        common.add_argument("--threads", type=positive, default=0, metavar="N", help=text)
    common.add_argument(
        "--precision", choices=tuple(PRECISIONS), help="what maps and their products are held in (default: f32)"
    )
    common.add_argument("--json", action="store_true", help="one JSON object on standard output, nothing else there")
    common.add_argument("--quiet", action="store_true", help="no text and no progress")
    return common


def _seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of initial weights (default 0)")


def _linear_weights(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--linear-weights",
        choices=tuple(PRECISIONS),
        default="f32",
        help="what the weights of fully connected layers are kept in (default: f32)",
    )


def _budget(parser: argparse.ArgumentParser, when: str = "") -> None:
    parser.add_argument(
        "--memory-budget",
        type=byte_count,
        default=0,
        metavar="BYTES",
        help=f"{when}most bytes of the training (512M, 2G, …); activations that do not fit are computed twice",
    )


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(prog="renga", description="Convolutional networks on CPUs.")
    parser.add_argument("--version", action="version", version=f"renga {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, action: Any, summary: str) -> argparse.ArgumentParser:
        common = _common(many=name == "bench")
        made: _Parser = commands.add_parser(name, parents=[common], help=summary, description=summary + ".")
        made.set_defaults(action=action)
        return made

    one = command("info", info, "summary, layers and drawing of a network")
    one.add_argument("network", metavar="NETWORK", help=_NETWORK)
    one.add_argument("--layers", action="store_true", help="a table of the layers")
    one.add_argument("--dot", metavar="FILE", help="write a drawing for Graphviz")
    one.add_argument("--memory", action="store_true", help="bytes of a session, or of training, before it runs")
    one.add_argument("--batch", type=positive, metavar="N", help="with --memory: images (default 1; with --train 128)")
    one.add_argument("--size", type=size, metavar="HxW", help="with --memory: image size (default: the network's own)")
    one.add_argument("--train", action="store_true", help="with --memory: of training")
    _budget(one, "with --memory --train: ")
    _seed(one)

    one = command("archs", archs, "architectures, their options, defaults and bounds")
    one.add_argument("name", metavar="NAME", nargs="?", help="one architecture (default: all)")

    one = command("run", run, "inference on an .npy")
    one.add_argument("network", metavar="NETWORK", help=_NETWORK)
    one.add_argument("--input", required=True, metavar="X.npy", help="[N,H,W,C], f32 or u8")
    one.add_argument("--output", required=True, metavar="Y.npy", help="the answers, f32")
    one.add_argument("--layout", choices=("nhwc", "nchw"), default="nhwc", help="order of the axes of both files")
    one.add_argument("--batch", type=positive, metavar="N", help="images at a time (default: up to 32)")
    one.add_argument("--tune", action="store_true", help=_TUNE)
    _linear_weights(one)
    _seed(one)

    one = command("bench", bench, "time inference, or a training step, on random input")
    one.add_argument("network", metavar="NETWORK", help=_NETWORK)
    one.add_argument("--batch", type=positive, metavar="N", help="images at a time (default 1; with --train 128)")
    one.add_argument(
        "--size", type=size, metavar="HxW", help="image size (default: the network's own; with --train for arch:NAME)"
    )
    one.add_argument("--runs", type=positive, default=20, metavar="N", help="timed runs, after a warm-up (default 20)")
    one.add_argument("--profile", action="store_true", help="each step's time, GFLOP/s, GB/s and part of the limit")
    one.add_argument("--train", action="store_true", help="time a training step instead")
    _budget(one, "with --train: ")
    one.add_argument("--tune", action="store_true", help=_TUNE)
    _linear_weights(one)
    _seed(one)

    one = command("train", train, "train a network on a set of images")
    one.add_argument("network", metavar="NETWORK", help=_NETWORK)
    one.add_argument("--data", required=True, metavar="SET", help=_SET)
    one.add_argument("--out", required=True, metavar="FILE", help="the trained network")
    one.add_argument("--epochs", type=positive, metavar="N", help="times through the set (default: the recipe's)")
    one.add_argument(
        "--recipe", metavar="NAME", help="a preset, with options after it: fast,batch=64 (default: the library's)"
    )
    _budget(one)
    one.add_argument("--tune", action="store_true", help=_TUNE)
    one.add_argument("--limit", type=positive, metavar="N", help="train on the first N images only")
    one.add_argument(
        "--resume",
        action="store_true",
        help="go on from FILE.checkpoint, which an interrupted run left (with its network and recipe)",
    )
    _seed(one)

    one = command("eval", evaluate, "accuracy and confusion matrix over a set's test part")
    one.add_argument("network", metavar="NETWORK", help=_NETWORK)
    one.add_argument("--data", required=True, metavar="SET", help=_SET)
    _seed(one)

    one = command("convert", convert, "read or write ONNX; load or save weights under PyTorch's names")
    one.add_argument("network", metavar="NETWORK", help=_NETWORK)
    one.add_argument("out", metavar="OUT", help="OUT.onnx, a network file, or with --names a file of weights")
    one.add_argument(
        "--size", type=size, metavar="HxW", help="of NETWORK.onnx: image size where it leaves it open (224x224)"
    )
    one.add_argument(
        "--layout",
        choices=("auto", "nchw", "nhwc"),
        default="auto",
        help="of NETWORK.onnx: axes of its images (default: as found)",
    )
    one.add_argument("--weights", metavar="FILE", help="a safetensors file of weights to load first, under --names")
    one.add_argument(
        "--names",
        metavar="NAMES",
        help="names in the file of weights: pytorch, torchvision, lines theirs=ours with commas between, or @FILE",
    )
    one.add_argument("--opset", type=positive, metavar="N", help="of OUT.onnx: version of its operators (default 17)")
    one.add_argument("--fold", action="store_true", help="of OUT.onnx: fold batch norms into convolutions")
    one.add_argument("--dynamic-size", action="store_true", help="of OUT.onnx: leave rows and columns open")
    _seed(one)

    one = command("fold", fold, "fold batch norms into convolutions")
    one.add_argument("network", metavar="NETWORK", help=_NETWORK)
    one.add_argument("out", metavar="OUT", help="the folded network")
    _seed(one)
    return parser


def run_command(arguments: Sequence[str]) -> int:
    """Parses and runs; returns the exit status. Lets KeyboardInterrupt through."""
    try:
        options = make_parser().parse_args(arguments)
        plans = options.action in _COMPUTING or getattr(options, "memory", False)
        if options.precision not in (None, "f32") and not plans:
            raise UsageError(f"{options.command} computes nothing in {options.precision}: leave --precision out")
        text, result = options.action(options)
        show(options, text, result)
        return 0
    except BrokenPipeError:
        raise
    except (UsageError, RengaError, OSError, MemoryError) as error:
        print(f"renga: {_sentence(error)}", file=sys.stderr)
        return 1


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or ("out of memory" if isinstance(error, MemoryError) else type(error).__name__)
