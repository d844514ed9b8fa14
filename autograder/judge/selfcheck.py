"""A student's own check: in process, with the public bank, NumPy only. Nothing is isolated, nothing is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from autograder.cases.store import Bank
from autograder.exercises import load as load_assignment
from autograder.judge.carry import closure
from autograder.judge.function import judge_group
from autograder.judge.laws import try_laws
from autograder.judge.own_forward import judge_on_own_forward
from autograder.judge.session import Session, Stopped
from autograder.judge.verdicts import FAILED, function_result
from autograder.report.model import FunctionResult
from autograder.sandbox.live import Live
from autograder.sandbox.local import Local
from autograder.sandbox.steps import Fault
from autograder.spec import Assignment, groups

#: CPU seconds that a batch of calls may take here, and the least that it gets after others had to be stopped.
PATIENCE_CPU, LEAST_CPU = 1.2, 0.15

#: Seconds by the clock on the wall for each of these: sleeping is given up soon, too.
WALL = 2.0


class _Clock:
    """The student's own process; its clock is that of this process."""

    def cpu_ns(self) -> int:
        """Return the CPU time of this process."""
        return time.process_time_ns()


class _Here(_Clock, Local):
    """Sources, loaded here."""


class _Live(_Clock, Live):
    """Functions that are here already."""


class _Brisk(Session):
    """A person is waiting: what does not end is given up sooner than in grading, each time sooner, and not tried in other ways."""

    patience = PATIENCE_CPU

    def run(self, batch, cap: int, cpu: float = PATIENCE_CPU):
        """Run a batch as :class:`Session` does, with less time."""
        try:
            return super().run(batch, cap, min(cpu, self.patience))
        except Stopped:
            self.patience = max(self.patience / 2, LEAST_CPU)
            raise

    def begin(self) -> None:
        """Go on to the next functions: with fresh patience, or half of it where some was used up already."""
        self.patience = PATIENCE_CPU if self.patience == PATIENCE_CPU else PATIENCE_CPU / 2
        self.spent, self.stops = 0.0, 0

    def run_each(self, scripts, cap: int, patience: int = 1):
        """Look for the guilty call, and give up after the first."""
        return super().run_each(scripts, cap, patience)


def check(assignment: str | Assignment, files: Mapping[str, str], bank: Bank, functions: Iterable[str] | None = None) -> Iterator[FunctionResult]:
    """Yield the results of a student's functions as they come, in the order of the handout.

    Parameters
    ----------
    assignment : str
    files : mapping of module name to source; the last one is the assignment's.
    bank : Bank
        The public examples.
    functions : iterable of str
        Only these.

    Raises
    ------
    LoadError
        A file cannot be loaded.
    """
    return _checked(assignment, lambda: _Here(files), bank, functions)


def check_live(assignment: str | Assignment, namespace: Mapping[str, object], bank: Bank, functions: Iterable[str] | None = None) -> Iterator[FunctionResult]:
    """Yield the results of functions that are defined already, in a notebook's namespace; otherwise as `check`."""
    name = assignment if isinstance(assignment, str) else assignment.name
    return _checked(assignment, lambda: _Live(namespace, name), bank, functions)


def _checked(assignment, spawn: Callable, bank, functions) -> Iterator[FunctionResult]:
    assignment = load_assignment(assignment) if isinstance(assignment, str) else assignment
    session = _Brisk(spawn, (Fault,), first=spawn(), wall=WALL)
    wanted, judged = set(functions or ()), {}
    for group in groups((*assignment.exercises, *(e for part in assignment.bonus for e in part.exercises))):
        if wanted and not wanted & {e.function for e in group}:
            continue
        judged |= _judged(assignment, group, bank, session)
        for exercise in group:
            if not wanted or exercise.function in wanted:
                yield _result(assignment, exercise, judged, bank.misconceptions.get(exercise.function, {}))


def _judged(assignment, group, bank, session):
    examples = bank.groups.get(group[0].function, [])
    session.begin()
    judgements = judge_group(group, examples, session)
    if not session.stops:
        try_laws(assignment, group, examples, session, judgements)
        judge_on_own_forward(group, examples, session, judgements)
    return judgements


def _result(assignment, exercise, judged, known):
    """Point to what a failing function uses and is wrong too: that is the one to mend first."""
    with np.errstate(all="ignore"):  # answers may hold any numbers
        result = function_result(exercise, judged[exercise.function], False, None, known)
    if result.verdict == FAILED:
        used = closure(assignment, exercise.uses)
        guilty = [e.function for e in assignment.exercises if e.function in used and e.function in judged and not judged[e.function].passed and e.function != exercise.function]
        if guilty:
            return result.with_remark(f"{guilty[0]}, which it may use, is not right yet: mend that first.")
    return result
