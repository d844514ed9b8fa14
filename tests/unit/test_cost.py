"""What a single function may cost: many calls with the same arguments, measured against our own solution."""

from __future__ import annotations

import time

import pytest

from autograder import ours
from autograder.exercises import load
from autograder.judge.function import Judgement
from autograder.judge.performance import Bench, measure
from autograder.judge.session import Session
from autograder.sandbox.local import Local
from autograder.sandbox.messages import batch_of, step_tree
from autograder.sandbox.steps import Fault, Step

WORD2VEC = load("word2vec")
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
