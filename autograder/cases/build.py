"""Build a bank: named edges, then plans drawn by Hypothesis once for everyone. Needs torch and Hypothesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from autograder.cases.edges import edges
from autograder.cases.oracle import NOISE, Noise, Oracle, envelope
from autograder.cases.plan import SMALLEST, Plan, make, size_symbols, typical_sizes
from autograder.cases.store import Bank, BankError, Example
from autograder.cases.tolerance import UNIT, slack
from autograder.spec import Assignment, Choice, Exercise, Mask, Uniforms, groups

DRAWN = 8
TRIES = 40
PUBLIC_SEED = 0

MASKS = ("full", "ragged", "holes", "one", "empty row")
SCALES = ("unit", "damped", "large upstream", "small")


def plans(exercise: Exercise, inputs: Mapping) -> st.SearchStrategy[Plan]:
    """Return the strategy of plans: sizes, kinds and a small seed; arrays are filled by NumPy afterwards.

    Everything shrinks towards the simplest: all sizes small, ones, full masks.
    """
    fixed = typical_sizes(exercise, inputs)
    drawn = {s: st.integers(SMALLEST.get(s, 1), SMALLEST.get(s, 1) + 7) for s in size_symbols(inputs) if s not in exercise.sizes}
    sizes = st.fixed_dictionaries({s: drawn.get(s, st.just(n)) for s, n in fixed.items()})
    masked = any(isinstance(kind, Mask) for kind in inputs.values())
    picks = max((len(kind.values) for kind in inputs.values() if isinstance(kind, Choice)), default=1)
    return st.builds(
        Plan,
        sizes=sizes,
        fill=st.sampled_from(("ones", "integers", "normal")),
        mask=st.sampled_from(MASKS) if masked else st.just("full"),
        scale=st.sampled_from(SCALES),
        pick=st.integers(0, picks - 1),
        seed=st.integers(0, 255),
    )


def draw(strategy: st.SearchStrategy, number: int, from_seed: int) -> list:
    """Return some values of a strategy; the same ones for the same seed and versions."""
    drawn = []

    @seed(from_seed)
    @settings(
        max_examples=number, database=None, deadline=None, phases=[Phase.generate], report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(value):
        drawn.append(value)

    collect()
    return drawn


def build(assignment: Assignment, bank_seed: int, *, public: bool = False, progress=lambda name: None) -> Bank:
    """Draw, compute and check all examples of an assignment."""
    oracle = Oracle(assignment.name)
    found = {}
    for group in groups(assignment.everything):
        progress(group[0].function)
        found[group[0].function] = group_examples(oracle_of(group, assignment, oracle), group, bank_seed)
    milestone = {}
    if assignment.milestone:
        progress("milestone")
        milestone = {"seed": bank_seed % 2**31, "curve": assignment.milestone.reference_curve(oracle.loss_and_grads, bank_seed % 2**31)}
    return Bank(assignment.name, public, found, milestone)


def oracle_of(group, assignment: Assignment, oracle: Oracle) -> Oracle:
    """Return the oracle for a group: a prerequisite's lives in the assignment it comes from."""
    prerequisite = group[0].function in {e.function for e in assignment.prerequisites}
    return Oracle(assignment.requires[0]) if prerequisite else oracle


def group_examples(oracle: Oracle, group: tuple[Exercise, ...], bank_seed: int) -> list[Example]:
    """Return the examples of one group, edges first."""
    head, inputs = group[0], group_inputs(group)
    rng = np.random.default_rng([bank_seed, 1])
    wanted = {name: replace(plan, seed=int(rng.integers(2**31))) for name, plan in edges(head, inputs).items()}
    examples = [_example(oracle, group, inputs, name, plan, named=True) for name, plan in wanted.items()]
    for plan in draw(plans(head, inputs), 4 * DRAWN, bank_seed):
        if len(examples) - len(wanted) == DRAWN:
            break
        plan = replace(plan, fill="normal", seed=int(rng.integers(2**31)))
        if example := _example(oracle, group, inputs, f"drawn {len(examples) - len(wanted) + 1}", plan, named=False):
            examples.append(example)
    return examples


def group_inputs(group: tuple[Exercise, ...]) -> dict:
    """Return the inputs of all functions of a group together."""
    return {name: kind for exercise in group for name, kind in exercise.inputs.items()}


def _example(oracle, group, inputs, name, plan, named):
    """Return an example whose expected results are finite and decided; try other seeds where chance spoils one."""
    for attempt in range(TRIES if named else 3):
        tried = replace(plan, seed=plan.seed + attempt)
        values = make(group[0], inputs, tried)
        expected = oracle.answers(group, values)
        if not all(np.isfinite(value).all() for results in expected.values() for value in results.values()):
            continue
        spread = envelope(oracle, group, values, expected)
        if decided(oracle, group, values, expected, tried.dtype == "float32") and (named or _sharp(expected, spread)):
            return Example(name, tried.to_json(), values, expected, spread)
    if named:
        raise BankError(f"{group[0].function}: the example {name!r} cannot be drawn: its results are not finite, or rounding decides them.")
    return None


def decided(oracle, group, inputs, expected, single: bool = False) -> bool:
    """Whether discrete results stay what they are under noise, and for uniforms 1e-9 to either side.

    ``single``: with the rounding of float32 in mind.
    """
    if not any(exercise.discrete for exercise in group):
        return True
    others = []
    noise, shift = (NOISE, 1e-9) if not single else (2.0**-18, 1e-5)
    for by in (-shift, shift):
        moved = {n: np.clip(v + by, 0, 1 - 1e-12) if isinstance(group[0].takes.get(n), Uniforms) else v for n, v in inputs.items()}
        others.append(oracle.answers(group, moved))
    with Noise(noise, 7):
        others.append(oracle.answers(group, inputs))
    return all(_same_ids(expected, other) for other in others)


def _same_ids(expected, other):
    return all(
        np.array_equal(value, other[function][path])
        for function, results in expected.items()
        for path, value in results.items()
        if value.dtype.kind in "iub"
    )


def _sharp(expected, spread) -> bool:
    """Whether rounding is far below the tolerance for every result, so that the example can tell wrong from right."""
    return all(
        slack(spread[function][path], UNIT["float64"]) <= 1e-6 * max(float(np.abs(value).max(initial=0.0)), 1e-12)
        for function, results in expected.items()
        for path, value in results.items()
        if value.dtype.kind == "f"
    )


def verify(bank: Bank, assignment: Assignment) -> list[str]:
    """Compute everything again; return a sentence for every stored value that the reference no longer gives."""
    oracle, wrong = Oracle(assignment.name), []
    for group in groups(assignment.everything):
        for example in bank.groups.get(group[0].function, []):
            now = oracle_of(group, assignment, oracle).answers(group, example.inputs)
            for function, results in example.expected.items():
                wrong += [f"{function}, example {example.name!r}: {path} has changed" for path, value in results.items() if not _agree(value, now[function].get(path), example.envelope[function][path])]
        if group[0].function not in bank.groups:
            wrong.append(f"{group[0].function} has no examples")
    return wrong


def _agree(stored, now, spread):
    if now is None or now.shape != stored.shape:
        return False
    if stored.dtype.kind != "f":
        return bool(np.array_equal(stored, now))
    allowed = max(1e-9 * float(np.abs(stored).max(initial=0.0)), slack(spread, UNIT["float64"]))
    return bool(np.abs(stored - now).max(initial=0.0) <= allowed)


