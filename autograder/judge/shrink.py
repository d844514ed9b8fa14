"""The smallest failing input, found by Hypothesis with the live reference. Needs torch and Hypothesis."""

from __future__ import annotations

import warnings
from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis.errors import HypothesisException

from autograder.cases.build import group_inputs, plans
from autograder.cases.oracle import Oracle
from autograder.cases.plan import Plan, make
from autograder.cases.store import Example
from autograder.judge.compare import Problem
from autograder.judge.seen import COMPUTED, look
from autograder.judge.session import Exhausted, KitError, Session, Stopped
from autograder.spec import Exercise

#: Calls of the student's function while looking and while shrinking; most bugs need 5 to 85.
EXAMPLES = 120

#: Seconds of the submission's budget that one search may take: a slow function is not called some hundred times.
SECONDS = 10.0

#: What can be shrunk: failures of one call on its inputs alone.
SHRINKABLE = COMPUTED


class _Ended(BaseException):
    """The search is over; of :class:`BaseException`, since Hypothesis would call again and again what raises any other."""


def smallest(group: tuple[Exercise, ...], exercise: Exercise, check: str, oracle: Oracle, session: Session) -> tuple[Problem, Example] | None:
    """Return the first problem of ``check`` on the smallest input that shows it, or None when none is found."""
    inputs = group_inputs(group)
    pair = tuple(e for e in group if e is group[0] or e is exercise)
    seen: dict[str, tuple[Problem, Example]] = {}
    last_call = session.spent + SECONDS

    def fails(plan: Plan) -> bool:
        if session.spent > last_call:
            raise _Ended
        example = _example(group, inputs, plan, oracle)
        try:
            problem = _problem(pair, exercise, check, example, session)
        except (Stopped, Exhausted, KitError) as why:
            raise _Ended from why
        if problem:
            seen["last"] = (problem, example)
        return problem is not None

    quiet = settings(
        max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plan = find(_simple(plans(group[0], inputs)), fails, settings=quiet, random=Random(0))
            fails(plan)
    except _Ended as ended:
        if isinstance(ended.__cause__, KitError):
            raise ended.__cause__ from None
        return None
    except HypothesisException:  # nothing found, or a function that is right and wrong on one and the same input
        return None
    return seen.get("last")


def _simple(strategy):
    """Keep to unit scale: elsewhere rounding, not the bug, could decide."""
    return strategy.map(lambda plan: replace(plan, scale="unit"))


def _example(group, inputs, plan, oracle):
    values = make(group[0], inputs, plan)
    expected = oracle.answers(group, values)
    exact = {function: dict.fromkeys(results, 0.0) for function, results in expected.items()}
    return Example("smallest", plan.to_json(), values, expected, exact)


def _problem(pair, exercise, check, example, session):
    seen = look(pair, [example], session)[0]
    if exercise is not pair[0] and not seen.computes(pair[0]):
        return None
    found = seen.problems(exercise)
    return next((problem for problem in found if problem.check == check), None)
