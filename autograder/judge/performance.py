"""Performance without a wall clock: bytecodes counted, CPU time against our own solution, growth of peak memory.

The clock and the peak are the kernel's, read from outside; inputs are fresh in every repetition, so that remembering
answers gains nothing; and every timed result is compared with our solution's, so that being wrong fast gains nothing.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from statistics import median

import numpy as np

from autograder.cases.plan import Plan, make, typical_sizes
from autograder.judge.laws import UNUSABLE, Raised
from autograder.judge.script import read, script
from autograder.judge.session import SPARE, Exhausted, Session, Stopped
from autograder.spec import Assignment, Cost, Exercise, groups
from autograder.tree import count, largest, leaves

#: Two sizes at which bytecodes are counted; what grows by more than this is a Python loop.
FEW, MANY = 8, 32
LOOP_EXPONENT, LOOP_PER_ELEMENT = 0.3, 1.0

#: Much other work hides a loop among these: a loop is also what goes on growing, as fast up to this size, give or take this factor,
#: as what NumPy does to plan an einsum does not. Heads (A) are few, and np.split takes them apart by a loop of its own.
LONG_RUN, STEADY, HEADS = 128, 2.0, "A"

#: The sequential test on the ratio of CPU times: at least and at most this many pairs, and its width in deviations.
PAIRS, MOST_PAIRS, WIDTH, LEAST_SPREAD = 3, 9, 3.5, 0.12

#: What is undecided after all pairs passes if its median is within this factor of what is allowed, and its best pair allowed.
NEAR = 2.0

#: Where processors are shared, the kernel charges a process nothing while it gives back time that the machine had lost. Our
#: solution never takes less than this many CPU seconds; and who seems slow is measured again so many seconds later.
LEAST_CPU, MOMENT = 5e-5, 0.2

#: Peak memory at two sizes may grow by this much more than our solution's, plus a floor for what allocators round to.
MEMORY_FACTOR, MEMORY_FLOOR_KIB = 6.0, 2048

#: What a submission holds before it is measured is not counted, up to so much more than our solution holds.
BALLAST_KIB = 128 << 10


class Bench:
    """The measurements of one assignment: inputs are made once and serve the whole class."""

    def __init__(self, assignment: Assignment, seed: int):
        self.assignment, self.seed = assignment, seed
        self._made: dict = {}

    def group(self, cost: Cost) -> tuple[Exercise, ...]:
        """Return what has to be called: the function, and its forward before it."""
        exercise = self.assignment.exercise(cost.function)
        whole = next(g for g in groups(self.assignment.everything) if exercise in g)
        return tuple(e for e in whole if e is whole[0] or e is exercise)

    def scripts(self, cost: Cost, repetition: int, count_function: str = "", calls: int = 1, **sizes: int):
        """Return ``(group, inputs, batch)`` for one measurement; the same objects for every submission."""
        key = (cost.function, repetition, count_function, calls, tuple(sizes.items()))
        if key not in self._made:
            group = self.group(cost)
            inputs = {name: kind for exercise in group for name, kind in exercise.inputs.items()}
            plan = Plan(typical_sizes(group[0], inputs) | dict(cost.sizes) | sizes, mask="ragged", scale="damped")
            made = make(group[0], inputs, replace(plan, seed=self.seed + repetition))
            self._made[key] = (group, made, [script(group, made, count=count_function, repeat=calls)])
        return self._made[key]


def vectorised(bench: Bench, cost: Cost, session: Session, ours: Session | None) -> str | None:
    """Return a sentence when the work grows with a size by a Python loop, or cannot be counted."""
    for symbol in cost.vectorised.split():
        try:
            few, many = (_steps(bench, cost, symbol, size, session, ours) for size in (FEW, MANY))
            added = (many - few) / (MANY - FEW)
            exponent = math.log(max(many, 1) / max(few, 1)) / math.log(MANY / FEW)
            if added > LOOP_PER_ELEMENT and (exponent > LOOP_EXPONENT or _goes_on(bench, cost, symbol, many, added, session, ours)):
                return f"{cost.function} runs a Python loop over {symbol}: {few} steps at {symbol} = {FEW}, {many} at {symbol} = {MANY}"
        except Uncounted as trouble:
            return str(trouble)
    return None


class Uncounted(Exception):
    """The steps of a call say nothing; the message says why."""


def _goes_on(bench, cost, symbol, many, added, session, ours):
    if symbol == HEADS:
        return False
    then = (_steps(bench, cost, symbol, LONG_RUN, session, ours) - many) / (LONG_RUN - MANY)
    return added / STEADY < then < added * STEADY


def _steps(bench, cost, symbol, size, session, ours) -> int:
    """Return how many bytecodes one call takes at a size, which has to give what ours gives."""
    small = {s: min(n, 6) for s, n in cost.sizes.items() if s != symbol}
    group, inputs, batch = bench.scripts(cost, 0, cost.function, **small, **{symbol: size})
    found = read(group, inputs, _run(session, batch, inputs))
    outcome = found[cost.function]
    if outcome.error:
        raise Uncounted(f"{cost.function} raised {outcome.error.type} at {symbol} = {size}")
    if not outcome.bytecodes:
        raise Uncounted(f"the steps of {cost.function} cannot be counted: it switches tracing off, or is no Python function")
    if ours and not _as_ours(group, inputs, batch, found, ours):
        raise Uncounted(f"{cost.function} gives another result at {symbol} = {size}, where its steps are counted")
    return outcome.bytecodes


def _as_ours(group, inputs, batch, found, ours) -> bool:
    """Whether results are those of our solution on the same inputs."""
    try:
        return _same(found, read(group, inputs, _run(ours, batch, inputs)))
    except (Raised, Exhausted) as trouble:
        raise Unmeasured from trouble


def speed(bench: Bench, cost: Cost, session: Session, ours: Session) -> str | None:
    """Return a sentence when the CPU time is twice found above the allowed ratio to our solution's; what is near it passes."""
    sentence = _speed(bench, cost, session, ours, 1)
    if sentence is None:
        return None
    time.sleep(MOMENT)
    return _speed(bench, cost, session, ours, 1 + MOST_PAIRS)


def _speed(bench, cost, session, ours, first):
    ratios: list[float] = []
    verdict = None
    for repetition in range(first, first + MOST_PAIRS):
        ratio, same = _pair(*bench.scripts(cost, repetition, calls=cost.calls), session, ours)
        if not same:
            return f"{cost.function} gives another result on the larger inputs of the speed measurement"
        if ratio is not None:
            ratios.append(ratio)
        verdict = decide(ratios, cost.speed)
        if verdict is not None:
            break
    if verdict is False or (verdict is None and far(ratios, cost.speed)):
        return f"{cost.function} takes {math.exp(median(map(math.log, ratios))):.0f} times as long as ours; {cost.speed:g} times is allowed"
    return None


def decide(ratios: list[float], threshold: float) -> bool | None:
    """Return True when the ratio is surely below the threshold, False when surely above, None when more is needed."""
    if len(ratios) < PAIRS:
        return None
    logs = np.log(ratios)
    middle = float(np.median(logs))
    spread = max(1.4826 * float(np.median(np.abs(logs - middle))), LEAST_SPREAD)
    margin = WIDTH * spread / math.sqrt(len(ratios))
    if middle + margin < math.log(threshold):
        return True
    return False if middle - margin > math.log(threshold) else None


def far(ratios: list[float], threshold: float) -> bool:
    """Return True when ratios that scatter too much for `decide` are no noise around an allowed one.

    Noise seldom spares no pair at all, and does not carry half of the pairs far above; a clock that stood still says nothing.
    """
    return len(ratios) >= PAIRS and (min(ratios) > threshold or median(ratios) > NEAR * threshold)


class Unmeasured(Exception):
    """Our own solution could not be measured; nobody pays for that."""


def _pair(group, inputs, batch, session, ours):
    """Return the ratio of CPU times, None where the clock stood still, and whether the results agree."""
    theirs, their_answers = _timed(session, batch, inputs)
    try:
        mine, my_answers = _timed(ours, batch, inputs)
    except (Raised, Exhausted) as trouble:
        raise Unmeasured from trouble
    ratio = theirs / mine if mine >= LEAST_CPU else None
    return ratio, _same(read(group, inputs, their_answers), read(group, inputs, my_answers))


def _timed(session, batch, inputs):
    worker = _worker(session)
    before = worker.cpu_ns()
    answers = _run(session, batch, inputs)
    return (worker.cpu_ns() - before) / 1e9, answers


def _same(theirs, ours) -> bool:
    try:
        return _alike(theirs, ours)
    except UNUSABLE:  # numbers of a kind that cannot be compared
        return False


def _alike(theirs, ours) -> bool:
    for function, mine in ours.items():
        if theirs[function].error or mine.error:
            return False
        given = dict(leaves(theirs[function].values))
        # A result that is 0 in exact arithmetic (the gradient of a key's bias) is roundoff next to the others.
        floor = 1e-6 * max(largest(mine.values), 1e-3)
        for path, value in leaves(mine.values):
            if np.shape(given.get(path)) != np.shape(value):
                return False
            if not np.allclose(given[path], value, rtol=0, atol=1e-6 * max(float(np.abs(value).max(initial=0)), floor)):
                return False
    return True


def memory(bench: Bench, cost: Cost, session: Session, ours: Session) -> str | None:
    """Return a sentence when peak memory at the larger size is far above our solution's, or the results there are not ours."""
    sizes = {cost.memory: 2 * cost.sizes[cost.memory]}
    levels = [_levels(session, bench, cost, sizes, repetition) for repetition in (1, 2)]
    try:
        our_levels = [_levels(ours, bench, cost, sizes, repetition) for repetition in (1, 2)]
    except (Raised, Exhausted) as trouble:
        raise Unmeasured from trouble
    if not all(_same(given, expected) for (*_, given), (*_, expected) in zip(levels, our_levels, strict=True)):
        return f"{cost.function} gives another result on the larger inputs of the memory measurement"
    most = max(base for base, *_ in our_levels) + BALLAST_KIB
    theirs = min(peak - min(base, most) for base, peak, _ in levels)
    mine = min(peak - base for base, peak, _ in our_levels)
    if theirs > MEMORY_FACTOR * mine + MEMORY_FLOOR_KIB:
        return f"{cost.function} needs {theirs / 1024:.0f} MiB at {cost.memory} = {sizes[cost.memory]}, ours {mine / 1024:.0f} MiB: does something grow faster than {cost.memory}?"
    return None


def _levels(session, bench, cost, sizes, repetition):
    """Return ``(base, peak, results)`` of one call in a fresh process, the first two in KiB.

    The base is what the process holds before or after the call, whichever is less: what the call has freed was no part of it.
    A small call comes first, since the first one may load and drop things.
    """
    session.renew()
    _checked(session, cost, *bench.scripts(cost, 100, **{symbol: min(size, 6) for symbol, size in cost.sizes.items()}))
    worker = _worker(session)
    before = _held(worker)
    found = _checked(session, cost, *bench.scripts(cost, 100 + repetition, **sizes))
    peak = worker.peak_kib()
    return min(before, _held(worker)), peak, found


def _held(worker):
    worker.reset_peak()
    return worker.peak_kib()


def _checked(session, cost, group, inputs, batch):
    """Run a batch and return what every function gave, none of them an error."""
    outcome = read(group, inputs, _run(session, batch, inputs))
    if error := next((o.error for o in outcome.values() if o.error), None):
        raise Raised(f"{cost.function} raised {error.type}: {error.message}")
    return outcome


def _worker(session):
    try:
        return session.worker()
    except Stopped as stopped:
        raise Raised(f"the submission {stopped.detail}") from None


def _run(session, batch, inputs):
    try:
        return session.run(batch, SPARE + 128 * count(inputs))[0]
    except Stopped as stopped:
        raise Raised(f"the submission {stopped.detail}") from None


def measure(bench: Bench, cost: Cost, session: Session, ours: Session | None) -> dict[str, str | None]:
    """Return check -> None or sentence for one cost."""
    found: dict[str, str | None] = {}
    try:
        if cost.vectorised:
            found["vectorised"] = vectorised(bench, cost, session, ours)
        if ours and cost.speed and not found.get("vectorised"):
            found["speed"] = speed(bench, cost, session, ours)
        if ours and cost.memory:
            found["memory"] = memory(bench, cost, session, ours)
    except Raised as raised:
        found["speed"] = str(raised)
    except Unmeasured:
        pass
    return found
