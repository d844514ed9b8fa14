"""The words that all exports share."""

from __future__ import annotations

from collections.abc import Mapping

from autograder.report.said import said
from autograder.report.text import shown

#: Characters of one sentence. PrairieLearn takes a megabyte in all.
LONGEST = 4000


class NoScore(ValueError):
    """The kit could not judge, and the other system knows no grade that would say so."""


def entry_text(entry: Mapping) -> str:
    """Return what is said about one entry, a sentence a line."""
    head = "judged with ours in place of what it uses" if entry["carried_forward"] else entry["verdict"]
    lines = [f"Hint: {sentence}" if kind == "hint" else sentence for kind, sentence in said(entry)]
    return "\n".join(shown(line, LONGEST) for line in (head, *lines))


def message(result: Mapping) -> str:
    """Return what is said about the submission as a whole."""
    return "\n".join(shown(line, LONGEST) for line in result["messages"])


def is_readable(result: Mapping) -> bool:
    """Whether anything could be read and loaded of what was handed in."""
    return bool(result["submission_sha256"])
