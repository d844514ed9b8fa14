"""Mistakes that any function can have: a factor made of sizes, a sign, a transpose, swapped results, nothing at all.

They need no declaration: they show in the ratio of what is given to what is expected.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from autograder.diagnose.diagnosis import Diagnosis
from autograder.diagnose.footprint import MATCH

#: Names of sizes as they are read aloud.
SIZES = {
    "N": "the batch size", "T": "the number of steps", "S": "the number of keys", "D": "the width", "H": "the number of hidden units",
    "V": "the number of different ids", "K": "the number of negatives", "C": "the number of context columns", "A": "the number of heads",
    "E": "the width per head",
}  # fmt: skip

#: The fewest examples with different sizes on which something must hold before it is claimed.
EVIDENCE = 3


def factors(sizes: Mapping[str, int], real: int | None) -> Iterator[tuple[str, float]]:
    """Yield ``(name, value)`` of the factors that turn up by mistake: sizes, products of two, their roots and inverses."""
    known = {s: float(n) for s, n in sizes.items() if s in SIZES}
    products = {f"{a}·{b}": known[a] * known[b] for a in known for b in known if a < b and {a, b} <= {"N", "T", "S", "K"}}
    roots = {f"√{s}": math.sqrt(n) for s, n in known.items() if s in ("D", "H", "E")}
    for name, value in {**known, **products, **roots}.items():
        yield name, value
        yield f"1/{name}", 1 / value
    if real:
        yield "the number of real tokens", float(real)
        yield "1/the number of real tokens", 1 / real
        for name, value in {s: known[s] for s in ("N", "T") if s in known}.items() | products.items():
            yield f"{name}/the number of real tokens", value / real
            yield f"the number of real tokens/{name}", real / value


CONSTANTS = {-1.0: "the sign is wrong", 2.0: "twice as large as it should be", 0.5: "half of what it should be"}


def recognise(path: str, pairs: list[tuple[np.ndarray, np.ndarray, Mapping[str, int], int | None]], others: Callable[[], Iterator[tuple[str, list]]]) -> Diagnosis | None:
    """Return what is generally wrong with one result.

    Parameters
    ----------
    pairs : list of (given, expected, sizes, number of real tokens)
        On every example where the result is wrong.
    others : callable
        Yields ``(path, expected values)`` of the function's other results on the same examples.
    """
    if _distinct(pairs) < EVIDENCE:
        return None
    telling = [pair for pair in pairs if np.size(pair[1]) and np.abs(pair[1]).max() > 0]
    if any(np.shape(given) != np.shape(expected) for given, expected, *_ in pairs) or _distinct(telling) < EVIDENCE:
        return _swapped(path, pairs, others)
    if all(not np.any(given) for given, *_ in telling):
        return Diagnosis("always zero", f"{path} is 0 everywhere", f"Is anything ever added to {path}?")
    return _by_factor(path, telling) or _transposed(path, telling) or _swapped(path, pairs, others)


def _distinct(pairs):
    return len({(tuple(sorted(sizes.items())), np.shape(expected)) for _, expected, sizes, _ in pairs})


def _ratio(given, expected):
    """Return the factor between two arrays, None when there is none."""
    given, expected = np.asarray(given, float), np.asarray(expected, float)
    ratio = float(np.sum(given * expected) / np.sum(expected * expected))
    if not math.isfinite(ratio) or np.abs(given - ratio * expected).max() > MATCH * max(abs(ratio), 1e-3) * np.abs(expected).max():
        return None
    return ratio


def _close(a, b):
    return abs(a - b) <= MATCH * max(abs(a), abs(b))


def _by_factor(path, pairs):
    ratios = [_ratio(given, expected) for given, expected, *_ in pairs]
    if any(ratio is None for ratio in ratios):
        return None
    for value, words in CONSTANTS.items():
        if all(_close(ratio, value) for ratio in ratios):
            text = f"the sign of {path} is wrong" if value < 0 else f"{path} is {words}"
            return Diagnosis("wrong sign" if value < 0 else "constant factor", text, "Which term of the derivation carries this factor?")
    if len({tuple(sorted(sizes.items())) for _, _, sizes, _ in pairs}) < EVIDENCE:
        return None
    names = set.intersection(*({name for name, value in factors(sizes, real) if _close(ratio, value)} for ratio, (_, _, sizes, real) in zip(ratios, pairs, strict=True)))
    if not names:
        return None
    name = min(names, key=len)
    spoken = name.removeprefix("1/")
    spoken = f"{SIZES[spoken]} {spoken}" if spoken in SIZES else spoken
    if name.startswith("1/"):
        return Diagnosis("factor 1/size", f"{path} is too small by a factor of {spoken}", "Is something divided once too often, or averaged that should be summed?")
    return Diagnosis("factor of a size", f"{path} is too large by a factor of {spoken}", "Is a division missing, or is something summed that should be averaged?")


def _transposed(path, pairs):
    square = [(g, e) for g, e, *_ in pairs if np.ndim(e) == 2 and np.shape(e)[0] == np.shape(e)[1] > 1]
    if len(square) == len(pairs) and all(_ratio(np.transpose(given), expected) is not None and _close(_ratio(np.transpose(given), expected), 1.0) for given, expected in square):
        return Diagnosis("transposed", f"{path} is the transpose of what it should be", f"Write the shapes beside the product that gives {path}: which factor comes first?")
    return None


def _swapped(path, pairs, others):
    for other, values in others():
        same = [np.shape(g) == np.shape(v) and np.size(g) and np.abs(np.asarray(g, float) - v).max() <= MATCH * max(np.abs(v).max(), 1e-300) for (g, *_), v in zip(pairs, values, strict=True)]
        if same and all(same):
            return Diagnosis("swapped results", f"{path} holds what {other} should hold", "Compare the order in which you return with the docstring.")
    return None
