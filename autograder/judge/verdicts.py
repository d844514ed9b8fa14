"""From judgements to the result model: verdicts, points, sentences, counterexamples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from autograder.cases.store import Example
from autograder.diagnose.recognise import diagnose
from autograder.judge.compare import Problem
from autograder.judge.function import Judgement
from autograder.judge.seen import COMPUTED
from autograder.judge.snippet import snippet
from autograder.judge.words import sizes, when
from autograder.report.model import Check, Counterexample, FunctionResult
from autograder.spec import Exercise
from autograder.tree import count, transform

PASSED, FAILED, NOT_WRITTEN, UNDECIDED = "passed", "failed", "not written yet", "could not judge"

#: Inputs of a counterexample are printed whole up to this many numbers, and so is the result that is wrong.
PRINTABLE, COMPARABLE = 120, 400


def function_result(exercise: Exercise, judgement: Judgement, carried: bool, small: Mapping[str, tuple[Problem, Example]] | None, known: Mapping) -> FunctionResult:
    """Return the result of one function: all of its points or none.

    Parameters
    ----------
    small : mapping of check to (problem, example)
        The smallest failing input, where one was looked for and found.
    known : mapping of name to {"sentence", "hint"}
        The misconceptions of this function.
    """
    checks = tuple(_check(name, judgement, (small or {}).get(name)) for name in judgement.checks())
    verdict = verdict_of(judgement)
    score = exercise.points if verdict in (PASSED, UNDECIDED) else 0
    named = _diagnosis(exercise.function, judgement, known) if set(judgement.failed) & set(COMPUTED) else None
    return FunctionResult(exercise.function, score, exercise.points, verdict, carried and verdict == PASSED, checks, named, judgement.remark if verdict == PASSED else "")


def _diagnosis(function, judgement, known):
    """Return the diagnosis. It explains a verdict and never stands in its way: a fault in it is told and costs the name only."""
    try:
        return diagnose(function, judgement.cases(), known)
    except Exception as fault:  # noqa: BLE001  whatever it is, the verdict stands
        warnings.warn(f"handgrad could not look for the reason why {function} is wrong ({type(fault).__name__}: {fault}). Please report this.", stacklevel=2)
        return None


def verdict_of(judgement: Judgement) -> str:
    """Return the verdict; what could not be decided costs nothing."""
    if not judgement.written:
        return NOT_WRITTEN
    if judgement.failed:
        return FAILED
    return UNDECIDED if judgement.undecided else PASSED


def _check(name, judgement, small):
    if name not in judgement.failed:
        return Check(name, True if judgement.written and name in judgement.reached else None, "", None)
    problem, example = small or judgement.failed[name]
    return Check(name, False, _sentence(problem, example, judgement, bool(small)), counterexample(judgement.exercise, problem, example))


def _sentence(problem, example, judgement, is_small):
    """Add to a sentence on which sizes it was seen, and from which on it fails."""
    notes = [sizes(example)] if example is not None and problem.check in ("runs", "shape", "finite", "values") else []
    if notes and (rule := when(judgement.passing, judgement.failing)):
        notes.append(rule)
    return f"{problem.sentence} ({'; '.join(notes)})" if notes else problem.sentence


def counterexample(exercise: Exercise, problem: Problem, example: Example | None) -> Counterexample | None:
    """Return the input that shows a problem, with the numbers where it shows."""
    if example is None:
        return None
    printable = count(example.inputs) <= PRINTABLE
    inputs = transform({name: example.inputs[name] for name in exercise.inputs}, _plain) if printable else {}
    lines = snippet(exercise, problem, example) if printable else ""
    sizes = dict(example.plan["sizes"])
    return Counterexample(example.name, sizes, inputs, problem.path, problem.index, problem.actual, problem.expected, _whole(problem.whole), lines)


def _whole(whole) -> dict:
    """Return the result that is wrong as plain lists, where it is small enough to be looked at."""
    if whole is None or whole.actual.size > COMPARABLE or whole.actual.size < 2:
        return {}
    return {"axes": whole.axes, "actual": whole.actual.tolist(), "expected": whole.expected.tolist(), "differs": whole.differs.tolist()}


def _plain(leaf):
    return leaf.tolist() if isinstance(leaf, np.ndarray | np.generic) else leaf


def entry_result(name: str, points: float, verdict: str, rows: list[tuple[str, bool | None, str]], carried: bool = False) -> FunctionResult:
    """Return the result of an entry that is not one function: performance, milestone, a bonus part."""
    checks = tuple(Check(check, passed, sentence, None) for check, passed, sentence in rows)
    score = points if verdict in (PASSED, UNDECIDED) else 0
    return FunctionResult(name, score, points, verdict, carried, checks, None)


def bonus_result(name: str, points: float, parts: list[FunctionResult], rows: list[tuple[str, bool | None, str]]) -> FunctionResult:
    """Return the result of a bonus part: what its functions got, with what more there is to say of it; the first diagnosis stands for all."""
    checks = tuple(replace(check, name=f"{part.name}: {check.name}") for part in parts for check in part.checks)
    checks += tuple(Check(check, passed, sentence, None) for check, passed, sentence in rows)
    failed = any(check.passed is False for check in checks)
    carried = not failed and any(part.carried_forward for part in parts)
    diagnosis = next((part.diagnosis for part in parts if part.diagnosis), None)
    return FunctionResult(name, 0 if failed else points, points, FAILED if failed else PASSED, carried, checks, diagnosis)
