"""What a single function may cost: many calls with other numbers each time, measured against our own solution."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from autograder import ours
from autograder.exercises import load
from autograder.judge import performance
from autograder.judge.function import Judgement
from autograder.judge.performance import PAIRS, Bench, far, measure, memory
from autograder.judge.session import Session
from autograder.sandbox.local import Local
from autograder.sandbox.messages import batch_of, step_tree
from autograder.sandbox.steps import Fault, Step

WORD2VEC, LSTM = load("word2vec"), load("lstm")
UPDATE = WORD2VEC.exercise("sgd_update")
SPARSE = "import numpy as np\ndef sgd_update(W, rows, grads, lr):\n    np.add.at(W, rows, -lr * grads)\n"
DENSE = "import numpy as np\ndef sgd_update(W, rows, grads, lr):\n    step = np.zeros_like(W)\n    np.add.at(step, rows, grads)\n    W -= lr * step\n"
LOOP = "def sgd_update(W, rows, grads, lr):\n    for row, grad in zip(rows, grads):\n        W[row] -= lr * grad\n"


class Here(Local):
    def cpu_ns(self):
        return time.thread_time_ns()


def session(files) -> Session:
    return Session(lambda: Here(files), (Fault,))


def measured(source: str) -> dict:
    return measure(Bench(WORD2VEC, 0), UPDATE.cost, session({"word2vec": source}), session(ours.solution(WORD2VEC)))


def test_a_repeated_step_calls_many_times_and_gives_the_last_value():
    runner = Local({"m": "calls = []\ndef f(x):\n    calls.append(x)\n    return len(calls)\n"})
    assert runner.run([[Step("f", (0,), repeat=5)]])[0][0].value == 5


@pytest.mark.parametrize("step", [Step("f", (1,)), Step("f", (1,), back=(0,), repeat=7)])
def test_a_step_travels_with_its_repetitions(step):
    assert batch_of(((step_tree(step),),)) == [[step]]


def test_an_update_of_some_rows_costs_what_ours_costs():
    assert measured(SPARSE) == {"vectorised": None, "speed": None}


def test_an_update_of_the_whole_table_is_too_slow():
    assert "times as long as ours" in measured(DENSE)["speed"]


def test_a_loop_over_the_rows_is_found():
    assert "Python loop over R" in measured(LOOP)["vectorised"]


def test_costs_are_checks_only_where_they_were_measured():
    judgement = Judgement(UPDATE)
    assert "speed" not in judgement.checks()
    judgement.reached |= {"speed", "vectorised"}
    assert judgement.checks()[-2:] == ["vectorised", "speed"]


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.0, 30.0, 200.0], True),
        ([6.0, 30.0, 7.0], True),
        ([1.0, 30.0, 2.0], False),
        ([4.0, 6.0, 9.0], False),
        ([60.0] * (PAIRS - 1), False),
    ],
)
def test_ratios_that_scatter_pass_only_near_what_is_allowed(ratios, verdict):
    assert far(ratios, 5.0) is verdict


def held(*mib):
    """Return a session whose worker holds these amounts: before a call, at its peak, after it."""
    left = iter(2 * mib)
    worker = SimpleNamespace(reset_peak=lambda: None, peak_kib=lambda: next(left) << 10)
    return SimpleNamespace(renew=lambda: None, worker=lambda: worker)


@pytest.mark.parametrize(
    ("mib", "wasteful"),
    [
        ((40, 55, 41), False),
        ((140, 150, 145), False),  # a large import
        ((40, 60, 55), False),  # a cache that stays
        ((40, 240, 41), True),
        ((360, 360, 41), True),  # a ballast that the call drops
        ((360, 360, 360), True),  # and takes up again
    ],
)
def test_a_ballast_does_not_hide_a_peak_of_memory(monkeypatch, mib, wasteful):
    monkeypatch.setattr(performance, "_checked", lambda *_: {})
    cost = next(cost for cost in LSTM.performance.costs if cost.memory)
    assert bool(memory(Bench(LSTM, 0), cost, held(*mib), held(40, 50, 40))) is wasteful
