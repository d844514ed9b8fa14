"""The named examples. A missing *kind* of input survives any number of random examples; these are the kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autograder.cases.plan import SMALLEST, Plan, size_symbols, typical_sizes
from autograder.spec import Choice, Exercise, Ids, Mask, Real

#: Sizes that stand for length, made long in the example ``long``.
LENGTHS = ("T", "S", "L")


def edges(exercise: Exercise, inputs: Mapping) -> dict[str, Plan]:
    """Return the named plans of an exercise, simple ones first, so that the first failure is nearly the smallest."""
    typical = Plan(typical_sizes(exercise, inputs), mask="full")
    plans = {**_tiny(inputs, typical), **_usual(inputs, typical), **_masked(inputs, typical), **_extreme(exercise, inputs, typical)}
    if exercise.cache:
        plans |= _zeroed(exercise, typical)
    for name, changes in exercise.edges.items():
        plans.pop(name, None)
        if changes is not None:
            plans[name] = _changed(plans.get("typical", typical), changes)
    return plans


def _changed(plan, changes):
    return replace(plan, **{**changes, "sizes": {**plan.sizes, **changes.get("sizes", {})}})


def _tiny(inputs, typical):
    """All sizes as small as can be, then one of them larger at a time: on these a bug shows with the fewest numbers."""
    smallest = {s: SMALLEST.get(s, 1) for s in typical.sizes}
    tiny = replace(typical, fill="ones", sizes=smallest)
    larger = {f"tiny, {s} = {smallest[s] + 1}": tiny.with_sizes(**{s: smallest[s] + 1}) for s in size_symbols(inputs)}
    return {"tiny": tiny, **larger}


def _usual(inputs, typical):
    plans = {"integers": replace(typical, fill="integers"), "typical": typical}
    for s in size_symbols(inputs):
        if SMALLEST.get(s, 1) == 1:
            plans[f"{s} = 1"] = typical.with_sizes(**{s: 1})
    return plans


def _masked(inputs, typical):
    masks = [kind for kind in inputs.values() if isinstance(kind, Mask)]
    if not masks:
        return {}
    names = {"ragged": "ragged", "holes": "holes", "one real": "one", "empty row": "empty row", "nothing real": "empty"}
    plans = {name: replace(typical, mask=how) for name, how in names.items()}
    if any(kind.hides for kind in masks):
        plans["garbage behind the mask"] = replace(typical, mask="empty row", garbage=True)
    return plans


def _zeroed(exercise, typical):
    """One input all zeros at a time: a forward that forgets it is right here, and its backward can be judged."""
    floats = [name for name, kind in exercise.takes.items() if isinstance(kind, Real)]
    return {f"{name} = 0": replace(typical, zero=name) for name in floats}


def _extreme(exercise, inputs, typical):
    plans = {}
    if lengths := [s for s in LENGTHS if s in typical.sizes]:
        plans["long"] = replace(typical, scale="damped").with_sizes(**dict.fromkeys(lengths, 40), **({"N": 2} if "N" in typical.sizes else {}))
    plans["large numbers"] = replace(typical, scale="large")
    plans["small numbers"] = replace(typical, scale="small")
    if any(name.startswith("d") for name in inputs):
        plans["large upstream"] = replace(typical, scale="large upstream").with_sizes(**{s: 9 for s in ("N", "T") if s in typical.sizes})
        plans["zero upstream"] = replace(typical, scale="zero upstream")
    ids = [kind for kind in inputs.values() if isinstance(kind, Ids)]
    if ids:
        plans["repeated ids"] = typical.with_sizes(**{kind.below: SMALLEST.get(kind.below, 2) for kind in ids}, **({"N": 8} if "N" in typical.sizes else {}))
    choices = max((len(kind.values) for kind in inputs.values() if isinstance(kind, Choice)), default=1)
    plans |= {f"choice {k}": replace(typical, pick=k) for k in range(1, choices)}
    mask = "holes" if any(isinstance(kind, Mask) for kind in inputs.values()) else "full"
    for layout in ("fortran", "strided", "readonly"):
        plans[layout] = replace(typical, layout=layout, mask=mask)
    plans["float32"] = replace(typical, dtype="float32", mask=mask)
    return plans
