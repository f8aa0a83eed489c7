"""Turns the header's plain comments into Doxygen's on the way into it. Usage: doxygen_filter.py FILE, to stdout.

A comment in front of a declaration documents it, one behind a field or code that, "---- Name ----" begins a section.
Not here: what they say.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FIRST = re.compile(r"\A/\*\n(.*?)\*/", re.S)
SECTION = re.compile(r"^/\* ---- (.+?) -+ \*/$", re.M)
FRONT = re.compile(r"^( *)/\* (?!----)(.*?) ?\*/$", re.M | re.S)
BEHIND = re.compile(r"^( *[^/\n* ][^\n]*?) +/\* ([^\n]*?) \*/$", re.M)


def escaped(text: str) -> str:
    """Text that Doxygen is to take as it is, names in backticks as code."""
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", re.sub(r"([<>@\\#%])", r"\\\1", text))


def errors_apart(text: str) -> str:
    """The errors of a function as a paragraph of their own."""
    return re.sub(r"\bErrors: ", "\n@par Errors\n", text, count=1)


def file_comment(found: re.Match[str]) -> str:
    """The first comment: what the file is; lines of its table of conventions become paragraphs with a head."""
    lines = []
    for line in found[1].splitlines():
        line = line.removeprefix(" *")
        entry = re.match(r"   (\w+) {2,}(.*)", line)
        lines.append(f"@par {entry[1]}\n{escaped(entry[2])}" if entry else escaped(line.strip()))
    name, _, rest = "\n".join(lines).partition(":")
    return f"/** @file {name.strip()}\n{rest.strip()}\n*/"


def documented(text: str) -> str:
    """The text of a header with comments that Doxygen reads."""
    text = FIRST.sub(file_comment, text)
    text = BEHIND.sub(lambda found: f"{found[1]} /**< {escaped(found[2])} */", text)
    text = FRONT.sub(lambda found: f"{found[1]}/** {errors_apart(escaped(found[2]))} */", text)
    sections = 0

    def section(found: re.Match[str]) -> str:
        nonlocal sections
        sections += 1
        end = "/** @} */\n" if sections > 1 else ""
        return f"{end}/** @name {found[1]} */\n/** @{{ */"

    text = SECTION.sub(section, text)
    if sections and text.rstrip().endswith("#endif"):
        # The last section ends where the declarations do: before the closing brace of extern "C" or of the namespace.
        head, mark, tail = text.rpartition("\n#ifdef __cplusplus\n}")
        if not mark:
            head, mark, tail = text.rpartition("\n} // namespace renga")
        text = f"{head}\n/** @}} */{mark}{tail}" if mark else text
    return text


if __name__ == "__main__":
    sys.stdout.write(documented(Path(sys.argv[1]).read_text(encoding="utf-8")))
