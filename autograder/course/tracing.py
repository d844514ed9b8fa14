"""A student's variables beside ours: from a file for the command, from live functions for a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from autograder import paths
from autograder.cases import store
from autograder.course.selfcheck import UsageError
from autograder.course.submissions import SubmissionError, read
from autograder.exercises import load as load_assignment
from autograder.judge.trace import Compared, compare
from autograder.report.text import shown
from autograder.sandbox.live import Live
from autograder.sandbox.local import Local
from autograder.sandbox.steps import Fault, LoadError
from autograder.spec import Assignment


def traced(assignment: Assignment, path: Path, bank: Path, function: str) -> list[str]:
    """Return the lines about a function in a file.

    Raises
    ------
    UsageError
        There is no such function, or the bank has no traces.
    SubmissionError
        The file cannot be read or loaded.
    """
    files = read(path, assignment).files
    try:
        return _lines(assignment, store.load(bank), function, lambda: Local(files))
    except LoadError as error:
        raise SubmissionError(f"{path.name} could not be loaded: {error}.") from None
    except Fault as fault:
        raise SubmissionError(f"{path.name} could not be traced: it {fault.detail}.") from None


def tracer(assignment: str) -> Callable[[str], str]:
    """Return ``trace(function)`` for a notebook: it returns what ``handgrad trace`` prints.

    Raises
    ------
    BankError
        There are no public examples here.
    """
    declared, path = load_assignment(assignment), paths.public_bank(assignment)
    if path is None:
        raise store.BankError(f"The public examples of {assignment} are not here. Run the notebook in the course's folder, or set HANDGRAD_COURSE to its path.")
    bank = store.load(path)

    def trace(function: str) -> None:
        """Print the variables of a function as it is defined now beside ours."""
        namespace = sys._getframe(1).f_globals
        try:
            print("\n".join(_lines(declared, bank, function, lambda: Live(namespace, assignment))))
        except UsageError as error:
            print(error)

    return trace


def _lines(assignment, bank, function, runner) -> list[str]:
    known = [exercise.function for exercise in assignment.everything if exercise.function in bank.traces]
    if function not in known:
        what = f"It can trace: {', '.join(known)}." if known else "This bank has no traces; the public one does."
        raise UsageError(f"{assignment.name} cannot trace {shown(function)!r}. {what}")
    example, found = compare(bank, assignment, function, runner)
    if not found:
        ours = sorted({name for variables in bank.traces[function].values() for name in variables})
        names = f"Ours are called {', '.join(ours)}." if ours else "Ours has none."
        return [f"{function} did not come to its end, or has no variable with a name of ours. {names}"]
    head = f"{function} on the example {example!r}, when it returns:"
    return [head, *(f"  {'ok ' if one.right else 'no '} {one.sentence}" for one in _wrong_last(found))]


def _wrong_last(found: list[Compared]) -> list[Compared]:
    return sorted(found, key=lambda one: not one.right)
