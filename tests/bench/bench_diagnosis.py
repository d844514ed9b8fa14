"""How many wrong answers get a name, and how often the wrong one: `make bench`. The self-check judges; it says what grading says.

An answer counts as *named* when a function that loses points gets one of the names in its ``means`` and no function gets
another; as *misleading* when a function gets a name that is not among them; else as *located*: the sentence says which entry is
wrong on which sizes, and perhaps that it is always the same steps or examples (`places`), which is true whatever the reason. Where no number is wrong (a shape, an exception, a dtype, memory, a law, a cost, the milestone), the check's
own sentence says what is wrong, and the answer is counted apart.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from autograder import answers, exercises, ours, paths
from autograder.answers import SampleAnswer
from autograder.cases import store
from autograder.diagnose import places
from autograder.judge import selfcheck
from autograder.judge.seen import COMPUTED

#: Checks that fail on numbers, which by themselves say nothing about the reason.
NUMBERS = ("finite", "values")

BANK = Path(__file__).parents[1] / "bank"
FILES = ("wrong.toml", "unseen.toml")


def read(name: str, file: str) -> list[SampleAnswer]:
    """Return the answers of a file of the answer bank; none where there is no such file."""
    return answers.wrong(BANK / name, paths.solution(name), file) if (BANK / name / file).is_file() else []


def losses(answer: SampleAnswer) -> dict[str, str]:
    """Return function -> the check that it fails, for functions that compute something wrong, those of bonus parts among them."""
    entries = {entry: check for entry, check in answer.loses.items() if entry not in ("performance", "milestone")}
    pairs = [check.partition(": ")[::2] if entry.startswith("bonus: ") else (entry, check) for entry, check in entries.items()]
    return {function: check for function, check in pairs if check in COMPUTED}


def names_given(name: str, answer: SampleAnswer, bank, functions: set[str]) -> dict[str, str | None]:
    """Return function -> the name of its diagnosis, or None."""
    files = {**ours.solution(exercises.load(name)), name: answer.source}
    results = selfcheck.check(name, files, bank, functions)
    return {result.name: result.diagnosis.name if result.diagnosis else None for result in results}


def kind(answer: SampleAnswer, given: dict[str, str | None]) -> str:
    """Return what became of an answer."""
    said = {name for name in given.values() if name and (name not in places.NAMES or name in answer.means)}
    if said - set(answer.means):
        return "misleading"
    if said:
        return "named"
    return "located" if set(losses(answer).values()) & set(NUMBERS) else "own sentence"


def measure(name: str, file: str, bank) -> tuple[Counter, list[str]]:
    """Return how many answers of a file became what, and a line for each that is not named."""
    found, lines = Counter(), []
    for answer in read(name, file):
        functions = set(losses(answer))
        given = names_given(name, answer, bank, functions) if functions else {}
        found[kind(answer, given)] += 1
        if kind(answer, given) in ("misleading", "located"):
            lines.append(f"  {kind(answer, given)}: {answer.name} ({', '.join(f'{f}: {n}' for f, n in given.items())})")
    return found, lines


def row(title: str, found: Counter) -> str:
    """Return a line of the table."""
    computed = sum(found.values()) - found["own sentence"]
    shares = ", ".join(f"{found[k]} {k} ({found[k] / max(computed, 1):.0%})" for k in ("named", "located", "misleading"))
    return f"{title}: {sum(found.values())} wrong answers, {found['own sentence']} with a sentence of their own; of the other {computed}: {shares}"


@pytest.mark.parametrize("file", FILES)
def bench_diagnoses(file, capsys):
    total = Counter()
    for name in exercises.names():
        found, lines = measure(name, file, store.load(paths.public_bank(name)))
        total += found
        with capsys.disabled():
            print("\n" + row(f"{file}, {name}", found), *lines, sep="\n")
    with capsys.disabled():
        print(row(f"{file}, all", total))
