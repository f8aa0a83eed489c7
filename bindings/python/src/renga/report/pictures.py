"""Small images as PNG inside the page. Not here: reading images."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import numpy.typing as npt


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of `[H,W,1]` (grey) or `[H,W,3]` (RGB) u8 pixels (PNG specification, third edition)."""
    h, w, channels = image.shape
    if channels not in (1, 3):
        raise ValueError(f"a picture has 1 or 3 channels, not {channels}")
    rows = np.zeros((h, 1 + w * channels), dtype=np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = image.reshape(h, w * channels)
    header = struct.pack(">IIBBBBB", w, h, 8, 0 if channels == 1 else 2, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def data_uri(image: npt.NDArray[np.uint8]) -> str:
    """`png` as an address for <img src>."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")
