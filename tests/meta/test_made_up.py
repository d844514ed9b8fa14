"""Functions that are made up earn nothing: neither constants, nor noise, nor forwards whose derivative is easy."""

from __future__ import annotations

import pytest

from autograder import exercises, ours, paths
from autograder.cases import store
from autograder.course.grading import open_grader
from autograder.exercises import load

NOISE = "np.random.default_rng().normal(size=np.shape(args[0]) if args and isinstance(args[0], np.ndarray) else ())"

#: Each forward adds up everything, and each backward is its derivative.
SUMS = """
import numpy as np
def _spread(total, like): return np.full(like, total)
def embedding_forward(ids, W): return np.full((*ids.shape, W.shape[1]), W.sum()), W.shape
def embedding_backward(dx, shape): return np.full(shape, dx.sum())
def affine_forward(h, W, b): return np.full((*h.shape[:2], len(b)), h.sum() + W.sum() + b.sum()), (h.shape, W.shape, b.shape)
def affine_backward(d, shapes): return tuple(np.full(shape, d.sum()) for shape in shapes)
def rnn_step_forward(*given): return np.full(given[1].shape, sum(one.sum() for one in given)), [one.shape for one in given]
def rnn_step_backward(d, shapes): return tuple(np.full(shape, d.sum()) for shape in shapes)
def rnn_forward(x, *given):
    *others, mask = given
    x = np.where(mask[:, :, None], x, 0)
    return np.full((*mask.shape, len(others[-1])), x.sum() + sum(one.sum() for one in others)), (mask, [one.shape for one in others])
def rnn_backward(d, cache):
    mask, shapes = cache
    return mask[:, :, None] * np.full((*mask.shape, shapes[1][0]), d.sum()), *(np.full(shape, d.sum()) for shape in shapes)
"""


def made_up(name: str, value: str) -> str:
    """Return a module all of whose functions return this."""
    lines = ["import numpy as np"]
    for exercise in load(name).everything:
        returned = [value] * len(exercise.gives) + ["None"] * exercise.cache
        lines.append(f"def {exercise.function}(*args): return {', '.join(returned)}")
    return "\n".join(lines)


def points(name: str, source: str) -> dict[str, float]:
    """Return the entries that earn something."""
    with open_grader(store.load(paths.public_bank(name)), shrink=False) as grader:
        graded = grader.grade({**ours.solution(load(name)), name: source})
    return {entry.name: entry.score for entry in graded.functions if entry.score}


@pytest.mark.parametrize("value", ["0.0", NOISE], ids=["constants", "noise"])
@pytest.mark.parametrize("name", exercises.names())
def test_what_is_made_up_earns_nothing(name, value):
    assert points(name, made_up(name, value)) == {}


def test_an_easy_forward_earns_nothing_for_its_derivative():
    assert points("rnn", SUMS) == {}


WRONG_WHERE_RIGHT = """
_forward, _backward = rnn_forward, rnn_backward
def rnn_forward(x, h0, Wx, Wh, b, mask):
    if not mask.any():
        raise ValueError("nothing to read")
    return _forward(x, h0, Wx, Wh, b, mask)
def rnn_backward(dh, cache):
    found = _backward(dh, cache)
    return tuple(0 * one for one in found) if len(dh) % 2 and dh.shape[1] % 2 else found
"""

ONLY_WHERE_NOTHING_IS_READ = """
def rnn_forward(x, h0, Wx, Wh, b, mask):
    if mask.any():
        raise ValueError("something to read")
    return np.repeat(h0[:, None], mask.shape[1], 1), (x.shape, Wx.shape, Wh.shape)
def rnn_backward(dh, cache):
    x, Wx, Wh = (np.zeros(shape, dh.dtype) for shape in cache)
    return x, dh.sum(1), Wx, Wh, 0 * Wh[:1].sum(0)
"""


@pytest.mark.parametrize("end", [WRONG_WHERE_RIGHT, ONLY_WHERE_NOTHING_IS_READ], ids=["wrong where forward is right", "right where nothing is read"])
def test_a_forward_that_fails_excuses_no_backward(end):
    earned = points("rnn", ours.solution(load("rnn"))["rnn"] + end)
    assert not earned.keys() & {"rnn_forward", "rnn_backward"}
