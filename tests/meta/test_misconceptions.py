"""Every misconception, handed in as an answer, is recognised as itself; no right answer gets a name at all."""

from __future__ import annotations

from functools import cache, lru_cache

import pytest

from autograder import exercises, ours, paths
from autograder.cases import store
from autograder.diagnose import places
from autograder.diagnose.misconceptions import load
from autograder.judge import selfcheck
from autograder.spec import groups
from tests.bank import judging as bank
from tests.bench import bench_diagnosis

NAMES = exercises.names()
KNOWN = [(name, misconception) for name in NAMES for misconception in load(name, paths.solution(name))]


@lru_cache(maxsize=8)
def results(name: str, source: str, functions: frozenset[str]) -> list:
    """Return a self-check's results for some functions: the same judge, without a sandbox."""
    assignment = exercises.load(name)
    files = {**ours.solution(assignment), name: source}
    return list(selfcheck.check(assignment, files, public_bank(name), functions))


@cache
def public_bank(name: str):
    return store.load(paths.public_bank(name))


def partners(name: str, function: str) -> frozenset[str]:
    return next(frozenset(e.function for e in group) for group in groups(exercises.load(name).everything) if function in {e.function for e in group})


@pytest.mark.parametrize(("name", "misconception"), [pytest.param(n, m, id=f"{n}: {m.function}: {m.name}") for n, m in KNOWN])
def test_a_misconception_is_recognised_as_itself(name, misconception):
    source = misconception.edited(paths.solution(name).read_text(encoding="utf-8"))
    (result,) = (r for r in results(name, source, partners(name, misconception.function)) if r.name == misconception.function)
    assert result.verdict == "failed"
    assert result.diagnosis is not None, [check.sentence for check in result.problems]
    assert result.diagnosis.name == misconception.name


@pytest.mark.parametrize(("name", "answer"), [pytest.param(n, a, id=f"{n}: {a.name}") for n in NAMES for a in bank.right(n)])
def test_no_right_answer_gets_a_diagnosis(name, answer):
    functions = frozenset(e.function for e in exercises.load(name).exercises)
    assert not [(r.name, r.diagnosis) for r in results(name, answer.source, functions) if r.diagnosis]


@pytest.mark.parametrize("name", NAMES)
def test_the_public_bank_knows_every_misconception(name):
    stored = public_bank(name).misconceptions
    assert {(function, each) for function, known in stored.items() for each in known} == {(m.function, m.name) for n, m in KNOWN if n == name}


@pytest.mark.parametrize(("name", "misconception"), KNOWN, ids=lambda value: getattr(value, "name", value))
def test_a_hint_asks_or_points_and_does_not_give_the_answer(name, misconception):
    assert len(misconception.hint) < 140
    assert len(misconception.sentence) < 140
    assert misconception.sentence.endswith(".")
    assert misconception.hint.endswith(("?", "."))
    assert not set("=[]@") & set(misconception.hint), "a hint holds no code"


GENERAL = {
    "always zero", "constant factor", "factor 1/size", "factor of a size", "garbage comes through the mask", "nothing real",
    "only large numbers", "overflow", "repeated ids", "swapped results", "transposed", "wrong sign", "zero vector",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("file", bench_diagnosis.FILES)
def test_what_an_answer_means_is_the_name_of_a_diagnosis(name, file):
    known = {m.name for n, m in KNOWN if n == name} | GENERAL | places.NAMES
    assert not {(answer.name, means) for answer in bench_diagnosis.read(name, file) for means in answer.means if means not in known}


def test_there_are_enough_unseen_answers():
    assert sum(len(bench_diagnosis.read(name, "unseen.toml")) for name in NAMES) >= 60


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_most_wrong_answers_get_the_right_name_and_hardly_one_a_wrong_one(name):
    found, lines = bench_diagnosis.measure(name, "wrong.toml", public_bank(name))
    computed = sum(found.values()) - found["own sentence"]
    assert found["misleading"] <= 0.01 * computed, lines
    assert found["named"] >= 0.75 * computed, lines
