"""When, not what: results that are right but for inputs of one kind, which tells how they fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autograder.diagnose.diagnosis import Diagnosis

#: Inputs above this are large on any example; others are drawn large on purpose.
LARGE = 500.0

#: At least this part of the examples under the condition must be wrong, where the numbers are finite.
SHARE = 0.25

#: On so many examples without the condition, of all kinds of sizes, a result must be right.
ORDINARY = 2


@dataclass(frozen=True)
class Condition:
    """A kind of input; what is said of a result that is wrong only there, or not finite only there."""

    holds: Callable
    wrong: Diagnosis
    infinite: Diagnosis


def _floats(example):
    for value in example.inputs.values():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
            yield value


def _masks(example):
    return [value for value in example.inputs.values() if isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.ndim]


def _large(example):
    drawn_large = example.plan.get("scale") == "large"
    return not _garbage(example) and (drawn_large or any(np.abs(value).max(initial=0.0) > LARGE for value in _floats(example)))


def _nothing_real(example):
    return any(not mask.any(axis=-1).all() for mask in _masks(example))


def _garbage(example):
    return bool(example.plan.get("garbage"))


def _zero_vector(example):
    return any(value.size and not value.any(axis=-1).all() for value in _floats(example))


CONDITIONS = (
    Condition(
        _garbage,
        Diagnosis("garbage comes through the mask", "{path} depends on what stands behind the mask", "Multiplying a huge number by a tiny one is not nothing. How is it left out exactly?"),
        Diagnosis("garbage comes through the mask", "{path} is not finite where huge numbers stand behind the mask", "Leave out what is masked before anything is computed with it, or after?"),
    ),
    Condition(
        _large,
        Diagnosis("only large numbers", "{path} is right for ordinary numbers and wrong for large ones", "Is there a small constant, a limit, one maximum for all rows, or a 1 plus something tiny in the formula?"),
        Diagnosis("overflow", "{path} is not finite where the numbers are large: something overflows on the way", "Which exponential can become too large, and what may be subtracted first without changing the result?"),
    ),
    Condition(
        _nothing_real,
        Diagnosis("nothing real", "{path} is wrong only where a row of the mask has nothing real", "What does the docstring promise for such a row?"),
        Diagnosis("nothing real", "{path} is not finite where a row of the mask has nothing real", "By what do you divide there, or what is the largest of no numbers?"),
    ),
    Condition(
        _zero_vector,
        Diagnosis("zero vector", "{path} is wrong only where a vector is zero", "What should the result be for a vector of zeros?"),
        Diagnosis("zero vector", "{path} is not finite where a vector is zero", "By what do you divide when a vector is zero?"),
    ),
)  # fmt: skip


def recognise(path: str, cases: Sequence) -> Diagnosis | None:
    """Return under which condition a result is wrong, where it is right without it.

    Parameters
    ----------
    cases : sequence of Case
        All examples on which the function ran.
    """
    wrong = [case for case in cases if not case.right.get(path, True)]
    infinite = [case for case in wrong if path in case.given and not np.isfinite(case.given[path]).all()]
    for condition in CONDITIONS:
        meeting = [case for case in cases if condition.holds(case.example)]
        others = [case for case in cases if not condition.holds(case.example)]
        if (infinite or len(wrong) >= len(meeting) * SHARE) and all(condition.holds(case.example) for case in wrong) and sum(map(_telling, others)) >= ORDINARY:
            said = condition.infinite if infinite else condition.wrong
            return Diagnosis(said.name, said.sentence.format(path=path), said.hint)
    return None


def _telling(case):
    """Whether a wrong formula would show on an example."""
    plan = case.example.plan
    return case.example.ordinary and plan.get("fill") == "normal" and min(plan["sizes"].values(), default=2) >= 2
