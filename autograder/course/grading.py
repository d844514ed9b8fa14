"""One grading process: a sandbox, our own solution in a worker of its own, and the grader that uses both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autograder import ours
from autograder.cases.store import Bank
from autograder.exercises import load as load_assignment
from autograder.judge.session import Session
from autograder.judge.submission import Grader
from autograder.sandbox import Fault, Sandbox, Served
from autograder.spec import Assignment


@contextmanager
def open_grader(bank: Bank, *, sandbox: Sandbox | None = None, shrink: bool = True) -> Iterator[Grader]:
    """Give a grader for one assignment; its workers end with the block.

    Parameters
    ----------
    bank : Bank
        The examples; they name the assignment.
    sandbox : Sandbox
        One that is open already; by default a new one.
    shrink : bool
        Look for the smallest failing inputs where torch is installed.

    Raises
    ------
    CourseError
        Our own solution is not there.
    """
    if sandbox is None:
        with Sandbox() as opened, open_grader(bank, sandbox=opened, shrink=shrink) as grader:
            yield grader
        return
    assignment = load_assignment(bank.assignment)
    files = ours.solution(assignment)
    baseline = Session(lambda: sandbox.spawn(files), (Fault,))
    with Served(lambda: sandbox.spawn(files), _with_cache(assignment)) as served:
        try:
            yield Grader(bank, sandbox.spawn, baseline, served, served.drop, shrink)
        finally:
            baseline.close()


def _with_cache(assignment: Assignment) -> frozenset[str]:
    return frozenset(exercise.function for exercise in assignment.everything if exercise.cache)
