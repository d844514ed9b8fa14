"""Verdicts do not depend on how busy the machine is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from autograder import answers, paths
from autograder.cases import store
from autograder.course.grading import open_grader
from tests.soak.classes import ROOT

pytestmark = [pytest.mark.soak, pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")]

GRADINGS = int(os.environ.get("HANDGRAD_GRADINGS", "1000"))
BUSY = 4
ANSWERS = 40


@contextlib.contextmanager
def busy(count: int):
    """Have so many processes compute all the time."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def verdicts(grader, answer) -> list[tuple]:
    """Return for every function its verdict, its points and the checks that failed."""
    graded = grader.grade({"rnn": answer.source})
    return [(entry.name, entry.verdict, entry.score, tuple(check.name for check in entry.problems)) for entry in graded.functions]


def test_a_busy_machine_gives_the_same_verdicts(capsys):
    bank, solution = ROOT / "tests" / "bank" / "rnn", paths.solution("rnn")
    right, wrong = answers.right(bank, solution), answers.wrong(bank, solution)
    chosen = [*right, *wrong[:: max(1, len(wrong) // (ANSWERS - len(right)))]]
    different, loads = Counter(), []
    with open_grader(store.load(ROOT / "assignments" / "rnn" / "rnn.bank.npz"), shrink=False) as grader:
        quiet = {answer.name: verdicts(grader, answer) for answer in chosen}
        started = time.monotonic()
        with busy(BUSY):
            for i in range(GRADINGS):
                answer = chosen[i % len(chosen)]
                if (found := verdicts(grader, answer)) != quiet[answer.name]:
                    different[answer.name, str(sorted(set(found) ^ set(quiet[answer.name])))] += 1
                loads.append(os.getloadavg()[0])
    with capsys.disabled():
        print(f"\n{GRADINGS} gradings of {len(chosen)} answers in {time.monotonic() - started:.0f} s, load up to {max(loads):.1f}: {different.total()} different", dict(different))
    assert not different
