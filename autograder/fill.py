"""How the arrays of an example are filled: scales, kinds of numbers, kinds of masks. NumPy only."""

from __future__ import annotations

import numpy as np

#: Scale regimes: factors for inputs (x), weights (w) and upstream gradients (g).
SCALES = {
    "unit": {"x": 1.0, "w": 1.0, "g": 1.0},
    "large": {"x": 40.0, "w": 40.0, "g": 1.0},
    "small": {"x": 1e-2, "w": 1e-4, "g": 1.0},
    "damped": {"x": 1.0, "w": 0.3, "g": 1.0},
    "large upstream": {"x": 1.0, "w": 0.7, "g": 300.0},
    "zero upstream": {"x": 1.0, "w": 1.0, "g": 0.0},
    "zero": {"x": 0.0, "w": 0.0, "g": 0.0},
}

#: What stands behind a mask in the example that proves it has no influence (the contract names this bound).
GARBAGE = 1e6


def role(name: str) -> str:
    """Return which scale a value takes: ``g`` for upstream gradients, ``w`` for weights, ``x`` for the rest."""
    if name[0] in "WUb" or "_W" in name or "_b" in name:
        return "w"
    return "g" if name.startswith("d") and len(name) > 1 else "x"


def draw_floats(rng, shape, plan, part="x"):
    """Return float64 numbers of the plan's kind and scale."""
    factor = SCALES[plan.scale][part]
    if plan.fill == "ones":
        return np.full(shape, factor)
    if plan.fill == "integers":
        return rng.integers(-2, 3, shape) * factor
    return rng.standard_normal(shape) * factor


def draw_mask(rng, shape, how):
    """Return a bool array; the last axis is the one along which things are real or not."""
    last = shape[-1] if shape else 1
    if how == "full":
        return np.ones(shape, bool)
    if how == "empty":
        return np.zeros(shape, bool)
    if how == "one":
        return np.arange(last) == rng.integers(0, last, (*shape[:-1], 1))
    if how == "ragged":
        return np.arange(last) < rng.integers(1, last + 1, (*shape[:-1], 1))
    mask = rng.random(shape) < 0.6
    mask[..., rng.integers(0, last)] |= ~mask.any(-1)
    if how == "empty row":
        mask[(0,) * (len(shape) - 1)] = False
    return mask
