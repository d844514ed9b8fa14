"""What nbgrader shows about one entry: a few lines of HTML in which everything is escaped, and the score as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from autograder.report.said import said

_COLOURS = {"passed": "#1a7f37", "failed": "#b35900", "not written yet": "#57606a", "could not judge": "#57606a"}


def entry_html(entry: Mapping) -> str:
    """Return the report on an entry. nbgrader drops style sheets, hence the styles on the elements."""
    verdict = entry["verdict"] + (" (judged with ours in place of what it uses)" if entry["carried_forward"] else "")
    head = f"<b>{escape(entry['name'])}</b>: {entry['score']:g} of {entry['max_score']:g}, {escape(verdict)}"
    lines = "".join(f"<div>{'Hint: ' if kind == 'hint' else ''}{escape(sentence)}</div>" for kind, sentence in said(entry))
    return f'<div style="border-left:4px solid {_COLOURS[entry["verdict"]]};padding:2px 10px">{head}{lines}</div>'


def entry_comment(entry: Mapping) -> str | None:
    """Return what goes under the student's own cell: the first problem, the diagnosis and the hint, where there are any."""
    first: dict[str, str] = {}
    for kind, sentence in said(entry):
        first.setdefault(kind, sentence)
    sentences = [first[kind] for kind in ("problem", "diagnosis", "hint", "remark") if kind in first]
    return " ".join(text if text.endswith((".", "?", "!", ":")) else f"{text}." for text in sentences) or None
