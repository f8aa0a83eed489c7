"""The version of this package: that of the header it was written against (include/renga.h)."""

VERSION = "0.2.0"


def number(version: str = VERSION) -> int:
    """Makes `major * 10000 + minor * 100 + patch`, as `RENGA_VERSION_NUMBER` does."""
    major, minor, patch = (int(part) for part in version.split("."))
    return major * 10000 + minor * 100 + patch
