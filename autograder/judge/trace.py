"""Named intermediates of a function beside ours: where does a wrong result begin? For public examples only.

A function's local variables are looked at when it returns. Those of our solution are in the public bank, for a few small
examples; a student's variable is compared with ours where the two have the same name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from autograder.cases.store import Bank, Example
from autograder.judge.compare import WRONG, pair, place
from autograder.judge.script import script
from autograder.sandbox.local import Local
from autograder.spec import Assignment, Exercise, groups
from autograder.tree import count

#: Examples with more numbers than this are not traced: nobody would read them.
SMALL = 150

#: The most examples of a function that are traced; the first are the smallest.
MOST = 10


@dataclass(frozen=True)
class Compared:
    """One variable: whether it is right, and what is wrong with it."""

    name: str
    right: bool
    sentence: str


def record(bank: Bank, assignment: Assignment, files: Mapping[str, str]) -> Bank:
    """Return the bank with the intermediates of our solution in it.

    Parameters
    ----------
    files : mapping of module name to source
        Our solution, after the modules that it requires.
    """
    runner = Local(files)
    found = {}
    for group in groups((*assignment.exercises, *(e for part in assignment.bonus for e in part.exercises))):
        small = [example for example in bank.groups.get(group[0].function, []) if _fits(example)][:MOST]
        for exercise in () if group[0].drive else group:
            traces = {example.name: locals_of(runner, group[0], exercise, example) for example in small}
            found[exercise.function] = {name: values for name, values in traces.items() if values}
    return replace(bank, traces=found)


def _fits(example: Example) -> bool:
    return count(example.inputs) <= SMALL and example.plan["dtype"] == "float64"


def locals_of(runner: Local, head: Exercise, exercise: Exercise, example: Example) -> dict[str, np.ndarray]:
    """Return name -> array of a function's own variables when it returns, arguments left out."""
    pair_of = (head,) if exercise is head else (head, exercise)
    with _watching(exercise.function) as seen:
        runner.run([script(pair_of, example.inputs)])
    return {name: value for name, value in seen.items() if _is_array(value)}


def _is_array(value) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and 0 < value.size <= SMALL


@contextmanager
def _watching(function: str) -> Iterator[dict]:
    """Copy the variables of the outermost call of a function at its return."""
    seen: dict = {}
    depth = 0

    def watch(frame, event, _):
        nonlocal depth
        code = frame.f_code
        if code.co_name != function or event not in ("call", "return"):
            return
        depth += 1 if event == "call" else -1
        if event == "return" and depth == 0:
            arguments = set(code.co_varnames[: code.co_argcount])
            seen.update((k, np.array(v)) for k, v in frame.f_locals.items() if k not in arguments and isinstance(v, np.ndarray))

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def compare(bank: Bank, assignment: Assignment, function: str, runner: Callable[[], Local], example: str = "") -> tuple[str, list[Compared]]:
    """Return the example and what comes of the student's variables on it, in the order in which they are first set.

    Parameters
    ----------
    runner : callable
        Gives the student's functions, loaded in this process.
    example : str
        Its name; by default the smallest with a variable that is wrong, else the largest that is traced.
    """
    group = next(g for g in groups(assignment.everything) if function in {e.function for e in g})
    exercise = assignment.exercise(function)
    known = bank.traces.get(function, {})
    examples = [e for e in bank.groups[group[0].function] if e.name in known and example in ("", e.name)]
    found: tuple[str, list[Compared]] = ("", [])
    for one in examples:
        theirs = locals_of(runner(), group[0], exercise, one)
        found = one.name, [_compared(name, value, known[one.name][name]) for name, value in theirs.items() if name in known[one.name]]
        if any(not each.right for each in found[1]):
            break
    return found


def _compared(name, value, expected) -> Compared:
    if value.shape != expected.shape:
        return Compared(name, False, f"{name} has shape {value.shape}, ours has {expected.shape}")
    error = np.abs(value.astype(float) - expected.astype(float))
    if error.max() <= WRONG * max(float(np.abs(expected.astype(float)).max()), 1e-12):
        return Compared(name, True, f"{name} is as ours")
    at = tuple(int(i) for i in np.unravel_index(int(np.nan_to_num(error, nan=np.inf).argmax()), error.shape))
    there, should = pair(value[at], expected[at])
    return Compared(name, False, f"{place(name, at)} is {there}, ours is {should}")
