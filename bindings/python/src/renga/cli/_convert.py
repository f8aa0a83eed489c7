"""`convert`."""

from __future__ import annotations

import argparse
from typing import Any

from ._common import Answer, import_network, shape_text


def convert(options: argparse.Namespace) -> Answer:
    """A foreign file as a network file."""
    sizes: dict[str, Any] = dict(zip(("height", "width"), options.size, strict=True)) if options.size else {}
    network, report = import_network(options.network, layout=options.layout, **sizes)
    with network:
        info = network.info
        network.save(options.out)
    shapes = ", ".join(f"{one['name']} {shape_text(one['shape'])} ({one['layout']})" for one in report["inputs"])
    lines = [
        f"{options.out}: {report['nodes']} nodes of {report['producer'] or 'an unnamed program'} -> {info.layers} layers, "
        f"{info.parameters:,} parameters; images: {shapes}"
    ]
    lines += [f"note: {note}" for note in report["notes"]]
    return "\n".join(lines), {"out": options.out, "parameters": info.parameters, "report": report}
