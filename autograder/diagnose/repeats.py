"""Rows of a table that are wrong exactly where an id occurs several times: gradients that do not add up, in whatever way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autograder.diagnose.diagnosis import Diagnosis

#: Entries differ when they do so by more than this part of the largest one.
PART = 1e-6


def recognise(function: str, path: str, cases: Sequence, evidence: int) -> Diagnosis | None:
    """Return the diagnosis when on every example the wrong rows are rows of repeated ids, and others are there and right.

    Parameters
    ----------
    cases : sequence of Case
        The examples on which the result is wrong.
    evidence : int
        On so many of them there must be right rows that are not zero.
    """
    telling = 0
    for case in cases:
        given, expected = np.asarray(case.given.get(path, np.nan), float), np.asarray(case.example.expected[function][path], float)
        if given.shape != expected.shape or given.ndim != 2 or not np.isfinite(given).all():
            return None
        wrong = np.abs(given - expected).max(axis=1) > PART * np.abs(expected).max(initial=0.0)
        if not any(_repeated(ids, len(wrong))[wrong].all() for ids in _ids(case.example)):
            return None
        telling += bool((~wrong & (expected != 0).any(axis=1)).any())
    if telling < evidence:
        return None
    sentence = f"{path} is wrong in the rows of ids that occur several times, and right in the others"
    return Diagnosis("repeated ids", sentence, "What should happen to the gradients of a row that is used several times, and what does NumPy do with an id that repeats?")


def _ids(example):
    for value in example.inputs.values():
        if isinstance(value, np.ndarray) and value.dtype.kind == "i" and value.size:
            yield value


def _repeated(ids, rows):
    """Return for every row of a table whether its id occurs more than once; nothing where ids do not fit the table."""
    if ids.min() < 0 or ids.max() >= rows:
        return np.zeros(rows, bool)
    return np.bincount(ids.ravel(), minlength=rows) > 1
