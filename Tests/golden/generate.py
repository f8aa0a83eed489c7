"""generate.py: computes Renga's golden vectors with PyTorch in float64 and stores them as f32.

Run:  python3 -m venv golden-venv && golden-venv/bin/pip install torch numpy && golden-venv/bin/python Tests/golden/generate.py
PyTorch is needed here only, not by the tests that read the files.

Every file is a network ("nodes" in its metadata, one line a node: name, operator, inputs, attributes), a batch, and what comes out:
  src [N,H,W,C], labels [N]               the batch
  parameter.NAME                          before anything ran, running statistics included
  value [N,OH,OW,K]                       what node "op" makes of src in evaluation mode (operators only)
  logits [N,K]                            in evaluation mode
  loss [1]                                in training mode: cross entropy with the metadata's label smoothing
  gradient.NAME, statistic.NAME           after one backward pass
  RULE.losses [10], RULE.parameter.NAME   ten steps of each recipe in the metadata ("recipe.RULE"), batch i mod 2
The files in papers/ are whole families ("architecture" and "options" in the metadata instead of "nodes"), with three steps.
"""

import copy
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

import cases
import papers
import safetensors_file
import schedules
from torch_network import TorchNetwork

HERE = pathlib.Path(__file__).parent
STEPS = 10


def f32(tensor):
    return tensor.detach().numpy().astype(np.float32)


def loss_of(network, src, labels, smoothing):
    logits = network.logits(network.forward(src, training=True))
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


def batch(case, random):
    src = random.standard_normal((case.n, *case.input_shape)).astype(np.float32)
    return src, random.integers(0, case.classes, case.n).astype(np.int32)


def one_step(case, network, src, labels, tensors):
    """Forward in both modes, backward; the network's statistics move as training moves them."""
    with torch.no_grad():
        values = network.forward(src, training=False)
    if "op" in values:
        tensors["value"] = f32(values["op"].permute(0, 2, 3, 1))
    tensors["logits"] = f32(network.logits(values))
    loss = loss_of(network, src, labels, case.smoothing)
    loss.backward()
    tensors["loss"] = f32(loss.reshape(1))
    for name, parameter in network.parameters.items():
        if parameter.requires_grad:
            tensors["gradient." + name] = f32(parameter.grad)
    for name, statistic in network.statistics.items():
        tensors["statistic." + name] = f32(statistic)


def optimizer_of(rule, options, parameters):
    """The PyTorch optimiser of a recipe's options (Renga's names)."""

    def decays(name):
        kind = name.rsplit(".", 1)[1]
        if kind in ("gamma", "beta"):
            return options.get("decay_norm", "yes") == "yes"
        return options.get("decay_bias", "yes") == "yes" if kind in ("bias", "slope") else True

    weight_decay = float(options["weight_decay"])
    groups = [
        {"params": [p for name, p in parameters.items() if decays(name) == decayed], "weight_decay": decay}
        for decayed, decay in ((True, weight_decay), (False, 0.0))
    ]
    rate = float(options["learning_rate"])
    if rule == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    momentum, nesterov = float(options["momentum"]), options["nesterov"] == "yes"
    return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov)


def ten_steps(case, network, batches, rule, text, tensors):
    options = dict(part.split("=") for part in text.split(","))
    optimizer = optimizer_of(options["optimizer"], options, network.parameters)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(network, *batches[step % len(batches)], case.smoothing)
        loss.backward()
        if "clip_norm" in options:
            torch.nn.utils.clip_grad_norm_(network.parameters.values(), float(options["clip_norm"]))
        optimizer.step()
        losses.append(loss.item())
    tensors[rule + ".losses"] = np.array(losses, np.float32)
    for name, values in {**network.parameters, **network.statistics}.items():
        tensors[f"{rule}.parameter.{name}"] = f32(values)


def write_case(case):
    random = np.random.default_rng(case.seed)
    network = TorchNetwork(case.nodes, case.input_shape, case.seed + 1)
    arrays = [batch(case, random) for _ in range(2 if case.recipes else 1)]
    batches = [(torch.tensor(src, dtype=torch.float64), torch.tensor(labels).long()) for src, labels in arrays]
    tensors = {"src": arrays[0][0], "labels": arrays[0][1]}
    if case.recipes:
        tensors["src2"], tensors["labels2"] = arrays[1]
    for name, values in {**network.parameters, **network.statistics}.items():
        tensors["parameter." + name] = f32(values)
    fresh = copy.deepcopy(network)
    one_step(case, network, *batches[0], tensors)
    for rule, text in case.recipes.items():
        ten_steps(case, copy.deepcopy(fresh), batches, rule, text, tensors)
    metadata = {
        "nodes": "\n".join(node.line() for node in case.nodes),
        "label_smoothing": str(case.smoothing),
        "architecture": case.architecture,
        "torch": torch.__version__,
        **{"recipe." + rule: text for rule, text in case.recipes.items()},
    }
    path = HERE / case.folder / (case.name + ".safetensors")
    path.parent.mkdir(exist_ok=True)
    safetensors_file.write(path, tensors, metadata)


if __name__ == "__main__":
    for case in cases.operators() + cases.residual_networks():
        write_case(case)
    papers.write_all(HERE / "papers")
    safetensors_file.write(HERE / "schedules.safetensors", *schedules.tables())
