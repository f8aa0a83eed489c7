"""safetensors_file.py: writes f32 and i32 arrays with text metadata as a safetensors file, the same bytes every time.

What it is not: a reader, or a general writer (the `safetensors` package is that).
"""

import json
import struct

import numpy as np

KINDS = {np.dtype(np.float32): "F32", np.dtype(np.int32): "I32"}


def write(path, tensors, metadata):
    """`tensors` by name, `metadata` by name (both text to value)."""
    header, offset, blocks = {"__metadata__": dict(sorted(metadata.items()))}, 0, []
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        block = array.tobytes()
        header[name] = {
            "dtype": KINDS[array.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + len(block)]}
        offset += len(block)
        blocks.append(block)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        file.writelines(blocks)
