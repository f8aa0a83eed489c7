"""Numbers as people read them: bytes, seconds, counts. Not here: anything that is parsed again."""

from __future__ import annotations


def bytes_text(count: float) -> str:
    """1536 -> "1.5 KB" (powers of 1000, as disks and networks count)."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def seconds_text(seconds: float) -> str:
    """0.0123 -> "12 ms", 75 -> "1 min 15 s"."""
    if seconds != seconds or seconds < 0:
        return "?"
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count_text(count: float) -> str:
    """269722 -> "270 k", 40813056 -> "40.8 M"."""
    for unit in ("", " k", " M", " G"):
        if count < 999.5 or unit == " G":
            return f"{count:.0f}{unit}" if not unit or count >= 99.5 else f"{count:.1f}{unit}"
        count /= 1000
    return ""


def percent_text(share: float, digits: int = 1) -> str:
    """0.9187 -> "91.9 %"."""
    return f"{share * 100:.{digits}f} %"
