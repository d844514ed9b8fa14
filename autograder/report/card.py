"""The coloured card that a check shows in a notebook. Styles stand on the elements, since notebooks drop style sheets.

Text keeps the notebook's own colour, light or dark; where a background is set, the colour of the text on it is set as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from autograder.report.grid import Grid, grids
from autograder.report.said import said, shown_example
from autograder.report.text import shown

#: Verdict -> mark, and a colour on which white text can be read.
MARKS = {"passed": ("✓", "#2e7d32"), "failed": ("✗", "#c62828"), "not written yet": ("–", "#616161"), "could not judge": ("?", "#9a5b00")}

#: Shade of an error -> background; dark text can be read on all of them.
SHADES = ("#f3f4f6", "#fff1cc", "#ffd999", "#ffb185", "#ff8f85")

#: Tables shown of one result; above so many columns they have colours without numbers.
MOST_TABLES, WIDE = 3, 12

_BOX = "border-left:4px solid {colour};padding:.25em .8em;margin:.25em 0;font-family:system-ui,sans-serif;line-height:1.45;max-width:52em"
_PILL = "background:{colour};color:#fff;border-radius:.7em;padding:.05em .6em;font-size:.9em;white-space:nowrap"
_CELL = "background:{colour};color:#1b1d21;border:1px solid #c9cdd4;padding:.1em .45em;text-align:right;font-variant-numeric:tabular-nums;line-height:1.2"
_CODE = "margin:.3em 0;padding:.4em .6em;background:rgba(128,128,128,.14);border-radius:4px;white-space:pre-wrap;line-height:1.35;color:inherit"


def card(entries: Iterable[Mapping]) -> str:
    """Return HTML for functions, as plain data, one below the other."""
    return "".join(map(_entry, entries))


def notice(text: str) -> str:
    """Return HTML for a message instead of a result."""
    return f'<div style="{_BOX.format(colour="#9a5b00")}">{safe(text)}</div>'


def safe(text: str) -> str:
    """Return text that has no power in HTML, and hides nothing."""
    return escape(shown(text, 2000))


def _entry(entry: Mapping) -> str:
    mark, colour = MARKS[entry["verdict"]]
    head = (
        f'<div><span style="{_PILL.format(colour=colour)}">{mark} {entry["verdict"]}</span> '
        f'<b>{safe(entry["name"])}</b> &middot; {entry["score"]:g} of {entry["max_score"]:g} points</div>'
    )
    lines = "".join(f"<div>{_sentence(kind, sentence)}</div>" for kind, sentence in said(entry))
    example = shown_example(entry)
    return f'<div style="{_BOX.format(colour=colour)}">{head}{lines}{_example(example) if example else ""}</div>'


def _sentence(kind, sentence) -> str:
    return f"<i>{safe(sentence)}</i>" if kind == "hint" else safe(sentence)


def _example(example: Mapping) -> str:
    """Return the heat map of the error, and the input that shows it, folded."""
    return _heat(example["path"], example.get("whole") or {}) + _input(example)


def _heat(path, whole) -> str:
    wrong = [grid for grid in grids(path, whole) if grid.differs]
    if not wrong:
        return ""
    left = f'<div style="opacity:.75">and {len(wrong) - MOST_TABLES} more</div>' if len(wrong) > MOST_TABLES else ""
    tables = "".join(map(_table, wrong[:MOST_TABLES]))
    return f'<div style="display:flex;flex-wrap:wrap;gap:.2em 1.5em;margin:.3em 0">{tables}</div>{left}'


def _table(grid: Grid) -> str:
    numbers = len(grid.cells[0]) <= WIDE
    rows = "".join(f'<tr style="background:none">{"".join(_cell(cell, numbers) for cell in row)}</tr>' for row in grid.cells)
    axes = f" ({grid.rows} down, {grid.columns} across)" if grid.rows else ""
    words = "yours, and below it in red entries what it should be" if numbers else "the redder, the further off"
    caption = f'<div style="opacity:.75"><span style="font-family:monospace">{safe(grid.title)}</span>{safe(axes)}: {words}</div>'
    return f'<div style="overflow-x:auto" tabindex="0">{caption}<table style="border-collapse:collapse;margin:0">{rows}</table></div>'


def _cell(cell, numbers) -> str:
    style = _CELL.format(colour=SHADES[cell.shade])
    if not cell.differs:
        return f'<td style="{style}">{safe(cell.actual) if numbers else "&nbsp;"}</td>'
    text = f'<b>{safe(cell.actual)}</b><br><small>{safe(cell.expected)}</small>' if numbers else "<b>≠</b>"
    return f'<td style="{style}" title="{safe(cell.actual)}, should be {safe(cell.expected)}">{text}</td>'


def _input(example: Mapping) -> str:
    """Return the lines that show it again where there are some, else the sizes and the numbers."""
    sizes = ", ".join(f"{name} = {value}" for name, value in example["sizes"].items())
    lines = example["snippet"].split("\n") if example.get("snippet") else [f"{name} = {value!r}" for name, value in example["inputs"].items()]
    if not lines and not sizes:
        return ""
    code = f'<pre style="{_CODE}">{chr(10).join(map(safe, lines))}</pre>' if lines else ""
    return f"<details><summary>the example ({safe(example['example'])})</summary><div>{safe(sizes)}</div>{code}</details>"
