"""Makes the site's index and guides out of Markdown, and checks every link among the site's pages.

Usage: pages.py FOLDER VERSION; the references are in FOLDER already. Needs markdown2 and Pygments, as pdoc does.
Not here: the references (build.sh), whether the guides' code works (Tests/DocumentTests).
"""

from __future__ import annotations

import html
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import markdown2
from pygments.formatters import HtmlFormatter

DOCS = Path(__file__).resolve().parents[1]
# In the order of reading; every guide must be named here.
GUIDES = {
    "install": "pkg-config, CMake, Debian, pip, SwiftPM",
    "classify-in-c": "Load a network, give it an image, read the scores",
    "train-on-your-images": "From folders of images to a network file",
    "import-from-pytorch": "Networks that others trained",
    "threads-containers-fork": "What the library does to your process, and how to hold it back",
    "errors": "Statuses, sentences, and what helps",
    "abi": "Old programs, new libraries",
}
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<header><a href="index.html">Renga</a><a href="c/renga_8h.html">C</a><a href="python/renga.html">Python</a><a \
href="swift/documentation/">Swift</a></header>
<main>
{body}
</main>
<footer>Renga {version}, Apache-2.0</footer>
</body>
</html>
"""


def rendered(text: str) -> str:
    """Markdown as HTML: a fence's second word becomes a file's name above it, wide tables scroll by themselves."""
    text = re.sub(r"^```(\w+) (\S+)$", r'<div class="file">\2</div>\n\n```\1', text, flags=re.M)
    made = str(markdown2.markdown(text, extras=["fenced-code-blocks", "tables", "header-ids"]))
    return made.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")


def title_of(text: str) -> str:
    return text.splitlines()[0].removeprefix("# ").strip()


def highlighting() -> str:
    """Pygments' colours for light and dark."""
    light = HtmlFormatter(style="friendly").get_style_defs("pre")
    dark = HtmlFormatter(style="gruvbox-dark").get_style_defs("pre")
    plain = "pre { background: var(--code) !important; color: var(--ink) !important; } pre .err { border: 0; }"
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{plain}\n"


class Links(HTMLParser):
    """The links and the names of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in ("href", "src") and tag in ("a", "link", "img", "script"):
                self.links.append(value)
            if name in ("id", "name"):
                self.names.add(value)


def broken_links(folder: Path) -> list[str]:
    """Links to pages or places that are not there. DocC's pages are drawn by a program and name none."""
    pages = {
        path: Links(path.read_text(encoding="utf-8"))
        for part in (".", "c", "python")
        for path in (folder / part).glob("*.html")
    }
    found = []
    for page, parsed in pages.items():
        for link in parsed.links:
            if re.match(r"[a-z]+:|//", link):
                continue
            path, _, place = unquote(link).partition("#")
            target = (page.parent / path).resolve() if path else page
            here = page.relative_to(folder)
            if not target.exists():
                found.append(f"{here}: {link} is not there")
            elif place and target in pages and place not in pages[target].names:
                found.append(f"{here}: {link} has no such place")
    return found


def main(folder: Path, version: str) -> int:
    folder = folder.resolve()
    guides = {path.stem: path.read_text(encoding="utf-8") for path in sorted((DOCS / "guides").glob("*.md"))}
    if set(guides) != set(GUIDES):
        print(f"docs: pages.py must name the guides {sorted(set(guides) ^ set(GUIDES))}", file=sys.stderr)
        return 1
    # Tables that the tests write (docs/*.md) have a page each too.
    tables = {path.stem: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
    for name, text in {**guides, **tables}.items():
        page = PAGE.format(title=html.escape(f"{title_of(text)} - Renga"), body=rendered(text), version=version)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    cards = "".join(
        f'<li><a href="{name}.html">{html.escape(title_of(guides[name]))}</a><span>{html.escape(what)}</span></li>\n'
        for name, what in GUIDES.items()
    )
    index = (DOCS / "site" / "index.md").read_text(encoding="utf-8")
    for name, text in tables.items():
        index = index.replace("</ul>", f'<li><a href="{name}.html">{html.escape(title_of(text))}</a></li>\n</ul>', 1)
    body = rendered(index.replace("GUIDES", f'<ul class="cards">\n{cards}</ul>', 1))
    (folder / "index.html").write_text(PAGE.format(title="Renga", body=body, version=version), encoding="utf-8")
    style = (DOCS / "site" / "style.css").read_text(encoding="utf-8")
    (folder / "style.css").write_text(style + highlighting(), encoding="utf-8")
    broken = broken_links(folder)
    for line in broken[:20]:
        print(f"docs: {line}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
