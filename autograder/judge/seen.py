"""What the functions of a group gave on one example, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from autograder.cases.store import Example
from autograder.diagnose.recognise import Case
from autograder.judge.compare import Allowance, Problem, problems
from autograder.judge.script import Results, layout_of, read, script
from autograder.judge.session import Session, Stopped
from autograder.sandbox.messages import Prepared
from autograder.spec import Exercise
from autograder.tree import count, leaves

#: Checks of what a function computes; only where these hold is a law or a backward judged further.
COMPUTED = ("runs", "shape", "finite", "values")


@dataclass(frozen=True)
class Seen:
    """One example and what every function of the group gave on it."""

    example: Example
    results: dict[str, Results]
    _found: dict[str, list[Problem]] = field(default_factory=dict)

    def problems(self, exercise: Exercise) -> list[Problem]:
        """Return what is wrong with the result of a function; found once, since several judgements ask."""
        if exercise.function not in self._found:
            self._found[exercise.function] = wrong(exercise, self.example, self.results[exercise.function])
        return self._found[exercise.function]

    def computes(self, exercise: Exercise) -> bool:
        """Whether a function computed the right thing; purity and dtype aside."""
        return not any(problem.check in COMPUTED for problem in self.problems(exercise))

    def case(self, exercise: Exercise) -> Case:
        """Return the example as the diagnosis wants it."""
        wrong_paths = {problem.path for problem in self.problems(exercise) if problem.check in COMPUTED}
        given = self.results[exercise.function].values
        expected = self.example.expected[exercise.function]
        values = {path: leaf for path, leaf in leaves(given) if path in expected and _numbers(leaf)}
        axes = {path: getattr(kind, "shape", "") for path, kind in leaves(exercise.gives)}
        return Case(self.example, values, {path: path not in wrong_paths for path in expected}, axes)


def _numbers(leaf):
    return isinstance(leaf, np.ndarray | np.generic | float | int) and np.asarray(leaf).dtype.kind in "fiub"


def look(group: tuple[Exercise, ...], examples: Sequence[Example], session: Session) -> list[Seen]:
    """Call the functions on all examples, in one batch if it comes back, else one by one."""
    batch, cap = _prepared(tuple(group), tuple(examples))
    try:
        answers = session.run(batch, cap)
    except Stopped:
        answers = session.run_each(batch.batch, cap)
    return [Seen(e, read(group, e.inputs, a)) for e, a in zip(examples, answers, strict=True)]


@lru_cache(maxsize=64)
def _prepared(group, examples):
    """Return the calls and the size of the replies; what every submission of a class is sent is encoded once."""
    return Prepared([script(group, example.inputs, layout_of(example)) for example in examples]), reply_size(examples)


def reply_size(examples) -> int:
    """Return how many bytes right answers to the examples take, twice over."""
    return sum(32 * count(example.expected) for example in examples)


def allowance(exercise: Exercise, example: Example) -> Allowance:
    """Return what may differ on an example."""
    return Allowance(
        example.plan.get("dtype", "float64"), example.envelope[exercise.function], example.largest_input, exercise.entrywise
    )


def wrong(exercise: Exercise, example: Example, given: Results) -> list[Problem]:
    """Return what is wrong with one call, as far as its result goes."""
    if given.error:
        return [_error_problem(exercise, example, given.error)]
    return list(problems(exercise.gives, given.values, example.expected[exercise.function], allowance(exercise, example)))


def _error_problem(exercise, example, error):
    name = exercise.function
    if error.type == "ValueError" and "read-only" in error.message and layout_of(example) == "readonly":
        return Problem("inputs unchanged", "", f"{name} writes into its inputs: on read-only ones it raised ValueError: {error.message}")
    if error.type in ("Stopped", "NotReached", "WrongReturn"):
        return Problem("runs", "", f"{name} {error.message.removeprefix(name).strip()}")
    if error.type == "NotImplementedError":
        return Problem("runs", "", f"{name} cannot run: {error.message or 'something that it calls is not written yet'}")
    line = f" (line {error.line})" if error.line else ""
    return Problem("runs", "", f"{name} raised {error.type}: {error.message}{line}")
