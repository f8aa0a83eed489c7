"""Every code block of the README, the guides and the Python package's page: compiled, run, or found in the file it names.

A document's blocks share a folder and run in order: C and C++ are compiled against an installed tree, strictly, and run unless a later
block does; Python and shell run; a `text` block is what the block above printed, numbers aside. A block of a kind that is not known here is
an error: none stays unchecked. Swift is shown as parts of examples/swift. Not here: prose and links (docs/site)."""

import dataclasses
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy
import pytest
from PIL import Image

import blocks

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = pathlib.Path(os.environ.get("RENGA_LIBRARY", ROOT / ".build" / "release" / "librenga.so"))
DOCUMENTS = [ROOT / "README.md", ROOT / "bindings" / "python" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STRICT = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
# What the documents name and a test cannot have: sixty thousand images.
SMALLER = {"/usr/share/datasets/fashion-mnist": "tiny", "--data fashion-mnist": "--data tiny", '"fashion-mnist"': '"tiny"'}


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The library as `make install` lays it out."""
    prefix = tmp_path_factory.mktemp("installed")
    version = re.findall(r"^#define RENGA_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)$", (ROOT / "include" / "renga.h").read_text(), flags=re.M)
    places = {"PREFIX": prefix, "LIBDIR": prefix / "lib", "INCLUDEDIR": prefix / "include", "DOCDIR": prefix / "doc"}
    subprocess.run([ROOT / "bindings" / "c" / "install.sh", "install", LIBRARY, ".".join(version)], check=True, capture_output=True,
                   env={**os.environ, **{name: str(path) for name, path in places.items()}})
    return prefix


@pytest.fixture(scope="session")
def environment(installed, tmp_path_factory):
    """The commands and variables of a user who has installed everything."""
    commands = tmp_path_factory.mktemp("commands")
    for name, line in {"python3": "", "renga": "-m renga "}.items():
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {line}"$@"\n', encoding="ascii")
        (commands / name).chmod(0o755)
    return {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "PKG_CONFIG_PATH": str(installed / "lib" / "pkgconfig"),
            "LD_LIBRARY_PATH": str(installed / "lib"), "RENGA_LIBRARY": str(installed / "lib" / "librenga.so"),
            "PYTHONPATH": str(ROOT / "bindings" / "python" / "src"), "RENGA_NUM_THREADS": "2", "SWIFT_BACKTRACE": "enable=no"}


def run(command, folder, environment, where):
    child = subprocess.run([str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert child.returncode == 0, f"{where}: {child.returncode}\n{child.stdout}{child.stderr}"
    return child.stdout


@pytest.fixture(scope="session")
def files(tmp_path_factory, environment):
    """What the documents suppose to be there: a network of the demo, a set in IDX files of ten classes, folders of photos, and what
    examples/python/export_from_pytorch.py writes where PyTorch is."""
    folder = tmp_path_factory.mktemp("files")
    shutil.copytree(ROOT / "Tests" / "DocumentTests" / "files", folder, dirs_exist_ok=True)
    dice = numpy.random.default_rng(2)
    (folder / "demo").mkdir()
    (folder / "tiny").mkdir()
    program = ("import renga; renga.Network.create('cnn', stages=1, convolutions=1, width=4, classes=10, input=(28, 28, 1), seed=1)"
               ".save('demo/fashion-mnist.safetensors')")
    run([sys.executable, "-c", program], folder, environment, "the demo's network")
    for part, count in (("train", 160), ("t10k", 40)):
        labels = numpy.arange(count) % 10
        pixels = dice.integers(0, 80, (count, 28, 28)) + (labels * 17)[:, None, None]
        for kind, values, code in (("images-idx3", pixels, 0x803), ("labels-idx1", labels, 0x801)):
            head = numpy.array([code, *values.shape], ">i4").tobytes()
            (folder / "tiny" / f"{part}-{kind}-ubyte").write_bytes(head + values.astype(numpy.uint8).tobytes())
    for label, name in enumerate(("cats", "dogs")):
        (folder / "photos" / name).mkdir(parents=True)
        for index in range(40):
            pixels = dice.integers(0, 120, (32, 32, 3)) + numpy.array([120 * label, 0, 120 * (1 - label)])
            Image.fromarray(pixels.astype(numpy.uint8)).save(folder / "photos" / name / f"{index}.png")
    return folder


def smaller(text):
    for large, small in SMALLER.items():
        text = text.replace(large, small)
    return text


def shape_of(output):
    """A program's output without its numbers and spacing: what a document can promise."""
    return re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "0", output)).strip()


class Document:
    """One document's blocks, checked in a folder of its own."""

    def __init__(self, path, folder, environment):
        self.blocks = blocks.blocks(path)
        self.folder, self.environment = folder, environment
        self.printed = None

    def check(self):
        for index, block in enumerate(self.blocks):
            if block.name and (ROOT / block.name).is_file():
                lines = [line.strip() for line in (ROOT / block.name).read_text(encoding="utf-8").splitlines()]
                wanted = [line.strip() for line in block.text.splitlines()]
                assert any(lines[at:at + len(wanted)] == wanted for at in range(len(lines))), f"{block}: {block.name} has no such lines"
                continue
            checker = getattr(self, f"check_{block.language or 'unnamed'}", None)
            assert checker, f"{block}: nothing here checks blocks of '{block.language}'"
            checker(block, "".join(later.text for later in self.blocks[index + 1:]))

    def check_c(self, block, later, compiler=("gcc", "-std=c99")):
        source = self.folder / (block.name or f"block{block.line}.c")
        source.write_text(block.text, encoding="utf-8")
        flags = run(["pkg-config", "--cflags", "--libs", "renga"], self.folder, self.environment, block).split()
        run([*compiler, *STRICT, source, *flags, "-o", source.with_suffix("")], self.folder, self.environment, block)
        if f"./{source.stem}" not in later:
            self.printed = run([source.with_suffix("")], self.folder, self.environment, block)

    def check_cpp(self, block, later):
        self.check_c(dataclasses.replace(block, name=block.name or f"block{block.line}.cpp"), later, ("g++", "-std=c++17"))

    def check_python(self, block, _):
        source = self.folder / (block.name or f"block{block.line}.py")
        source.write_text(smaller(block.text), encoding="utf-8")
        self.printed = run([sys.executable, source.name], self.folder, self.environment, block)

    def check_sh(self, block, _):
        """`make` is only asked whether it knows the target: this runs inside it."""
        text = re.sub(r"^make ", f"make -n -C {ROOT} ", smaller(block.text), flags=re.M)
        self.printed = run(["bash", "-euo", "pipefail", "-c", text], self.folder, self.environment, block)

    def check_text(self, block, _):
        assert self.printed is not None, f"{block}: no block above printed anything"
        assert shape_of(block.text) == shape_of(self.printed), f"{block}: it prints\n{self.printed}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_blocks(path, tmp_path, files, environment):
    folder = tmp_path / "document"
    shutil.copytree(files, folder)
    (folder / "Tests").symlink_to(ROOT / "Tests")
    (folder / "include").symlink_to(ROOT / "include")
    Document(path, folder, environment).check()


def test_the_export_from_pytorch(tmp_path):
    """The script whose files the guide's tests start from: run where PyTorch is, else compiled."""
    script = ROOT / "examples" / "python" / "export_from_pytorch.py"
    compile(script.read_text(encoding="utf-8"), str(script), "exec")
    if all(importlib.util.find_spec(name) for name in ("torch", "onnx", "safetensors")):
        run([sys.executable, "-W", "ignore", script, tmp_path], tmp_path, os.environ, script)
        made, kept = (numpy.load(folder / "net.npz") for folder in (tmp_path, ROOT / "Tests" / "DocumentTests" / "files"))
        assert numpy.allclose(made["answers"], kept["answers"], atol=1e-4), "Tests/DocumentTests/files is not what the script writes"


BROKEN = {
    "C that does not compile": "```c\nint main(void) { return x; }\n```\n",
    "C that fails": "```c\nint main(void) { return 1; }\n```\n",
    "Python that fails": "```python\nimport renga\nrenga.nothing()\n```\n",
    "a command that is not there": "```sh\nrenga nothing\n```\n",
    "a target that is not there": "```sh\nmake nothing\n```\n",
    "another output": "```python\nprint('one')\n```\n\n```text\ntwo\n```\n",
    "lines that the file has not": "```c examples/c/train.c\nnothing\n```\n",
    "a language that nothing checks": "```fortran\nend\n```\n",
    "no language": "```\nend\n```\n",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_wrong_block_is_found(text, tmp_path, environment):
    (tmp_path / "wrong.md").write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError):
        Document(tmp_path / "wrong.md", tmp_path, environment).check()
