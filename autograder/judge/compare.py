"""Say whether a result is right, and if not, what is wrong, where, and what should be there. NumPy only.

Order: kind and shape exactly, dtype exactly, finite, then values. Comparing across shapes would let NumPy's
broadcasting hide a ``(1, H)`` bias gradient, so nothing is compared before its shape is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from autograder.cases.tolerance import UNIT, slack
from autograder.spec import Float64, Ids, Many, Mask, Number, Real

#: Wrong is what differs by more than this part of the largest expected entry; imprecise, from the second on.
WRONG, IMPRECISE = 1e-6, 1e-9

#: Gradients that are tiny by saturation count as right within this part of the largest input.
SATURATED = 1e-15


@dataclass(frozen=True)
class Whole:
    """A whole result beside what it should be, and which entries differ; ``axes`` names its axes, ``"N T H"``."""

    actual: np.ndarray
    expected: np.ndarray
    differs: np.ndarray
    axes: str = ""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the check that it belongs to, the result, a sentence, and the numbers behind it."""

    check: str
    path: str
    sentence: str
    index: tuple[int, ...] = ()
    actual: float | None = None
    expected: float | None = None
    whole: Whole | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Allowance:
    """What may differ: the example's dtype, the envelope of every result, the largest input, and the entrywise rule."""

    dtype: str
    envelope: Mapping[str, float]
    largest_input: float = 0.0
    entrywise: float | None = None

    def tolerance(self, path: str, expected: np.ndarray, part: float) -> np.ndarray | float:
        """Return the error allowed for a result, one number or one per entry."""
        if self.entrywise and self.dtype == "float64":
            return self.entrywise * np.abs(expected) + 1e-300
        size = float(np.abs(expected).max(initial=0.0))
        rounding = slack(self.envelope.get(path, 0.0), UNIT[self.dtype])
        return max(part * size, rounding, SATURATED * self.largest_input)


def problems(gives: Mapping, actual: Mapping, expected: Mapping, allowance: Allowance) -> Iterator[Problem]:
    """Yield everything that is wrong with the named results of one call."""
    for name, kind in gives.items():
        yield from _walk(kind, name, actual[name], expected, allowance)


def _walk(kind, path, value, expected, allowance):
    if isinstance(kind, Mapping):
        yield from _walk_dict(kind, path, value, expected, allowance)
    elif isinstance(kind, Many):
        yield from _walk_list(kind, path, value, expected, allowance)
    else:
        yield from _leaf(kind, path, value, np.asarray(expected[path]), allowance)


def _walk_dict(kind, path, value, expected, allowance):
    if not isinstance(value, dict):
        yield Problem("shape", path, f"{path} is {a_type(value)}, but should be a dict with the keys {', '.join(kind)}")
        return
    if missing := [key for key in kind if key not in value]:
        yield Problem("shape", path, f"{path} lacks the key {missing[0]!r}; it should have {', '.join(kind)}")
    if extra := [key for key in value if key not in kind]:
        yield Problem("shape", path, f"{path} has the key {str(extra[0])[:40]!r}, which does not belong there")
    for key, inner in kind.items():
        if key in value:
            yield from _walk(inner, f"{path}[{key!r}]", value[key], expected, allowance)


def _walk_list(kind, path, value, expected, allowance):
    count = len({p[len(path) + 1 :].split("]")[0] for p in expected if p.startswith(f"{path}[")})
    if not isinstance(value, list | tuple) or len(value) != count:
        what = f"has {len(value)} items" if isinstance(value, list | tuple) else f"is {a_type(value)}"
        yield Problem("shape", path, f"{path} {what}, but should be a list of {count}")
        return
    for index, item in enumerate(value):
        inner = dict(kind.kind) if isinstance(kind.kind, Mapping) else kind.kind
        yield from _walk(inner if not isinstance(inner, str) else Real(inner), f"{path}[{index}]", item, expected, allowance)


def _leaf(kind, path, value, expected, allowance):
    if isinstance(kind, Number):
        if problem := _not_a_number(kind, path, value):
            yield problem
            return
        actual = np.asarray(value)
    else:
        if not isinstance(value, np.ndarray | np.generic):
            yield Problem("shape", path, f"{path} is {a_type(value)}, but should be an array of shape {expected.shape}")
            return
        actual = np.asarray(value)
        if actual.shape != expected.shape:
            yield Problem("shape", path, f"{path} has shape {actual.shape}, but should have {expected.shape}")
            return
        wanted = _dtype(kind, allowance.dtype)
        if actual.dtype != wanted:
            yield Problem("dtype", path, _dtype_sentence(kind, path, actual.dtype, wanted))
    if actual.dtype.kind in "fiub":
        yield from _values(path, actual, expected, allowance, getattr(kind, "shape", ""))


def _not_a_number(kind, path, value):
    fits = (int, np.integer) if kind.whole else (int, float, np.integer, np.floating)
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in ("iu" if kind.whole else "fiu"):
        return None
    if isinstance(value, fits) and not isinstance(value, bool | np.bool_):
        return None
    wanted = "an integer" if kind.whole else "one number"
    shape = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else a_type(value)
    return Problem("shape", path, f"{path} is {shape}, but should be {wanted}")


def _dtype(kind, dtype):
    if isinstance(kind, Ids):
        return np.dtype("int64")
    if isinstance(kind, Mask):
        return np.dtype("bool")
    return np.dtype("float64" if isinstance(kind, Float64) else dtype)


def _dtype_sentence(kind, path, actual, wanted):
    why = " when the inputs are" if isinstance(kind, Real) else ""
    return f"{path} has dtype {actual}, but should be {wanted}" + (f"{why} {wanted}" if why else "")


def _values(path, actual, expected, allowance, axes):
    if not (finite := np.isfinite(actual)).all():
        at = tuple(int(i) for i in np.argwhere(~finite)[0])
        sentence = f"{place(path, at)} is {number(actual[at])}, but should be {number(expected[at])}"
        yield Problem("finite", path, sentence, at, float(actual[at]), float(expected[at]), Whole(actual, expected, ~finite, axes))
        return
    if expected.dtype.kind != "f":
        wrong = actual != expected
    else:
        error = np.abs(actual.astype(np.float64) - expected)
        wrong = error > allowance.tolerance(path, expected, WRONG)
    if not wrong.any():
        return
    at = _worst(actual, expected, wrong)
    count = "" if actual.size == 1 else f" ({int(wrong.sum())} of {actual.size} entries differ)"
    there, should = pair(actual[at], expected[at])
    sentence = f"{place(path, at)} is {there}, but should be {should}{count}"
    yield Problem("values", path, sentence, at, float(actual[at]), float(expected[at]), Whole(actual, expected, wrong, axes))


def _worst(actual, expected, wrong):
    error = np.where(wrong, np.abs(actual.astype(np.float64) - expected), -1.0)
    return tuple(int(i) for i in np.unravel_index(int(error.argmax()), error.shape))


def imprecision(gives: Mapping, actual: Mapping, expected: Mapping, allowance: Allowance) -> str | None:
    """Return a remark when a right result is less exact than it could be; it costs nothing."""
    for path, value in expected.items():
        got = actual.get(path) if "[" not in path else None
        if allowance.dtype != "float64" or not isinstance(got, np.ndarray | float) or np.iscomplexobj(got) or value.dtype.kind != "f" or not value.size:
            continue
        error = np.abs(np.asarray(got, np.float64) - value)
        if (error > allowance.tolerance(path, value, IMPRECISE)).any():
            return f"{path} is right, but only to about {float(error.max()) / max(float(np.abs(value).max()), 1e-300):.0e}: is there an epsilon, or float32 on the way?"
    return None


# ------------------------------------------------------------------------------------------------------ wording


def place(path: str, index: tuple[int, ...]) -> str:
    """Return ``dWx[0, 2]``."""
    return f"{path}[{', '.join(map(str, index))}]" if index else path


def number(value) -> str:
    """Return a number as a student would write it."""
    return f"{value.item():.6g}" if hasattr(value, "item") and value.dtype.kind == "f" else f"{value:.6g}" if isinstance(value, float) else str(value)


def pair(actual, expected) -> tuple[str, str]:
    """Return two numbers with as many digits as it takes to tell them apart."""
    actual, expected = (v.item() if hasattr(v, "item") else v for v in (actual, expected))
    for digits in (6, 9, 12, 17):
        texts = tuple(f"{v:.{digits}g}" if isinstance(v, float) else str(v) for v in (actual, expected))
        if texts[0] != texts[1]:
            break
    return texts


def a_type(value) -> str:
    """Return what a value is, with an article: ``a list``, ``None``."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
