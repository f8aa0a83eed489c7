"""Numbers as HTML: tiles, tables, bars, a confusion matrix. Not here: where the numbers come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._arrays import I64Array
from .._words import percent_text
from .page import text


def tiles(values: Sequence[tuple[str, str]]) -> str:
    """The few numbers that matter: (value, what it is)."""
    made = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for value, name in values)
    return f'<dl class="tiles">{made}</dl>'


def table(rows: Sequence[Sequence[str]]) -> str:
    """A table of text: what, value, and perhaps a remark."""
    body = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>' + "".join(f"<td>{text(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    return f'<table class="plain"><tbody>{body}</tbody></table>'


def class_bars(names: Sequence[str], confusion: I64Array) -> str:
    """Each class's share of right answers, best first, with what it is most often taken for."""
    rows = []
    totals = confusion.sum(axis=1)
    shares = np.diag(confusion) / np.maximum(totals, 1)
    for label in np.argsort(-shares, kind="stable"):
        others = confusion[label].copy()
        others[label] = 0
        worst = int(others.argmax())
        share = others[worst] / max(1, totals[label])
        remark = f"taken for {names[worst]}: {percent_text(share)}" if others[worst] else "never mistaken"
        name, right = text(names[label]), float(shares[label])
        rows.append(
            f'<li><span class="name">{name}</span><span class="value">{percent_text(right)}</span>'
            f'<span class="bar"><i style="width:{right * 100:.1f}%"></i></span>'
            f'<span class="remark">{text(remark)}</span></li>'
        )
    return f'<ol class="bars">{"".join(rows)}</ol>'


def confusion_matrix(names: Sequence[str], confusion: I64Array) -> str:
    """Counts, row = label, column = answer; shades are shares of the row, of mistakes by their square root."""
    totals = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shares = confusion / totals
    head = "".join(f'<th scope="col"><span>{text(name)}</span></th>' for name in names)
    body = []
    for label, name in enumerate(names):
        cells = []
        for answer in range(len(names)):
            count, right = int(confusion[label, answer]), label == answer
            shade = float(shares[label, answer]) if right else float(np.sqrt(shares[label, answer]))
            kind = ("right" if right else "wrong") + (" strong" if shade > 0.55 else "")
            tip = f"{name} answered as {names[answer]}: {count}"
            cells.append(
                f'<td class="{kind}" style="--a:{shade:.3f}" title="{text(tip)}">{count if count else ""}</td>'
            )
        body.append(f'<tr><th scope="row">{text(name)}</th>{"".join(cells)}</tr>')
    corner = '<td class="corner">label ↓ answer →</td>'
    return (
        f'<div class="scroll"><table class="confusion"><thead><tr>{corner}{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
