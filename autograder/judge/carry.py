"""Errors carried forward: which functions of a student's are served by the grader while another one is judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from autograder.judge.function import Judgement
from autograder.spec import Assignment, Exercise, groups

#: A milestone or the performance entry is judged in spite of wrong functions when at least this part of what it needs,
#: by points, is right: a single error costs its points once, and a module of wrong functions earns nothing by them.
ENOUGH = 0.5

#: Points for backwards of wrong forwards, in points for what is right. In our answer bank a single error in the step of an LSTM
#: needs 1.6: it makes three forwards wrong, whose backwards are right for them.
AT_MOST = 2


def closure(assignment: Assignment, functions: Iterable[str]) -> set[str]:
    """Return the functions and everything that they may call, directly or not, with the partners of pairs."""
    partner = {e.function: [f.function for f in group] for group in groups(assignment.everything) for e in group}
    found: set[str] = set()
    todo = list(functions)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [other for member in partner[name] for other in assignment.exercise(member).uses]
    return found


def to_serve(assignment: Assignment, group: tuple[Exercise, ...], judgements: Mapping[str, Judgement]) -> frozenset[str]:
    """Return what is served while a group is judged again: failed functions that it uses, pairs together."""
    own = {exercise.function for exercise in group}
    used = closure(assignment, own) - own
    guilty = {name for name in used if not judgements[name].passed}
    return with_partners(assignment, guilty) - own


def with_partners(assignment: Assignment, names: Iterable[str]) -> frozenset[str]:
    """Return the names and all functions that share a cache with them."""
    names = set(names)
    return frozenset(e.function for group in groups(assignment.everything) if names & {e.function for e in group} for e in group)


def enough(assignment: Assignment, functions: Iterable[str], passed: set[str]) -> bool:
    """Whether enough of some functions, by points, is right for an entry that is built on them."""
    points = {name: assignment.exercise(name).points for name in functions}
    right = sum(worth for name, worth in points.items() if name in passed)
    return right >= ENOUGH * sum(points.values()) and right > 0


def limit_own_forwards(assignment: Assignment, judgements: Mapping[str, Judgement]) -> None:
    """Let what cannot be judged by the contract, since its forward is wrong, earn at most twice what is right by it.

    One error is not charged twice; but forwards that are made up, with the derivatives that are easy then, earn nothing by that.
    """
    left = AT_MOST * sum(e.points for e in assignment.exercises if judgements[e.function].right)
    for exercise in assignment.exercises:
        judgement = judgements[exercise.function]
        if judgement.passed and not judgement.right:
            left -= exercise.points
            if left < 0:
                judgement.reached.add("runs")
                judgement.fail("runs", f"{judgement.remark}: that counts only where enough of the other functions is right")
