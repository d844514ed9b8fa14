"""Right answers get full points, wrong ones lose on exactly the functions and checks that they name: in the sandbox, on several banks."""

from __future__ import annotations

import os

import pytest

from autograder import exercises
from tests.bank import judging as bank

NAMES = os.environ.get("HANDGRAD_ONLY", "").split() or exercises.names()
SOAK_SEEDS = range(int(os.environ.get("HANDGRAD_SEEDS", "10")))


@pytest.fixture(scope="module")
def judge_of():
    """Return a function that gives one judge per assignment and seed; all are closed at the end."""
    open_ones: dict = {}

    def get(name, seed):
        if (name, seed) not in open_ones:
            manager = bank.judging(name, seed)
            open_ones[name, seed] = (manager, manager.__enter__())
        return open_ones[name, seed][1]

    yield get
    for manager, _ in open_ones.values():
        manager.__exit__(None, None, None)


def cases(answers):
    return [pytest.param(name, answer, id=f"{name}: {answer.name}") for name in NAMES for answer in answers(name)]


@pytest.mark.parametrize(("name", "answer"), cases(bank.right))
def test_a_right_answer_loses_nothing(name, answer, judge_of):
    assert not judge_of(name, None).departures(answer)


@pytest.mark.parametrize(("name", "answer"), cases(bank.wrong))
def test_a_wrong_answer_loses_exactly_what_it_names(name, answer, judge_of):
    assert not judge_of(name, None).departures(answer)


@pytest.mark.parametrize("name", NAMES)
def test_another_bank_gives_the_same_verdicts(name):
    """The everyday part of the soak test below: one other seed, every third answer."""
    with bank.judging(name, 20261) as judge:
        sample = [*bank.right(name), *bank.wrong(name)[::3]]
        found = {answer.name: departures for answer in sample if (departures := judge.departures(answer))}
    assert not found


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_every_seed_gives_the_same_verdicts(name, seed):
    with bank.judging(name, 1000 + seed) as judge:
        found = {answer.name: departures for answer in [*bank.right(name), *bank.wrong(name)] if (departures := judge.departures(answer))}
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_the_bank_is_large_enough(name):
    right, wrong = bank.right(name), bank.wrong(name)
    assert len(right) >= 5
    assert len(wrong) >= 50


@pytest.mark.parametrize("name", NAMES)
def test_every_function_and_every_law_has_a_wrong_answer_that_it_catches(name):
    assignment = exercises.load(name)
    caught = {(function, check) for answer in bank.wrong(name) for function, check in answer.loses.items()}
    functions = {e.function for e in assignment.exercises}
    assert functions <= {function for function, _ in caught}
    laws = {(e.function, law.name) for e in assignment.exercises for law in e.laws}
    assert laws <= caught, f"no wrong answer is named for {sorted(laws - caught)}"
