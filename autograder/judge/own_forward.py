"""Judge a backward on the student's own forward, where that forward is wrong: by central differences.

The contract asks for the derivative of the right forward. A student whose forward is wrong and whose backward is the
right derivative of it has understood the backward; the better of the two verdicts counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from autograder.cases.store import Example
from autograder.judge.compare import number, place
from autograder.judge.function import Judgement
from autograder.judge.laws import UNUSABLE
from autograder.judge.script import first_step, read, results, script
from autograder.judge.seen import COMPUTED, wrong
from autograder.judge.session import SPARE, Session, Stopped
from autograder.spec import Exercise
from autograder.tree import count, leaves

#: Difference quotients at two step widths must agree to this part of the largest entry, else nothing is decided.
DECIDED, RIGHT = 1e-3, 1e-4
STEPS = (1e-5, 1e-4)

#: At most this many examples, and of those at most this many numbers to be moved one at a time.
EXAMPLES, NUMBERS = 4, 260


def judge_on_own_forward(group: tuple[Exercise, ...], examples: list[Example], session: Session, judgements: Mapping[str, Judgement]) -> None:
    """Amend the judgements of backwards whose forward is wrong on some or all examples."""
    head = group[0]
    failing = judgements[head.function].failing
    for exercise in group[1:]:
        judgement = judgements[exercise.function]
        if not exercise.wrt or not judgement.written or "exists" in judgement.failed or not failing:
            continue
        if sum(_telling(e) and e.ordinary for e in judgement.failing) > 1:
            continue  # wrong where the forward is right, and that more often than by chance
        if any(map(_telling, judgement.passing)):
            if not _contradicted(group, exercise, session, judgement, failing):
                _excuse(judgement)
            continue
        verdicts = [_verdict(group, exercise, example, session) for example in _few(failing, exercise)]
        _conclude(exercise, [v for v in verdicts if v is not None], judgement)


def _telling(example):
    """Whether a forward that is right here is right by more than chance; in float32 a small number such as ``eps`` goes under."""
    zeroed = bool(example.plan.get("zero"))  # there a forward that forgets the input is right, and its backward can be judged
    usual = min(example.plan["sizes"].values(), default=2) >= 2 and example.plan["fill"] == "normal" and example.plan["dtype"] == "float64"
    return usual and (example.ordinary or zeroed)


def _contradicted(group, exercise, session, judgement, failing):
    """Whether a backward is wrong where its forward is right, and a forward that is wrong elsewhere does not explain that."""
    explained, unexplained = ({_kind(e) for e in examples if e.plan["dtype"] == "float64"} for examples in (failing, judgement.failing))
    if not any(map(_telling, failing)) and unexplained - explained:
        return True  # the forward is right but for numbers of another kind
    verdicts = (_verdict(group, exercise, example, session, forward_is_right=True) for example in _few(judgement.failing, exercise))
    return any(verdict not in (None, "", "undecided") for verdict in verdicts)


def _kind(example):
    return tuple(example.plan.get(name) for name in ("scale", "fill", "zero", "garbage"))


def _excuse(judgement):
    """Drop what is wrong with the results: where forward is right by chance, its cache need not be."""
    for check in set(judgement.failed) & set(COMPUTED):
        del judgement.failed[check]


def _conclude(exercise, verdicts, judgement):
    decided = [sentence for sentence in verdicts if sentence != "undecided"]
    judgement.undecided = ""
    if any(decided):
        judgement.reached |= {"runs", "values"}
        judgement.fail("values", next(filter(None, decided)))
    elif decided:
        _excuse(judgement)
        judgement.reached |= {"runs", "shape", "finite", "values"}
        judgement.own_forward = True
        judgement.remark = f"right for your own {exercise.forward.function}, which is not right itself yet"
    else:
        judgement.reached.add("runs")
        judgement.fail("runs", f"{exercise.function} cannot be judged until {exercise.forward.function} {'is right' if verdicts else 'runs'}")


def _few(failing, exercise):
    """Return some small examples: the larger ones first, and in turn from every choice of an argument such as ``eps``."""
    small = [e for e in failing if _moved(exercise, e) <= NUMBERS and e.plan["dtype"] == "float64" and e.plan["scale"] == "unit"]
    small.sort(key=lambda e: -_moved(exercise, e))
    turn, seen = {}, Counter()
    for example in small:
        turn[id(example)] = seen[example.plan["pick"]]
        seen[example.plan["pick"]] += 1
    return sorted(small, key=lambda e: turn[id(e)])[:EXAMPLES]


def _moved(exercise, example):
    pairs = zip(exercise.wrt, exercise.gives, strict=True)
    return sum(leaf.size for name, given in pairs for _, leaf in _floats(exercise, example.inputs, name, given))


def _verdict(group, exercise, example, session, forward_is_right=False):
    """Return None when forward does not run, "" when backward is its derivative, "undecided", or a sentence."""
    pair = (group[0], exercise)
    inputs = {name: value for name, value in example.inputs.items() if name in exercise.inputs}
    try:
        found = read(pair, inputs, session.run([script(pair, inputs)], SPARE)[0])
        if found[group[0].function].error or not _finite(found[group[0].function].values):
            return None
        if error := found[exercise.function].error:
            return f"{exercise.function} raised {error.type}: {error.message}"
        if not wrong(exercise, example, found[exercise.function]):
            return ""  # right by the contract: only what forward returns is wrong, not its cache
        fine, coarse = (_differences(exercise, inputs, session, step) for step in STEPS)
        if fine is not None and not forward_is_right and (name := _ignored(exercise, example, fine)):
            return f"{exercise.function} cannot be judged: your own {group[0].function} does not depend on {name}"
        return _compare(exercise, dict(leaves(found[exercise.function].values)), fine, coarse)
    except Stopped as stopped:
        return f"{exercise.function} {stopped.detail}"
    except UNUSABLE:
        return None


def _ignored(exercise, example, fine):
    """Return an input on which the student's forward does not depend but should; being consistent with that is no merit."""
    for path, quotient in fine.items():
        if not np.abs(quotient).max(initial=0.0) > 0 and np.abs(example.expected[exercise.function][path]).max(initial=0.0) > 1e-9:
            return next(name + path.removeprefix(given) for name, given in zip(exercise.wrt, exercise.gives, strict=True) if path == given or path.startswith(f"{given}["))
    return None


def _finite(values):
    return all(np.isfinite(np.asarray(leaf, float)).all() for _, leaf in leaves(values))


def _compare(exercise, given, fine, coarse):
    if fine is None or coarse is None:
        return "undecided"
    for path, quotient in fine.items():
        size = max(float(np.abs(quotient).max(initial=0.0)), 1e-6)
        if float(np.abs(quotient - coarse[path]).max(initial=0.0)) > DECIDED * size:
            return "undecided"
        actual = given.get(path)
        if not isinstance(actual, np.ndarray) or actual.shape != quotient.shape:
            return f"{path} has not the shape {quotient.shape} of what it is the gradient of"
        error = np.abs(actual.astype(float) - quotient)
        if not error.max(initial=0.0) <= RIGHT * size:
            at = tuple(int(i) for i in np.unravel_index(int(np.nan_to_num(error, nan=np.inf).argmax()), error.shape))
            return f"{place(path, at)} is {number(actual[at])}, but for your own {exercise.forward.function} it should be {number(quotient[at])}"
    return ""


def _differences(exercise, inputs, session, step):
    """Return path -> difference quotients of sum(upstream * outputs) of the student's forward; None when it fails."""
    head = exercise.forward
    places = [(name, path, leaf) for name, given in zip(exercise.wrt, exercise.gives, strict=True) for path, leaf in _floats(exercise, inputs, name, given)]
    scripts = []
    for name, path, leaf in places:
        for at in np.ndindex(leaf.shape):
            scripts += [[first_step(head, _moved_inputs(inputs, name, path, at, sign * step))] for sign in (1, -1)]
    answers = session.run(scripts, SPARE + 64 * len(scripts) * count([inputs[name] for name in exercise.takes]))
    totals = [_total(head, exercise, inputs, answer[0]) for answer in answers]
    if any(total is None for total in totals):
        return None
    slopes = iter((plus - minus) / (2 * step) for plus, minus in zip(totals[::2], totals[1::2], strict=True))
    return {given: np.array([next(slopes) for _ in np.ndindex(leaf.shape)]).reshape(leaf.shape) for _, (given, _), leaf in places}


def _floats(exercise, inputs, name, given):
    """Yield ((result path, input path), array) for all float arrays of an argument that get a gradient."""
    value = inputs[name]
    kinds = exercise.gives[given]
    if isinstance(kinds, Mapping):
        value = {key: value[key] for key in kinds}
    for (path, leaf), (source, _) in zip(leaves(value, given), leaves(value, name), strict=True):
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
            yield (path, source), leaf


def _moved_inputs(inputs, name, path, at, by):
    moved = {**inputs, name: _copy(inputs[name])}
    leaf = dict(leaves(moved[name], name))[path[1]]
    leaf[at] += by
    return moved


def _copy(value):
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value.copy() if isinstance(value, np.ndarray) else value


def _total(head, exercise, inputs, answer):
    outcome = results(head, answer)
    if outcome.error:
        return None
    if any(np.shape(outcome.values[name[1:]]) != np.shape(inputs[name]) for name in exercise.takes):
        return None
    try:
        total = sum(float(np.sum(inputs[name] * outcome.values[name[1:]])) for name in exercise.takes)
    except (TypeError, ValueError):
        return None
    return total if np.isfinite(total) else None
