"""Try laws on a student's functions: properties beyond agreement with the reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from autograder.cases.store import Example
from autograder.judge.compare import a_type
from autograder.judge.function import Judgement
from autograder.judge.script import Results, read, results, script
from autograder.judge.session import SPARE, Session, Stopped
from autograder.sandbox.steps import Answer, Step
from autograder.spec import Assignment, Exercise, Many, Number, extent, kind
from autograder.tree import count

#: What our code raises on values of another kind than it expects. Nothing that the kit raises of itself is among them.
UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError)


class Raised(Exception):
    """The student's function raised while a law called it, or returned what has not the right shape; the message says what."""


class Call:
    """What a law, a cost or a milestone may do: call the student's functions and get values."""

    def __init__(self, assignment: Assignment, session: Session, group: tuple[Exercise, ...] = ()):
        self.assignment, self.session, self.group = assignment, session, group

    def __call__(self, case: Mapping, **changes) -> dict:
        """Return all named results of the group on a case, some inputs changed."""
        inputs = {**case, **changes}
        found = read(self.group, inputs, self._run(script(self.group, inputs), 64 * count(inputs)))
        named = {}
        for exercise in self.group:
            named |= _named(exercise, inputs, found[exercise.function])
        return named

    def plain(self, function: str, *args):
        """Return the outputs of any function of the module, its cache dropped: one value, or a tuple.

        A backward takes its forward's arguments and then its own; both are called.
        """
        exercise = self.assignment.exercise(function)
        if exercise.forward:
            pair = Call(self.assignment, self.session, (exercise.forward, exercise))
            named = pair(dict(zip(exercise.inputs, args, strict=True)))
            return tuple(named[name] for name in exercise.gives)
        options = {"keep": True, "cache": True, "send": tuple(range(len(exercise.gives)))} if exercise.cache else {}
        (answer,) = self._run([Step(function, args, **options)], 64 * count(args))
        inputs = dict(zip(exercise.takes, args, strict=False))  # a last argument may be left out
        values = tuple(_named(exercise, inputs, results(exercise, answer)).values())
        return values[0] if len(values) == 1 else values

    def count(self, function: str, *args) -> int:
        """Return how many bytecodes a call executes."""
        (answer,) = self._run([Step(function, args, count=True)], 64 * count(args))
        if answer.error:
            raise Raised(f"{function} raised {answer.error.type}: {answer.error.message}")
        if not answer.bytecodes:
            raise Raised(f"the steps of {function} cannot be counted: it switches tracing off, or is no Python function")
        return answer.bytecodes

    def _run(self, steps, cap) -> list[Answer]:
        try:
            return self.session.run([steps], cap + SPARE)[0]
        except Stopped as stopped:
            raise Raised(stopped.detail) from None


# ---------------------------------------------------------------------------------------------------- shapes


def _named(exercise: Exercise, inputs: Mapping, outcome: Results) -> dict:
    """Return the named results of a call; :class:`Raised` where there are none, or where NumPy would stretch one of them."""
    if outcome.error:
        raise Raised(f"{exercise.function} raised {outcome.error.type}: {outcome.error.message}")
    known = _lengths(exercise.inputs, inputs)
    for name, value in outcome.values.items():
        if sentence := next(_misshapen(exercise.gives[name], name, value, known), None):
            raise Raised(f"{exercise.function}: {sentence}")
    return outcome.values


def _lengths(kinds: Mapping, inputs: Mapping) -> dict[str, int]:
    """Return how long every axis of the inputs is, ``{"N": 3, "4H": 24}``, where they agree."""
    said = defaultdict(set)
    for axis, length in _axes(kinds, inputs):
        said[axis].add(length)
    return {axis: lengths.pop() for axis, lengths in said.items() if len(lengths) == 1}


def _axes(declared, value) -> Iterator[tuple[str, int]]:
    if isinstance(declared, Mapping):
        for name in declared.keys() & value.keys():
            yield from _axes(declared[name], value[name])
    elif isinstance(declared, Many):
        yield declared.count, len(value)
        for item in value:
            yield from _axes(kind(declared.kind), item)
    elif isinstance(value, np.ndarray):
        yield from zip(getattr(declared, "shape", "").split(), value.shape, strict=False)


def _misshapen(declared, path: str, value, known: Mapping[str, int]) -> Iterator[str]:
    """Yield what is wrong with the form of a result; an axis that does not follow from the inputs may be of any length."""
    if isinstance(declared, Mapping):
        if not isinstance(value, dict) or value.keys() != declared.keys():
            yield f"{path} should be a dict with the keys {', '.join(declared)}"
            return
        for key, inner in declared.items():
            yield from _misshapen(inner, f"{path}[{key!r}]", value[key], known)
    elif isinstance(declared, Many):
        if not isinstance(value, list | tuple) or len(value) != known.get(declared.count, len(value)):
            yield f"{path} should be a list of {known.get(declared.count, declared.count)}"
            return
        for index, item in enumerate(value):
            yield from _misshapen(kind(declared.kind), f"{path}[{index}]", item, known)
    elif not isinstance(value, np.ndarray | np.generic | int | float):
        yield f"{path} is {a_type(value)}, but should be {'one number' if isinstance(declared, Number) else 'an array'}"
    else:
        wanted = tuple(_length(axis, known) for axis in getattr(declared, "shape", "").split())
        if len(wanted) != np.ndim(value) or any(a != b for a, b in zip(wanted, np.shape(value), strict=True) if isinstance(a, int)):
            yield f"{path} has shape {np.shape(value)}, but should have {wanted}"


def _length(axis: str, known: Mapping[str, int]) -> int | str:
    """Return how long an axis has to be; its name where that does not follow from the inputs."""
    if axis in known:
        return known[axis]
    try:
        return extent(axis, known)
    except KeyError:
        return axis


# ------------------------------------------------------------------------------------------------------ laws


def try_laws(assignment: Assignment, group: tuple[Exercise, ...], examples: list[Example], session: Session, judgements: Mapping[str, Judgement]) -> None:
    """Try the laws of every function of a group that computes the right things."""
    for exercise in group:
        # Only forward and this function: what else takes the cache may be missing or raise, and that is its own affair.
        call = Call(assignment, session, (group[0],) if exercise is group[0] else (group[0], exercise))
        judgement = judgements[exercise.function]
        if not judgement.written or set(judgement.failed) & {"exists", "runs", "shape", "finite", "values"}:
            continue
        # Where forward is wrong everywhere, laws are all that can be said of what takes its cache without a gradient.
        usable = examples if judgement.undecided else judgement.passing
        for law in exercise.laws if not (judgement.undecided and exercise.wrt) else ():
            judgement.reached.add(law.name)
            wanted = law.examples or ("typical",)
            for example in (e for e in usable if e.name in wanted):
                if sentence := _broken(law, call, dict(example.inputs)):
                    judgement.fail(law.name, sentence, example)
                    break


def _broken(law, call, case):
    try:
        return law.check(call, case)
    except Raised as raised:
        return str(raised)
    except UNUSABLE as error:
        # A law reads what a student returned; values of another kind than on the examples are the student's mistake.
        return f"what was returned cannot be used: {type(error).__name__}: {error}"
