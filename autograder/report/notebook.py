"""``check("rnn_forward")`` in a notebook: a small coloured card, or plain text where there is no HTML.

Usage::

    from autograder.report.notebook import checker
    check = checker("rnn")
    check("rnn_forward")
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from html import escape
from types import ModuleType

from autograder import paths
from autograder.cases import store
from autograder.exercises import load as load_assignment
from autograder.judge.selfcheck import check_live
from autograder.report.model import FunctionResult
from autograder.report.said import said
from autograder.report.text import shown

MARKS = {"passed": ("✓", "#2e7d32"), "failed": ("✗", "#c62828"), "not written yet": ("–", "#757575"), "could not judge": ("?", "#b26a00")}

_CARD = "border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0;font-family:system-ui,sans-serif;line-height:1.45"
_CELL = "padding:0 1.2em 0 0;text-align:left;background:none"


class Card:
    """What ``check`` returns: shown by the notebook, and usable as a value.

    Parameters
    ----------
    results : tuple of FunctionResult
    message : str
        Said instead, where there is nothing to check.
    """

    def __init__(self, results: tuple[FunctionResult, ...] = (), message: str = ""):
        self.results = results
        self.message = message

    @property
    def score(self) -> float:
        """The points that the checked functions bring on the public examples."""
        return sum(result.score for result in self.results)

    @property
    def max_score(self) -> float:
        """The points that they can bring."""
        return sum(result.max_score for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether everything that was checked passed."""
        return bool(self.results) and all(result.verdict == "passed" for result in self.results)

    def __repr__(self) -> str:
        if self.message:
            return self.message
        return "\n".join(_text(result) for result in self.results)

    def _repr_html_(self) -> str:
        if self.message:
            return f'<div style="{_CARD.format(colour="#b26a00")}">{_safe(self.message)}</div>'
        return "".join(_html(result) for result in self.results)


def checker(assignment: str, module: ModuleType | None = None) -> Callable[..., Card]:
    """Return ``check(*functions)`` for one assignment; without names it checks all functions.

    Parameters
    ----------
    assignment : str
    module : module
        Where the functions are; by default in the namespace that ``check`` is called from, the notebook.

    Raises
    ------
    BankError
        There are no public examples here.
    """
    declared = load_assignment(assignment)
    path = paths.public_bank(assignment)
    if path is None:
        raise store.BankError(f"The public examples of {assignment} are not here. Run the notebook in the course's folder, or set HANDGRAD_COURSE to its path.")
    bank = store.load(path)
    known = [e.function for e in (*declared.exercises, *(e for part in declared.bonus for e in part.exercises))]

    def check(*functions: str) -> Card:
        """Check functions as they are defined now."""
        if unknown := [name for name in functions if name not in known]:
            return Card(message=_unknown(str(unknown[0]), assignment, known))
        namespace = vars(module) if module else sys._getframe(1).f_globals
        return Card(tuple(check_live(declared, namespace, bank, functions)))

    return check


def _unknown(name, assignment, known):
    near = difflib.get_close_matches(name, known, 1)
    return f"{assignment} has no function {shown(name)}. " + (f"Did you mean {near[0]}?" if near else f"It has: {', '.join(known)}.")


def _text(result):
    mark, _ = MARKS[result.verdict]
    head = f"{mark} {result.name}: {result.verdict}, {result.score:g} of {result.max_score:g} points"
    return "\n".join([head, *(f"    {shown(sentence, 2000)}" for _, sentence in said(asdict(result)))])


def _html(result) -> str:
    mark, colour = MARKS[result.verdict]
    head = (
        f'<span style="color:{colour};font-weight:bold">{mark}</span> <b>{_safe(result.name)}</b> '
        f'<span style="color:{colour}">{result.verdict}</span> &middot; {result.score:g} of {result.max_score:g} points'
    )
    body = "".join(f"<div>{_safe(sentence)}</div>" for _, sentence in said(asdict(result)))
    examples = [asdict(check.counterexample) for check in result.problems if check.counterexample]
    return f'<div style="{_CARD.format(colour=colour)}"><div>{head}</div>{body}{_example(examples[0]) if examples else ""}</div>'


def _example(example: Mapping) -> str:
    """Return the example that shows the problem, folded: sizes and, where they are few, the numbers."""
    rows = {"sizes": ", ".join(f"{name} = {value}" for name, value in example["sizes"].items())} if example["sizes"] else {}
    rows |= {name: repr(value) for name, value in example["inputs"].items()}
    if not rows:
        return ""
    cells = "".join(f'<tr style="background:none"><td style="{_CELL}">{_safe(n)}</td><td style="{_CELL}"><code>{_safe(v)}</code></td></tr>' for n, v in rows.items())
    return f"<details><summary>the example ({_safe(example['example'])})</summary><table>{cells}</table></details>"


def _safe(text: str) -> str:
    return escape(shown(text, 2000))
