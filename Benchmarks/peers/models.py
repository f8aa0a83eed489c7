"""Makes the same network, with the same weights, for every engine, once, into .build-models (a cache beside .build).

PyTorch draws the weights and settles the batch norms' statistics; all others get them from it. Each maker runs in a
process of its own (`models.py MAKER NETWORK BATCH`), so that no engine is timed in one that holds another.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from rows import NETS

HERE = Path(__file__).parent
#: Raised when what is made here changes.
_VERSION = "1"
FOLDER = HERE.parents[1] / ".build-models" / _VERSION


def size_of(name: str) -> int:
    """Rows and columns of the network's images."""
    return NETS[name].size if name in NETS else 32


@functools.cache
def images(name: str, batch: int, size: int = 0) -> np.ndarray:
    """The same random images [N,H,W,C] for every engine, drawn once."""
    size = size or size_of(name)
    return np.random.default_rng(0).standard_normal((batch, size, size, 3), dtype=np.float32)


def labels(name: str, batch: int) -> np.ndarray:
    """The same random labels [N] for every engine."""
    classes = NETS[name].classes if name in NETS else 10
    return np.random.default_rng(1).integers(0, classes, batch).astype(np.int32)


def path(name: str, file: str) -> Path:
    """A file of a network's folder."""
    return FOLDER / name / file


def torch_network(name: str):
    """The network in PyTorch with its weights: drawn once, with the statistics of one random batch, then read back."""
    import torch
    import torch_networks

    network = torch_networks.make(name)
    file = path(name, "torch.pt")
    if not file.exists():
        norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        with torch.no_grad():
            network.train()
            if norms:
                network(torch.from_numpy(images(name, 4 if size_of(name) > 64 else 32)).permute(0, 3, 1, 2))
        _write(file, lambda temporary: torch.save(network.state_dict(), temporary))
    network.load_state_dict(torch.load(file))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    return network.to(memory_format=torch.channels_last)


def _write(file: Path, write) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name("new-" + file.name)
    write(temporary)
    os.replace(temporary, file)


def make_renga(name: str, batch: int) -> None:
    """Renga's file, with PyTorch's weights: both list their layers in the order of the forward pass."""
    import torch

    import renga

    source = torch_network(name)
    spec = NETS.get(name)
    if spec:
        network = renga.Network.create(spec.architecture, seed=0, **spec.options)
    else:
        network = renga.Network.create("resnet", seed=0, depth=int(name.removeprefix("resnet")))
    values: list[np.ndarray] = []
    for module in source.modules():
        if isinstance(module, torch.nn.Conv2d):
            values.append(module.weight.detach().permute(2, 3, 1, 0).numpy())
        elif isinstance(module, torch.nn.BatchNorm2d):
            values += [module.weight.detach().numpy(), module.bias.detach().numpy()]
            values += [module.running_mean.numpy(), module.running_var.numpy()]
        elif isinstance(module, torch.nn.Linear):
            weight = module.weight.detach().numpy()
            if module.in_features == 512 * 49:  # PyTorch flattens [C,H,W], Renga [H,W,C]
                weight = weight.reshape(-1, 512, 49).transpose(0, 2, 1).reshape(weight.shape)
            values.append(weight.T)
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module.bias is not None:
            values.append(module.bias.detach().numpy())
    parameters = network.parameters
    for key, value in zip(list(parameters), values, strict=True):
        parameters[key] = value
    _write(path(name, "facts.json"), lambda file: file.write_text(json.dumps({"macs": network.info.macs})))
    _write(path(name, "renga.safetensors"), network.save)


def macs(name: str) -> int:
    """Multiply-accumulates of one image, by Renga's count."""
    return int(json.loads(path(name, "facts.json").read_text())["macs"])


def make_onnx(name: str, batch: int) -> None:
    """ONNX with the batch in its input's shape (0 = batch and image size open), as exported by PyTorch."""
    import warnings

    import torch

    warnings.simplefilter("ignore")
    example = torch.zeros(batch or 2, 3, size_of(name), size_of(name))
    axes = None if batch else {"x": {0: "n", 2: "h", 3: "w"}}
    options = dict(input_names=["x"], output_names=["y"], dynamic_axes=axes, dynamo=False, opset_version=17)
    network = torch_network(name).eval()
    _write(path(name, f"b{batch}.onnx"), lambda file: torch.onnx.export(network, (example,), str(file), **options))


def make_reference(name: str, batch: int, precision: str = "f32") -> None:
    """PyTorch's answer to `images`; in bf16 by its autocast."""
    import torch

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        answer = torch_network(name).eval()(torch.from_numpy(images(name, batch)).permute(0, 3, 1, 2)).float().numpy()
    with open(path(name, "new-reference.npy"), "wb") as file:
        np.save(file, answer)
    kind = "reference" if precision == "f32" else "reference_bf16"
    os.replace(path(name, "new-reference.npy"), path(name, _MADE[kind].format(batch)))


def make_reference_bf16(name: str, batch: int) -> None:
    """What bf16 alone does to PyTorch's answer: the measure for every engine's."""
    make_reference(name, batch, "bf16")


def make_mnn(name: str, batch: int) -> None:
    """MNN's file from the ONNX one."""
    onnx = need("onnx", name, batch)
    tool = Path(sys.executable).with_name("mnnconvert")
    made = path(name, f"new-b{batch}.mnn")
    command = [tool, "-f", "ONNX", "--modelFile", onnx, "--MNNModel", made, "--bizCode", "renga"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    os.replace(made, path(name, f"b{batch}.mnn"))


def make_ncnn(name: str, batch: int) -> None:
    """ncnn's pair of files by pnnx from TorchScript, in f32."""
    import torch

    folder = path(name, "pnnx")
    folder.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(batch, 3, size_of(name), size_of(name))
    torch.jit.trace(torch_network(name).eval(), example).save(folder / "net.pt")
    tool = Path(sys.executable).with_name("pnnx")
    shape = f"inputshape=[{batch},3,{size_of(name)},{size_of(name)}]"
    subprocess.run([tool, "net.pt", shape, "fp16=0"], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    os.replace(folder / "net.ncnn.bin", path(name, f"b{batch}.bin"))
    os.replace(folder / "net.ncnn.param", path(name, f"b{batch}.param"))
    shutil.rmtree(folder)


_MADE = {
    "renga": "renga.safetensors", "onnx": "b{}.onnx", "reference": "b{}.npy", "reference_bf16": "b{}-bf16.npy",
    "mnn": "b{}.mnn", "ncnn": "b{}.param",
}  # fmt: skip


def need(maker: str, name: str, batch: int) -> Path:
    """The file that `maker` makes for a network; made now, in a process of its own, where it is missing."""
    file = path(name, _MADE[maker].format(batch))
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, __file__, maker, name, str(batch)], check=True)
    return file


if __name__ == "__main__":
    globals()[f"make_{sys.argv[1]}"](sys.argv[2], int(sys.argv[3]))
