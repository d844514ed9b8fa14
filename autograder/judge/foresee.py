"""What every known misconception gives on the examples of a bank, so that it can be recognised without running it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from autograder.cases.store import Bank, Example
from autograder.cases.tolerance import UNIT, slack
from autograder.diagnose.footprint import footprints, same
from autograder.diagnose.misconceptions import Misconception
from autograder.judge.script import read, script
from autograder.sandbox.local import Local
from autograder.spec import Assignment, groups
from autograder.tree import leaves

#: What a misconception changes by less than this cannot be told from a right result by its footprint.
VISIBLE = 3e-7


def foresee(bank: Bank, assignment: Assignment, files: Mapping[str, str], misconceptions: Iterable[Misconception]) -> Bank:
    """Return the bank with the footprints of all misconceptions in its examples.

    Parameters
    ----------
    files : mapping of module name to source
        Our solution, after the modules that it requires.
    """
    found = {name: list(examples) for name, examples in bank.groups.items()}
    told: dict[str, dict] = {}
    for misconception in misconceptions:
        group = next(g for g in groups(assignment.everything) if misconception.function in {e.function for e in g})
        told.setdefault(misconception.function, {})[misconception.name] = {"sentence": misconception.sentence, "hint": misconception.hint}
        runner = Local({**files, assignment.name: misconception.edited(files[assignment.name])})
        examples = found[group[0].function]
        examples[:] = [_with(example, group, misconception, runner) for example in examples]
    return replace(bank, groups=found, misconceptions=told)


def _with(example: Example, group, misconception, runner) -> Example:
    answers = runner.run([script(group, example.inputs)])[0]
    outcome = read(group, example.inputs, answers)[misconception.function]
    if outcome.error:
        return example
    expected, given = example.expected[misconception.function], dict(leaves(outcome.values))
    paths = list(expected)
    rows = footprints(given, paths)
    right = footprints(expected, paths)
    for path, row, should in zip(paths, rows, right, strict=True):
        rounding = slack(example.envelope[misconception.function].get(path, 0.0), UNIT["float64"])
        if not np.isfinite(row).all() or same(row, should, VISIBLE) or _near(given[path], expected[path], rounding):
            row[:] = np.nan
    if np.isnan(rows).all():
        return example
    function = misconception.function
    return replace(example, foreseen={**example.foreseen, function: {**example.foreseen.get(function, {}), misconception.name: rows}})


def _near(actual, expected, rounding):
    """Whether two results are one but for rounding: what should be 0 is noise, and noise is nobody's mark."""
    return np.shape(actual) == np.shape(expected) and bool(np.all(np.abs(np.asarray(actual, float) - expected) <= rounding))
