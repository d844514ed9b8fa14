"""Processes of a class run are killed at random moments; in the end everything is as if nothing had happened."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.soak import classes
from tests.soak.classes import Run

pytestmark = [pytest.mark.soak, pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")]

KILLS = int(os.environ.get("HANDGRAD_KILLS", "200"))
SIZE = 60
TRIES = 40
#: What is killed. The grader seldom, since a new one takes some seconds to get going.
KINDS = ("grader", *["pool"] * 4, *["zygote"] * 6, *["worker"] * 9)


@pytest.fixture
def adopted():
    classes.adopt(True)
    yield
    classes.adopt(False)


def test_what_is_killed_changes_no_result(tmp_path, adopted, capsys):
    submissions, temporary = tmp_path / "class", tmp_path / "temporary"
    classes.write_class(submissions, SIZE)
    code, said = Run(submissions, tmp_path / "quiet", temporary).end()
    assert code == 0, said
    expected = classes.results(tmp_path / "quiet")
    assert len(expected) == SIZE
    shared, rng, killed, rounds = set(os.listdir("/dev/shm")), random.Random(), Counter(), 0
    while killed.total() < KILLS:
        rounds += 1
        out = tmp_path / f"out{rounds}"
        runs = _until_done(submissions, out, temporary, rng, killed)
        with capsys.disabled():
            print(f"\nround {rounds}: {runs} runs, killed so far {dict(killed)}", end="", flush=True)
        assert classes.differences(classes.results(out), expected) == []
        assert _entries(out) == _entries(tmp_path / "quiet")
        assert classes.left_behind() == []
        assert os.listdir(temporary) == []
        # Only told: other programs have theirs, and Python itself leaves one where it is killed between making and registering it.
        semaphores = {name for name in set(os.listdir("/dev/shm")) - shared if name.startswith("sem.mp-")}
        with capsys.disabled():
            print(f", {len(semaphores)} new semaphores on this machine", end="", flush=True)


def _until_done(submissions: Path, out: Path, temporary: Path, rng: random.Random, killed: Counter) -> int:
    """Run and kill until a run comes to its end with everything graded; return how many runs that took."""
    for attempt in range(1, TRIES):
        run = Run(submissions, out, temporary)
        while run.finished() is None:
            time.sleep(rng.uniform(0.1, 1.5))
            kind = rng.choice(KINDS)
            pids = classes.parts(run)[kind]
            if pids and run.finished() is None and attempt < TRIES // 2 and classes.kill(rng.choice(pids)):
                killed[kind] += 1
        code, said = run.end()
        if code == 0:
            return attempt
        # Killed; or the kit says that it failed on somebody, or could not see its walls, and wants to be run again.
        assert code in (-9, 4, 5), said
    raise AssertionError(f"not done after {TRIES} runs: {said}")


def _entries(out: Path) -> set[str]:
    """Names of all files, but of the log that says what failed on the way."""
    return {str(path.relative_to(out)) for path in out.rglob("*")} - {"faults.log"}
