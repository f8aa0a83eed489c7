"""One HTML page: head, style, sections, footer. Parts hand over HTML that is already escaped; `text` escapes. Not here:
the parts.
"""

from __future__ import annotations

import os
from html import escape
from importlib import resources

from .._files import atomic


def text(value: object) -> str:
    """Plain text for the page."""
    return escape(str(value), quote=True)


class Page:
    """Collects sections and writes them as one self-contained file.

    title: the page's heading. lead: HTML of the sentence below it. overline: a few words above it.
    """

    def __init__(self, title: str, lead: str, overline: str, *, language: str = "en") -> None:
        self._title, self._lead, self._overline, self._language = title, lead, overline, language
        self._parts: list[str] = []

    def add(self, html: str) -> None:
        """HTML without a heading of its own."""
        self._parts.append(html)

    def section(self, heading: str, html: str, note: str = "") -> None:
        """A section with a heading and, below it, a note (HTML)."""
        explained = f'<p class="note">{note}</p>' if note else ""
        self._parts.append(f"<section><h2>{text(heading)}</h2>{explained}{html}</section>")

    def columns(self, *parts: tuple[str, str, str]) -> None:
        """Sections (heading, HTML, note) side by side where there is room."""
        made = "".join(
            f'<div><h2>{text(heading)}</h2>{f"""<p class="note">{note}</p>""" if note else ""}{html}</div>'
            for heading, html, note in parts
        )
        self._parts.append(f'<section class="columns">{made}</section>')

    def html(self) -> str:
        """The whole page."""
        style = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
        return (
            f'<!doctype html>\n<html lang="{text(self._language)}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{text(self._title)} · Renga</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
            f'<header><p class="overline">{text(self._overline)}</p><h1>{text(self._title)}</h1>'
            f'<p class="lead">{self._lead}</p></header>\n' + "\n".join(self._parts) + "\n</main>\n</body>\n</html>\n"
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the page; a file that stood there is replaced whole."""
        with atomic(path) as file:
            file.write(self.html().encode("utf-8"))
