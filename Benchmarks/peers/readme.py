"""Writes what the stored results say between the marks `<!-- NAME:begin -->` and `<!-- NAME:end -->` of a file.

Usage: readme.py README.md. The bench's table comes from results/bench.json, the growth's from results/growth.json.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import tables

RESULTS = Path(__file__).parents[1] / "results"


def conditions(results: dict) -> str:
    """Where and when, once for all rows."""
    machines = sorted({f"{row['machine']}, {row['threads']} threads" for row in results.values() if "machine" in row})
    dates = sorted({row["date"] for row in results.values() if "date" in row})
    return f"{'; '.join(machines)}; {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}."


def filled(text: str, name: str, block: str) -> str:
    """`text` with the block between the marks of `name`."""
    marks = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not marks.search(text):
        raise SystemExit(f"the marks of {name} are missing")
    return marks.sub(lambda found: found[1] + block + "\n" + found[2], text)


def main() -> None:
    readme = Path(sys.argv[1])
    text = readme.read_text()
    results = json.loads((RESULTS / "bench.json").read_text())
    text = filled(text, "bench", tables.markdown(results) + "\n\n" + conditions(results))
    growth = RESULTS / "growth.json"
    if growth.exists():
        text = filled(text, "growth", tables.growth_markdown(json.loads(growth.read_text())))
    readme.write_text(text)


if __name__ == "__main__":
    main()
