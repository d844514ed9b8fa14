"""From which sizes on something fails, said from the examples alone, so that it reads the same with and without torch."""

from __future__ import annotations

import numpy as np

from autograder.cases.plan import TYPICAL
from autograder.cases.store import Example


def when(passing: list[Example], failing: list[Example]) -> str:
    """Return ``fails whenever T ≥ 2, passes at T = 1``, or "" when no single size or kind decides."""
    passing = [example for example in passing if example.ordinary]
    for symbol in (s for s in TYPICAL if failing and s in failing[0].plan["sizes"]):
        good, bad = ({e.plan["sizes"].get(symbol, 0) for e in some} for some in (passing, failing))
        if good == {1} and 1 not in bad:
            return f"fails whenever {symbol} ≥ 2, passes at {symbol} = 1"
        if bad == {1} and 1 not in good and good:
            return f"fails whenever {symbol} = 1, passes at {symbol} ≥ 2"
    if passing and failing:
        return _kind(passing, failing)
    return ""


def _kind(passing, failing):
    """Say it of masks, and of what stands behind them, where these decide."""
    good, bad = ({_mask(e) for e in some} for some in (passing, failing))
    if good == {"full"} and bad and "full" not in bad:
        return "fails whenever something is masked, passes without a mask"
    if all(e.name == "float32" for e in failing):
        return "only with float32 inputs"
    return ""


def _mask(example):
    return example.plan.get("mask", "full") if any(getattr(v, "dtype", None) == np.bool_ for v in example.inputs.values()) else "full"


def sizes(example: Example) -> str:
    """Return the sizes of an example: ``T = 2, all other sizes 1``."""
    given = dict(example.plan["sizes"])
    larger = {s: n for s, n in given.items() if n != 1}
    if len(larger) < len(given) and larger:
        return ", ".join(f"{s} = {n}" for s, n in larger.items()) + ", all other sizes 1"
    return "all sizes 1" if not larger else ", ".join(f"{s} = {n}" for s, n in given.items())
