"""Make an example bank: drawn, computed by the reference, and with what every known misconception gives."""

from __future__ import annotations

from collections.abc import Callable

from autograder import ours, paths
from autograder.cases.store import Bank
from autograder.exercises import load as load_assignment


def make(assignment: str, seed: int, *, public: bool = False, progress: Callable[[str], None] = lambda name: None) -> Bank:
    """Return a new bank for an assignment. Needs torch and Hypothesis.

    Parameters
    ----------
    assignment : str
    seed : int
        The same seed and versions give the same bank; keep an instructor's secret.
    public : bool
        Whether the bank is handed out with the assignment.
    progress : callable
        Called with what is being made.
    """
    from autograder.cases.build import build
    from autograder.diagnose.misconceptions import load
    from autograder.judge.foresee import foresee
    from autograder.judge.trace import record

    declared = load_assignment(assignment)
    bank = build(declared, seed, public=public, progress=progress)
    progress("misconceptions")
    solution = ours.solution(declared)
    bank = foresee(bank, declared, solution, load(assignment, paths.solution(assignment)))
    return record(bank, declared, solution) if public else bank
