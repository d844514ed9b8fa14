"""``check("rnn_forward")`` in a notebook: a small coloured card, or plain text where there is no HTML.

Usage::

    from autograder.report.notebook import checker
    check = checker("rnn")
    check("rnn_forward")
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType

from autograder import paths
from autograder.cases import store
from autograder.exercises import load as load_assignment
from autograder.judge.selfcheck import check_live
from autograder.report.card import MARKS, card, notice
from autograder.report.model import FunctionResult
from autograder.report.said import said
from autograder.report.text import shown


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
        return notice(self.message) if self.message else card(map(asdict, self.results))


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
