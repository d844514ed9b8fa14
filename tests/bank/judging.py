"""Judge the answer bank in the sandbox; what the tests assert and what the table of `make soak` counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from autograder import answers, ours, paths
from autograder.answers import SampleAnswer
from autograder.cases import store
from autograder.cases.store import Bank
from autograder.course.grading import open_grader
from autograder.exercises import load
from autograder.judge.banks import make

HERE = Path(__file__).parent


def right(name: str) -> list[SampleAnswer]:
    """Return the right answers of an assignment."""
    return answers.right(HERE / name, paths.solution(name))


def wrong(name: str) -> list[SampleAnswer]:
    """Return the wrong answers of an assignment."""
    return answers.wrong(HERE / name, paths.solution(name))


def bank_of(name: str, seed: int | None) -> Bank:
    """Return the public bank, or one drawn from a seed."""
    return store.load(paths.public_bank(name)) if seed is None else make(name, seed)


@dataclass
class Judge:
    """Judges answers of one assignment on one bank."""

    name: str
    grader: object
    seconds: list[float] = field(default_factory=list)

    def departures(self, answer: SampleAnswer) -> list[str]:
        """Return what an answer loses without naming it, or names without losing it.

        A wrong answer's training run and costs are left out unless it names them: they take most of the time and a wrong
        function is served or left out there anyway.
        """
        whole = load(self.name)
        skip = {e: None for e in ("milestone", "performance") if answer.loses and e not in answer.loses}
        self.grader.assignment = replace(whole, **skip)
        started = time.process_time()
        graded = self.grader.grade({**self.required(whole), self.name: answer.source})
        self.seconds.append(time.process_time() - started + graded.timing["student"] + graded.timing["baseline"])
        return answers.departures(answer, graded.functions)

    def required(self, assignment) -> dict[str, str]:
        """Return our solution's modules that the assignment requires."""
        return {module: source for module, source in ours.solution(assignment).items() if module != self.name}


@contextmanager
def judging(name: str, seed: int | None = None) -> Iterator[Judge]:
    """Give a judge with a sandbox of its own."""
    with open_grader(bank_of(name, seed), shrink=False) as grader:
        yield Judge(name, grader)
