"""Say which misconception a function's results show, where one is surely recognised. NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from autograder.cases.store import Example
from autograder.diagnose import conditions, general, places, repeats
from autograder.diagnose.diagnosis import Diagnosis
from autograder.diagnose.footprint import footprint, same

#: Of the examples on which a misconception changes something, this part must show exactly that change.
SHARE = 0.9


@dataclass(frozen=True)
class Case:
    """What a function gave on one example: result path -> array, of whatever shape and numbers, whether each is right, and its axes."""

    example: Example
    given: Mapping[str, np.ndarray]
    right: Mapping[str, bool]
    axes: Mapping[str, str] = field(default_factory=dict)


def diagnose(function: str, cases: Iterable[Case], known: Mapping[str, Mapping]) -> Diagnosis | None:
    """Return the diagnosis of a function, or None where no name is earned.

    Parameters
    ----------
    cases : iterable of Case
        All examples on which the function ran.
    known : mapping of name to {"sentence", "hint"}
        The misconceptions of this function; what they give is in the examples.
    """
    usable = [case for case in cases if case.example.plan.get("dtype") == "float64"]
    wrong_paths = [path for path in (usable[0].right if usable else ()) if any(not case.right.get(path, True) for case in usable)]
    if not wrong_paths:
        return None
    found = [(name, explained) for name in known if (explained := _explains(function, name, usable, wrong_paths))]
    if found:
        name, _ = max(found, key=lambda item: len(item[1]))
        return Diagnosis(name, known[name]["sentence"], known[name]["hint"])
    return next(filter(None, (_any(function, path, usable) for path in wrong_paths)), None)


def _any(function, path, cases):
    """Return what can be said of a result without knowing a misconception."""
    wrong = [case for case in cases if not case.right.get(path, True)]
    return (
        conditions.recognise(path, cases)
        or repeats.recognise(function, path, wrong, general.EVIDENCE)
        or _general(function, path, cases)
        or places.recognise(function, path, wrong)
    )


def _explains(function, name, cases, wrong_paths):
    """Return the wrong results that a misconception explains on (nearly) all examples; () when too few, or when it is contradicted."""
    explained = []
    if any(_agrees(function, name, case, path) is False for case in cases for path in case.right if path not in wrong_paths):
        return ()
    for path in wrong_paths:
        found = [(case, _agrees(function, name, case, path)) for case in cases]
        hits = [case for case, agrees in found if agrees and not case.right.get(path, True)]
        misses = [case for case, agrees in found if agrees is False or (agrees is None and not case.right.get(path, True))]
        # Where nothing contradicts, two kinds are enough: some mistakes show on few examples only.
        needed = general.EVIDENCE if misses else general.EVIDENCE - 1
        if len(hits) >= SHARE * (len(hits) + len(misses)) and len({_kind(case.example.plan) for case in hits}) >= needed:
            explained.append(path)
    return tuple(explained)


def _kind(plan):
    """Two examples of one kind are one piece of evidence."""
    return (tuple(sorted(plan["sizes"].items())), plan["pick"], plan["mask"], plan["scale"])


def _agrees(function, name, case, path):
    """Return whether the example shows what the misconception gives; None where it gives the right result."""
    foreseen = case.example.foreseen.get(function, {}).get(name)
    if foreseen is None or path not in case.given:
        return None
    row = foreseen[list(case.example.expected[function]).index(path)]
    if np.isnan(row).any():
        return None
    return same(row, footprint(case.given[path]))


def _general(function, path, cases):
    wrong = [case for case in cases if not case.right.get(path, True) and path in case.given and np.isfinite(case.given[path]).all()]
    pairs = [(case.given[path], case.example.expected[function][path], case.example.plan["sizes"], _real(case.example)) for case in wrong]

    def others():
        for other in wrong[0].example.expected[function] if wrong else ():
            # In a list of varying length, not every example has every path.
            if other != path and all(other in case.example.expected[function] for case in wrong):
                yield other, [case.example.expected[function][other] for case in wrong]

    return general.recognise(path, pairs, others)


def _real(example):
    masks = [value for name, value in example.inputs.items() if getattr(value, "dtype", None) == bool]
    return int(masks[0].sum()) if masks else None
