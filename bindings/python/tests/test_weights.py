"""Weights under other programs' names: files of the safetensors package, PyTorch's state_dict in and out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY

import renga

GOLDEN = Path(__file__).resolve().parent / "torchvision_names.json"


def same(a: renga.Network, b: renga.Network) -> bool:
    return all(np.array_equal(a.parameters[name], b.parameters[name]) for name in a.parameters)


def test_round_trip(tmp_path: Path, network: renga.Network) -> None:
    path = tmp_path / "weights.safetensors"
    table = {"body.*": "stage*", "*": "*"}
    for names in ("renga", "pytorch", "torchvision", table):
        other = renga.Network.create("resnet", seed=9, **TINY)
        assert not same(other, network)
        network.save_weights(path, names)
        other.load_weights(path, names)
        assert same(other, network)


def test_failures_change_nothing(tmp_path: Path, network: renga.Network) -> None:
    path = tmp_path / "weights.safetensors"
    network.save_weights(path, "torchvision")
    larger = renga.Network.create("resnet", seed=9, **(TINY | {"classes": 5}))
    before = larger.to_bytes()
    with pytest.raises(renga.ShapeMismatch, match=r"fc.bias \[3\], expected \[5\]"):
        larger.load_weights(path, "torchvision")
    with pytest.raises(renga.NotFound, match="missing"):
        larger.load_weights(path, "pytorch")
    with pytest.raises(renga.InvalidArgument, match="theirs=ours"):
        larger.load_weights(path, "torch")
    with pytest.raises(renga.Unsupported, match="cnn"):
        renga.Network.create("cnn").load_weights(path, "torchvision")
    assert larger.to_bytes() == before
    larger.load_weights(path, "torchvision\n=fc.*")
    assert np.array_equal(larger.parameters["stem.conv1.weight"], network.parameters["stem.conv1.weight"])


@pytest.mark.parametrize(("name", "case"), json.loads(GOLDEN.read_text()).items())
def test_torchvision_names(tmp_path: Path, name: str, case: dict[str, Any]) -> None:
    """Names and extents are those of torchvision's own models (Tests/golden/torchvision_names.py wrote the list)."""
    path = tmp_path / "weights.safetensors"
    with renga.Network.create_from_text(case["architecture"], case["options"]) as network:
        network.save_weights(path, "torchvision")
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    ours = {key: entry["shape"] for key, entry in header.items() if key != "__metadata__"}
    assert ours == case["tensors"]


def test_files_of_the_safetensors_package(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy", reason="pip install safetensors")
    network = renga.Network.create("resnet", seed=1, **TINY)
    path = tmp_path / "weights.safetensors"
    network.save_weights(path, "pytorch")
    tensors = safetensors.load_file(path)
    assert tensors.keys() >= {"stem.conv1.weight", "stem.bn1.running_var", "fc.bias"}
    for kind in (np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_):
        numbers = {name: (tensor * 50).astype(kind) for name, tensor in tensors.items()}
        numbers["stem.bn1.num_batches_tracked"] = np.array(3, dtype=np.int64)
        safetensors.save_file(numbers, path, metadata={"format": "pt", "by": "a test"})
        network.load_weights(path, "pytorch")
        for name, leaf in (
            ("stem.conv1.weight", "stem.conv1.weight"),
            ("stem.bn1.running_mean", "stem.bn1.running_mean"),
        ):
            expected = numbers[name].astype(np.float32)
            ours = network.parameters[leaf]
            assert np.array_equal(ours.transpose(3, 2, 0, 1) if ours.ndim == 4 else ours, expected), kind


def test_pytorch(tmp_path: Path) -> None:
    """A module whose layers have our layers' names: weights go both ways, and answers agree."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    files = pytest.importorskip("safetensors.torch", reason="pip install safetensors")

    class Net(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 6, 3, padding=1, groups=3)
            self.norm = torch.nn.BatchNorm2d(6)
            self.slopes = torch.nn.PReLU(6)
            self.up = torch.nn.ConvTranspose2d(6, 4, 2, stride=2)
            self.flat_norm = torch.nn.BatchNorm1d(4 * 8 * 12)
            self.fc = torch.nn.Linear(4 * 8 * 12, 5)

        def forward(self, x: Any) -> Any:
            x = torch.flatten(self.up(self.slopes(self.norm(self.conv(x)))), 1)
            return self.fc(torch.relu(self.flat_norm(x)))

    module = Net().eval()
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
    with renga.Builder() as builder:
        x = builder.input(4, 6, 3)
        x = builder.add("convolution", x, name="conv", channels=6, kernel=3, pad=1, groups=3)
        x = builder.add("prelu", builder.add("batch_norm", x, name="norm"), name="slopes")
        x = builder.add("conv_transpose", x, name="up", channels=4, kernel=2, stride=2)
        x = builder.add("batch_norm", builder.add("flatten", x, name="flat"), name="flat_norm")
        network = builder.finish(builder.add("linear", builder.add("relu", x), name="fc", channels=5))
    path = tmp_path / "weights.safetensors"
    files.save_file(module.state_dict(), path)
    network.load_weights(path, "pytorch")
    x = torch.rand(2, 3, 4, 6)
    theirs = module(x).detach().numpy()
    with renga.Session(network, batch=2) as session:
        ours = session.run(x.numpy(), layout="nchw")
    assert np.abs(ours.reshape(theirs.shape) - theirs).max() < 1e-5 * np.abs(theirs).max()
    network.save_weights(path, "pytorch")
    again = Net().eval()
    again.load_state_dict(files.load_file(path), strict=True)
    assert np.array_equal(again(x).detach().numpy(), theirs)
