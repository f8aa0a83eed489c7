"""The code blocks of a Markdown document.

A fence's info string is a language and, if it likes, a name: a file of the repository, of which the block must be a part; or the file
that the block becomes, for later blocks of the same document. Not here: what is done with them (test_documents.py)."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block: where it begins, its info string's two words, its text."""

    document: str
    line: int
    language: str
    name: str
    text: str

    def __str__(self):
        return f"{self.document}:{self.line}"


def blocks(path):
    """The blocks of a document, in order. A fence that is not closed is an error."""
    found, opened = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(.*)$", line)
        if fence and opened is None:
            opened = (number, [*fence.group(1).split(maxsplit=1), "", ""][:2], [])
        elif fence:
            (start, (language, name), lines), opened = opened, None
            found.append(Block(path.name, start, language, name.strip(), "\n".join(lines) + "\n"))
        elif opened:
            opened[2].append(line)
    if opened:
        raise ValueError(f"{path}:{opened[0]}: this block is not closed")
    return found

