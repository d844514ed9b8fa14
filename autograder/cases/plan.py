"""From a plan (sizes, kinds, a small seed) to the arrays of one example; NumPy only.

A plan is what Hypothesis draws and shrinks, and what a counterexample prints: short, and enough to make the arrays again.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from autograder.fill import GARBAGE, draw_floats, draw_mask, role
from autograder.spec import Choice, Draw, Exercise, Float64, Ids, Many, Mask, Real, Uniforms, shape_of, symbols

#: Sizes of a typical example: pairwise different where they can meet, so that a transposed axis shows.
TYPICAL = {
    "N": 3, "T": 5, "S": 7, "D": 4, "H": 6, "V": 11, "C": 4, "K": 2, "A": 2, "E": 4, "L": 12, "M": 9, "F": 10,
    "B": 2, "Vs": 13, "Vt": 10, "w": 2, "R": 8,
}  # fmt: skip

#: Symbols that need at least two to make sense (a vocabulary of one has nothing to choose).
SMALLEST = {"V": 2, "Vs": 3, "Vt": 4}

@dataclass(frozen=True)
class Plan:
    """How one example is made.

    Parameters
    ----------
    sizes : mapping of str to int
    fill : {"normal", "ones", "integers"}
    mask : {"full", "ragged", "holes", "one", "empty row", "empty"}
        All real; real up to a length; holes anywhere; one real each; first row without any; nothing real.
    scale : str
        A key of :data:`autograder.fill.SCALES`.
    pick : int
        Which value of every ``Choice`` is taken.
    garbage : bool
        Fill what is behind masks with values up to 1e6.
    zero : str
        Name of an input that is all zeros.
    dtype : {"float64", "float32"}
    layout : {"C", "fortran", "strided", "readonly"}
    seed : int
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    fill: str = "normal"
    mask: str = "holes"
    scale: str = "unit"
    pick: int = 0
    garbage: bool = False
    zero: str = ""
    dtype: str = "float64"
    layout: str = "C"
    seed: int = 0

    def to_json(self) -> dict:
        """Return the plan as plain data."""
        return asdict(self) | {"sizes": dict(self.sizes)}

    def with_sizes(self, **sizes: int) -> Plan:
        """Return the plan with some sizes changed."""
        return replace(self, sizes={**self.sizes, **sizes})


def size_symbols(inputs: Mapping) -> list[str]:
    """Return the size symbols of an exercise's inputs in the order in which they appear in conventions."""
    found = symbols(inputs)
    return [s for s in TYPICAL if s in found] + sorted(found - set(TYPICAL))


def typical_sizes(exercise: Exercise, inputs: Mapping) -> dict[str, int]:
    """Return the sizes of a typical example of an exercise."""
    wanted = dict.fromkeys([*size_symbols(inputs), *exercise.sizes])
    return {s: exercise.sizes.get(s, TYPICAL.get(s, 3)) for s in wanted}


def make(exercise: Exercise, inputs: Mapping, plan: Plan) -> dict:
    """Return the inputs of one example, name -> value, floats in the plan's dtype."""
    rng = np.random.default_rng([plan.seed, zlib.crc32(exercise.function.encode())])
    made = {name: _value(kind, name, rng, plan) for name, kind in inputs.items()}
    if plan.zero:
        made[plan.zero] = np.zeros_like(made[plan.zero])
    if plan.garbage:
        made = _hide_garbage(inputs, made, rng)
    if exercise.prepare:
        made = exercise.prepare(made, rng, plan)
    return cast(made, plan.dtype) if plan.dtype != "float64" else made


def _value(kind, name, rng, plan):
    if isinstance(kind, Mapping):
        return {key: _value(value, key, rng, plan) for key, value in kind.items()}
    if isinstance(kind, Many):
        return [_value(kind.kind, name, rng, plan) for _ in range(plan.sizes[kind.count])]
    if isinstance(kind, Choice):
        return kind.values[plan.pick % len(kind.values)]
    if isinstance(kind, Draw):
        return kind.make(rng, plan.sizes, plan)
    shape = shape_of(kind.shape, plan.sizes)
    if isinstance(kind, Ids):
        return rng.integers(0, plan.sizes[kind.below], shape)
    if isinstance(kind, Mask):
        return draw_mask(rng, shape, plan.mask)
    if isinstance(kind, Uniforms):
        return rng.random(shape)
    if isinstance(kind, Real | Float64):
        return draw_floats(rng, shape, plan, role(name))
    raise TypeError(f"{name}: no example can be drawn from {kind!r}")


def _hide_garbage(inputs, made, rng):
    for name, kind in inputs.items():
        for hidden in getattr(kind, "hides", ()):
            value = made[hidden].copy()
            value[~made[name]] = rng.uniform(-GARBAGE, GARBAGE, value[~made[name]].shape)
            made[hidden] = value
    return made


def cast(tree, dtype):
    """Return a copy of a tree of values with every float64 array in another dtype."""
    if isinstance(tree, Mapping):
        return {key: cast(value, dtype) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(cast(value, dtype) for value in tree)
    if isinstance(tree, np.ndarray) and tree.dtype.kind == "f":
        return tree.astype(dtype)
    return tree
