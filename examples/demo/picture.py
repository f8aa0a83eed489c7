"""Takes the README's picture of the demo's report. Needs chromium (Debian) and Pillow, which the demo does not.

Usage: picture.py [REPORT.html] [PICTURE.png]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT = 1200, 1610  # down to the end of the confusion matrix
COLOURS = 96  # few enough for a small file, enough for smooth shades


def main(report: Path, picture: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
        subprocess.run(
            ["chromium", *flags, f"--screenshot={shot}", report.resolve().as_uri()], check=True, capture_output=True
        )
        Image.open(shot).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(given + [ROOT / "demo" / "report.html", ROOT / "docs" / "report.png"][len(given) :])))
