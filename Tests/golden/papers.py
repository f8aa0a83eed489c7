"""papers.py: golden vectors of whole families (paper_networks.py): logits, loss, all gradients, three steps of SGD.

What it is not: vectors of single operators and of residual networks (cases.py).
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F

import safetensors_file
import stochastic_networks
from paper_networks import NETWORKS, kinks, randomised

STEPS, SMOOTHING, SIZE, BATCH, CLASSES = 3, 0.1, 12, 4, 7
LEAST_KINK = 1e-6  # of the root mean square
SGD = {"optimizer": "sgd", "learning_rate": "0.05", "momentum": "0.9", "nesterov": "yes", "weight_decay": "0.0001"}


def f32(tensor):
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.float32))


def put(tensors, prefix, module, values):
    for name, value in stochastic_networks.exported(module, values).items():
        tensors[prefix + name] = f32(value)


def loss_of(module, src, labels):
    return F.cross_entropy(module(src), labels, label_smoothing=SMOOTHING)


def draw(module, random):
    """The gates of the next step, where there are any, as text."""
    return stochastic_networks.draw(module, random) if hasattr(module, "layers") else ""


def write(folder, name, seed, networks):
    """Takes the first of some seeds with which no ReLU's source comes within f32's roundings of 0 while gradients are made."""
    for shift in range(0, 10000, 1000):
        kinks.clear()
        tensors, metadata = vectors(name, seed + shift, networks)
        if min(kinks) > LEAST_KINK:
            safetensors_file.write(folder / (name + ".safetensors"), tensors, metadata)
            return
    raise SystemExit(f"{name}: every seed comes too near to a kink")


def vectors(name, seed, networks):
    architecture, options, make = networks[name]
    module = randomised(make, seed)
    random = np.random.default_rng(seed)
    tensors, batches = {}, []
    for suffix in ("", "2"):
        src = random.standard_normal((BATCH, SIZE, SIZE, 3)).astype(np.float32)
        labels = random.integers(0, CLASSES, BATCH).astype(np.int32)
        tensors["src" + suffix], tensors["labels" + suffix] = src, labels
        batches.append((torch.tensor(src, dtype=torch.float64).permute(0, 3, 1, 2), torch.tensor(labels).long()))
    put(tensors, "parameter.", module, module.state_dict())
    with torch.no_grad():
        tensors["logits"] = f32(module.eval()(batches[0][0]))
    module.train()
    trained = copy.deepcopy(module)

    gates = [draw(module, random)]
    loss = loss_of(module, *batches[0])
    loss.backward()
    tensors["loss"] = f32(loss.reshape(1))
    put(tensors, "gradient.", module, {key: value.grad for key, value in module.named_parameters()})
    statistics = {key: value for key, value in module.state_dict().items() if "running" in key}
    put(tensors, "statistic.", module, statistics)

    rule = torch.optim.SGD(
        trained.parameters(), lr=float(SGD["learning_rate"]), momentum=float(SGD["momentum"]), nesterov=True,
        weight_decay=float(SGD["weight_decay"]))
    losses = []
    for step in range(STEPS):
        rule.zero_grad()
        gates.append(draw(trained, random))
        loss = loss_of(trained, *batches[step % 2])
        loss.backward()
        rule.step()
        losses.append(loss.item())
    tensors["sgd.losses"] = np.array(losses, np.float32)
    put(tensors, "sgd.parameter.", trained, trained.state_dict())
    metadata = {
        "label_smoothing": str(SMOOTHING), "architecture": architecture, "torch": torch.__version__,
        "options": f"{options},classes={CLASSES},input={SIZE}x{SIZE}x3",
        "recipe.sgd": ",".join(f"{key}={value}" for key, value in SGD.items())}
    if gates[0]:
        metadata["gates"] = "\n".join(gates)
    return tensors, metadata


def write_all(folder):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(NETWORKS):
        write(folder, name, 500 + i, NETWORKS)
    for i, name in enumerate(stochastic_networks.NETWORKS):
        write(folder, name, 600 + i, stochastic_networks.NETWORKS)
