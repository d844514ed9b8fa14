"""Where, not what: entries that are wrong at some steps, examples or rows only, always the same ones. That tells which line to look at.

What is said here is true whatever the reason; so it is the last thing tried, after all that knows a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autograder.diagnose.diagnosis import Diagnosis
from autograder.diagnose.general import EVIDENCE
from autograder.diagnose.repeats import PART


@dataclass(frozen=True)
class Wrong:
    """Which entries of a result are wrong on one example: ``entries`` (bool), its axes (``["N", "T", "H"]``), and the mask of its steps, if any."""

    entries: np.ndarray
    axes: list[str]
    mask: np.ndarray | None
    sizes: tuple

    def along(self, axis: str) -> np.ndarray:
        """Return for every index of an axis whether anything there is wrong."""
        return self.entries.any(axis=tuple(i for i, name in enumerate(self.axes) if name != axis))

    def steps(self) -> np.ndarray:
        """Return for every example and step whether anything there is wrong."""
        return self.entries.any(axis=tuple(range(2, self.entries.ndim)))


@dataclass(frozen=True)
class Pattern:
    """Steps, examples or rows that are wrong: the axes that a result must have, what must hold on each example, and what is said."""

    axes: tuple[str, ...]
    holds: Callable[[Wrong], bool]
    telling: Callable[[Wrong], bool]
    said: Diagnosis

    def fits(self, seen: Sequence[Wrong]) -> bool:
        """Whether all wrong results are wrong in this way."""
        return all(tuple(wrong.axes[: len(self.axes)]) == self.axes and self.holds(wrong) for wrong in seen)


def _exactly(axis: str, chosen: Callable[[np.ndarray], np.ndarray]) -> Callable[[Wrong], bool]:
    """Return whether just these places of an axis are wrong; ``chosen`` makes them out of a row that is True in the first place."""
    return lambda wrong: np.array_equal(wrong.along(axis), chosen(np.arange(len(wrong.along(axis))) == 0))


def _padded_only(wrong: Wrong) -> bool:
    return wrong.mask is not None and not (wrong.steps() & wrong.mask).any()


def _has_right_steps(wrong: Wrong) -> bool:
    return wrong.mask is not None and wrong.mask.any() and not wrong.mask.all()


def _padded_examples(wrong: Wrong) -> bool:
    return wrong.mask is not None and not wrong.along("N")[wrong.mask.all(axis=1)].any()


def _has_both(wrong: Wrong) -> bool:
    return wrong.mask is not None and wrong.mask.all(axis=1).any() and not wrong.mask.all()


def _at_least(axis: str, size: int) -> Callable[[Wrong], bool]:
    return lambda wrong: len(wrong.along(axis)) >= size


PATTERNS = (
    Pattern(
        ("N", "T"), _padded_only, _has_right_steps,
        Diagnosis("wrong at padded steps", "{path} is right at the real steps and wrong at padded ones", "What does the docstring say about a step whose mask is False?"),
    ),
    Pattern(
        ("N", "T"), _exactly("T", lambda first: first), _at_least("T", 3),
        Diagnosis("wrong at the first step only", "{path} is wrong at the first step and right at all others", "What is there at the first step that the others do not have?"),
    ),
    Pattern(
        ("N", "T"), _exactly("T", lambda first: first[::-1]), _at_least("T", 3),
        Diagnosis("wrong at the last step only", "{path} is wrong at the last step and right at all others", "Does your loop reach the last step, and what is different there?"),
    ),
    Pattern(
        ("N", "T"), _exactly("T", lambda first: ~first), _at_least("T", 3),
        Diagnosis("wrong after the first step", "{path} is right at the first step and wrong at all later ones", "What goes from one step into the next?"),
    ),
    Pattern(
        ("N", "T"), _exactly("T", lambda first: ~first[::-1]), _at_least("T", 3),
        Diagnosis("wrong before the last step", "{path} is right at the last step and wrong at all earlier ones", "What should come back from one step to the one before?"),
    ),
    Pattern(
        ("N", "T"), _padded_examples, _has_both,
        Diagnosis("wrong in padded examples", "{path} is right for examples without padding and wrong for those with padding", "Follow one padded example by hand: what should its mask change?"),
    ),
    Pattern(
        ("N",), _exactly("N", lambda first: ~first), _at_least("N", 3),
        Diagnosis("right for the first example only", "{path} is right for the first example of the batch and wrong for all others", "Is something of the first example used for all of them?"),
    ),
)  # fmt: skip

NAMES = frozenset(pattern.said.name for pattern in PATTERNS)


def recognise(function: str, path: str, cases: Sequence) -> Diagnosis | None:
    """Return where a result is wrong, where that is the same on all examples on which it is.

    Parameters
    ----------
    cases : sequence of Case
        The examples on which the result is wrong.
    """
    seen = [_wrong(function, path, case) for case in cases]
    if not seen or None in seen:
        return None
    for pattern in PATTERNS:
        if pattern.fits(seen) and len({wrong.sizes for wrong in seen if pattern.telling(wrong)}) >= EVIDENCE:
            return Diagnosis(pattern.said.name, pattern.said.sentence.format(path=path), pattern.said.hint)
    return None


def _wrong(function, path, case):
    expected, given = np.asarray(case.example.expected[function][path]), np.asarray(case.given.get(path, np.nan))
    axes = case.axes.get(path, "").split()
    if given.shape != expected.shape or given.ndim != len(axes) or not axes:
        return None
    off = ~(np.abs(given - np.asarray(expected, float)) <= PART * np.abs(expected).max(initial=0.0))
    return Wrong(off, axes, _mask(case.example, off.shape[:2]), tuple(sorted(case.example.plan["sizes"].items())))


def _mask(example, shape):
    masks = [value for value in example.inputs.values() if isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.shape == shape]
    return masks[0] if len(masks) == 1 else None
