"""Submissions that take all they can get cost the others nothing but a little time."""

from __future__ import annotations

import sys
import time

import pytest

from autograder import paths
from autograder.judge.session import BUDGET_CPU
from tests.soak import classes
from tests.soak.classes import Run

pytestmark = [pytest.mark.soak, pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")]

SIZE = 40
#: Put behind a right answer: each breaks one function in the middle of the assignment, or all of them.
HEAVY = {
    "endless": "\n\ndef rnn_forward(*args):\n    while True:\n        pass\n",
    "greedy": "\n\ndef rnn_forward(*args):\n    held = np.ones(2 << 27)\n    return held, held\n",
    "talkative": "\n\ndef rnn_forward(*args):\n    for _ in range(100):\n        print('a' * (1 << 20))\n    raise ValueError\n",
}


def test_heavy_submissions_do_not_hurt_the_others(tmp_path, capsys):
    submissions = tmp_path / "class"
    classes.write_class(submissions, SIZE)
    expected, alone = _timed(submissions, tmp_path / "alone", tmp_path / "temporary")
    source = paths.solution("rnn").read_text(encoding="utf-8")
    for name, code in HEAVY.items():
        (submissions / f"{name}.py").write_text(source + code, encoding="utf-8")
    found, together = _timed(submissions, tmp_path / "together", tmp_path / "temporary")
    scores = {name: found.pop(name)["score"] for name in HEAVY}
    with capsys.disabled():
        print(f"\n{SIZE} submissions: {alone:.1f} s; with {', '.join(HEAVY)}: {together:.1f} s, {together / alone:.2f} times; their scores: {scores}")
    assert classes.differences(found, expected) == []
    assert all(0 < score < 100 for score in scores.values())
    assert together < 2 * alone + len(HEAVY) * BUDGET_CPU


def _timed(submissions, out, temporary):
    started = time.monotonic()
    code, said = Run(submissions, out, temporary).end(1800)
    assert code == 0, said
    return classes.results(out), time.monotonic() - started
