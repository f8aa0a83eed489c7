"""`info`, `archs` and `fold`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from .._files import atomic
from .._words import bytes_text, count_text
from ..network import Network, architectures
from ..session import Memory, session_memory
from ..trainer import trainer_memory
from ._common import Answer, UsageError, open_network, shape_text


def info(options: argparse.Namespace) -> Answer:
    """Summary, layers, drawing."""
    if (options.batch or options.size or options.train or options.memory_budget) and not options.memory:
        raise UsageError("--batch, --size, --train and --memory-budget go with --memory")
    with open_network(options.network, options.seed) as network:
        numbers, description = network.info, network.description()
        memory = _memory(network, options) if options.memory else None
        text = network.describe("text") if options.layers else ""
        if options.dot:
            with atomic(options.dot) as file:
                file.write(network.describe("dot").encode())
    result = {
        "parameters": numbers.parameters,
        "macs": numbers.macs,
        "input_shape": list(numbers.input_shape),
        "output_shape": list(numbers.output_shape),
        "layers": description.get("layers", []),
        "metadata": description.get("metadata", {}),
    }
    summary = (
        f"input       {shape_text(numbers.input_shape)}\n"
        f"output      {shape_text(numbers.output_shape)}\n"
        f"layers      {numbers.layers}\n"
        f"parameters  {numbers.parameters:,}\n"
        f"MACs        {numbers.macs:,} an image ({count_text(numbers.macs)})"
    )
    if memory:
        result["memory"] = asdict(memory) | {"total": memory.total}
        summary += "\n" + _memory_text(memory, options)
        text = text.rstrip("\n") + "\n\n" + _memory_text(memory, options) if text else ""
    return text.rstrip("\n") or summary, result


def _memory(network: Network, options: argparse.Namespace) -> Memory:
    if not options.train:
        if options.memory_budget:
            raise UsageError("--memory-budget goes with --train")
        return session_memory(
            network,
            batch=options.batch or 1,
            size=options.size,
            threads=options.threads,
            precision=options.precision or "f32",
        )
    if options.size:
        raise UsageError("--size does not go with --train in this version")
    return trainer_memory(
        network,
        batch=options.batch or 128,
        threads=options.threads,
        memory_budget=options.memory_budget,
        precision=options.precision or "f32",
    )


def _memory_text(memory: Memory, options: argparse.Namespace) -> str:
    what = f"training, batch {options.batch or 128}" if options.train else f"inference, batch {options.batch or 1}"
    parts = [
        ("parameters", memory.parameters),
        ("gradients", memory.gradients),
        ("optimizer", memory.optimizer),
        ("batch", memory.batch),
    ]
    rows = parts if options.train else [("weights", memory.weights)]
    activations = memory.activations - memory.batch
    rows += [("activations", activations), ("scratch", memory.scratch)]
    lines = [f"memory      {bytes_text(memory.total)} in all: {what}"]
    lines += [f"  {name:12}{bytes_text(count):>8}" for name, count in rows]
    bound = memory.activations_lower_bound
    lines.append(f"  no plan of these layers needs less than {bytes_text(bound)} for activations")
    if memory.recomputed_layers:
        lines.append(
            f"  {bytes_text(memory.kept)} stay for the backward pass; {memory.recomputed_layers} layers run twice, "
            f"{count_text(memory.recomputed_macs)} MACs a step"
        )
    return "\n".join(lines)


def archs(options: argparse.Namespace) -> Answer:
    """Architectures; options with defaults and bounds."""
    known = architectures()
    if options.name:
        chosen = [one for one in known if one["name"] == options.name]
        if not chosen:
            raise UsageError(f"unknown architecture {options.name!r}; known: {', '.join(one['name'] for one in known)}")
    else:
        chosen = known
    return "\n\n".join(_architecture_text(one) for one in chosen), {"architectures": chosen}


def _architecture_text(architecture: dict[str, Any]) -> str:
    rows = []
    for option in architecture["options"]:
        default = option.get("default")
        value = f"{option['name']} (required)" if default is None else f"{option['name']}={default}"
        rows.append((value, _bounds(option), option["documentation"]))
    first, second = (min(28, max((len(row[i]) for row in rows), default=0)) for i in (0, 1))
    lines = [f"{architecture['name']}: {architecture['documentation']}"]
    lines += [f"  {value:{first}}  {bounds:{second}}  {documentation}" for value, bounds, documentation in rows]
    return "\n".join(lines)


def _bounds(option: dict[str, Any]) -> str:
    if option.get("choices"):
        return "|".join(str(choice) for choice in option["choices"])
    if option.get("minimum") is not None and option.get("maximum") is not None:
        return f"{option['minimum']}…{option['maximum']}"
    return str(option.get("kind", ""))


def fold(options: argparse.Namespace) -> Answer:
    """Batch norm folded."""
    with open_network(options.network, options.seed) as network:
        before = network.info
        folded, report = network.fold_batch_norm()
    with folded:
        after = folded.info
        folded.save(options.out)
    result = {
        "parameters": after.parameters,
        "parameters_before": before.parameters,
        "layers": after.layers,
        "layers_before": before.layers,
        "out": options.out,
        "report": report,
    }
    text = (
        f"{options.out}: {before.layers} -> {after.layers} layers, "
        f"{before.parameters:,} -> {after.parameters:,} parameters"
    )
    return text, result
