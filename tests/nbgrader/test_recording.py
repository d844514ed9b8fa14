"""Recording: interrupted, locked out, done again; bonus points; modules of earlier assignments; a student's own Validate."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from autograder import cli, exercises
from autograder.course import beside, submissions
from autograder.course.gradebook import new, outcome, record
from autograder.course.journal import known, task_of
from autograder.ours import CourseError

RNN, SEQ2SEQ = exercises.load("rnn"), exercises.load("seq2seq")


@pytest.fixture
def played(course, monkeypatch):
    """A course in which eight students are judged and nobody is recorded."""
    for n in range(8):
        course.hand_in(f"s{n}", course.written())
        course.play(f"s{n}", failed=("rnn_backward",) if n % 2 else ())
    monkeypatch.setattr(record, "nbgrader", by_driver(course))
    return course


def by_driver(course):
    def nbgrader(folder, *argv, stdout=None, **_):
        answer = course.nbgrader.ask(argv=list(argv), cwd=str(folder))
        stdout.write(answer["output"])
        return subprocess.CompletedProcess(argv, answer["code"])

    return nbgrader


def scores(course):
    return {student: one["score"] for student, one in course.gradebook().items()}


EXPECTED = {f"s{n}": 82 if n % 2 else 100 for n in range(8)}


def test_recording_needs_no_judging(played):
    recorded = record.record(played.root, "rnn")
    assert recorded.students == tuple(sorted(EXPECTED))
    assert recorded.trouble == ()
    assert scores(played) == EXPECTED


def test_a_locked_gradebook_is_said_and_the_next_pass_makes_good(played):
    with sqlite3.connect(played.root / "gradebook.db", isolation_level=None) as base:
        base.execute("BEGIN EXCLUSIVE")
        recorded = record.record(played.root, "rnn")
        assert any("locked" in line for line in recorded.trouble)
        base.execute("ROLLBACK")
    base.close()
    assert record.record(played.root, "rnn").trouble == ()
    assert scores(played) == EXPECTED


@pytest.mark.parametrize("done", [1, 4, 7])
def test_a_kill_in_the_middle_leaves_nothing_that_the_next_pass_does_not_mend(played, done):
    pid = played.nbgrader.ask(argv=["autograde", "rnn"], cwd=str(played.root), background=True)["pid"]
    while len(list((played.root / "autograded").glob("*"))) < done and os.path.exists(f"/proc/{pid}"):
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    played.nbgrader.ask(wait=pid)
    assert record.record(played.root, "rnn").trouble == ()
    assert scores(played) == EXPECTED


def test_bonus_points_are_extra_credit_and_are_not_added_twice(course):
    course.hand_in("ada", course.written("lstm"), "lstm")
    course.play("ada", "lstm", bonus=1)
    for _ in range(2):
        course.run("autograde", "lstm", "--force")
        row = course.exported()["ada", "lstm"]
        assert (float(row["score"]), float(row["max_score"])) == (110, 105)
    assert course.gradebook("lstm")["ada"]["grades"]["points-bonus"][:3] == [0, None, 10]


def test_a_module_of_an_earlier_assignment_is_found_beside_for_grade_and_for_nbgrader(course):
    """nbgrader submits one folder; the lstm that seq2seq imports is the one handed in before, or a copy beside."""
    course.hand_in("ada", course.written("seq2seq"), "seq2seq")
    one = submissions.of_student(course.root / "submitted", "ada", SEQ2SEQ)
    assert list(one.files) == ["seq2seq"]
    course.hand_in("ada", course.written("lstm"), "lstm")
    two = submissions.of_student(course.root / "submitted", "ada", SEQ2SEQ)
    assert "def lstm_forward" in two.files["lstm"]
    course.hand_in("ada", course.written("seq2seq"), "seq2seq", **{"lstm.py": "own = 1\n"})
    three = submissions.of_student(course.root / "submitted", "ada", SEQ2SEQ)
    assert three.files["lstm"] == "own = 1\n"
    assert len({one.sha256, two.sha256, three.sha256}) == 3, "another lstm is another submission"
    (found,) = submissions.find(course.root / "submitted", SEQ2SEQ).submissions
    assert found == three
    course.play("ada", "seq2seq")
    course.run("autograde", "seq2seq")
    assert course.gradebook("seq2seq")["ada"]["score"] == 100


def test_a_notebook_finds_the_module_too(tmp_path, course, monkeypatch):
    here, other = tmp_path / "seq2seq", tmp_path / "lstm"
    here.mkdir()
    other.mkdir()
    with pytest.raises(ImportError, match=r"no lstm.py or lstm.ipynb in this folder or in the folder lstm beside it"):
        beside.find("lstm", here)
    monkeypatch.delitem(sys.modules, "lstm", raising=False)
    (other / "lstm.ipynb").write_text(json.dumps(course.written("lstm")))
    assert callable(beside.find("lstm", here).lstm_forward)
    assert 'find(\\"lstm\\")' in json.dumps(course.released("seq2seq"))
    (here / "lstm.py").write_text("own = 1\n")
    assert beside.find("lstm", here).own == 1
    monkeypatch.delitem(sys.modules, "lstm")


@pytest.mark.parametrize("answered", [True, False])
def test_validate_says_what_the_self_check_says(course, tools, tmp_path, answered):
    """Validate runs the notebook while the student's server waits: without training, plots and double checks."""
    book = course.written()
    tools["cell"](book, "question")["source"] = "I forgot a transpose."
    if not answered:
        tools["cell"](book, "sample")["source"] = tools["cell"](course.released(), "sample")["source"]
    (tmp_path / "rnn.ipynb").write_text(json.dumps(book))
    said = course.nbgrader(tmp_path, "validate", "rnn.ipynb")
    assert ("Success! Your notebook passes all the tests." in said) == answered
    assert said.count("The following cell failed") == (0 if answered else 1)
    for one in book["cells"]:
        tags = one["metadata"].get("tags", [])
        skipped = "skip-execution" in tags
        assert skipped == (bool({"check", "notebook"} & set(tags)) and "checker(" not in "".join(one["source"])), one["source"]


def test_judged_on_the_spot_is_what_grade_says(course, tmp_path):
    """Without any result in the journal, as formgrader's button does it; afterwards the journal has it."""
    book = course.written()
    course.hand_in("ada", json.dumps(book).replace("h_prev.T @ da", "h.T @ da"))
    course.run("autograde", "rnn")
    command = [sys.executable, "-m", "autograder", "grade", course.root / "submitted", "--assignment", "rnn", "--out", tmp_path / "out"]
    subprocess.run([str(part) for part in command], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(cli.__file__.rsplit("/", 2)[0])})
    result = json.loads((tmp_path / "out" / "results" / "ada.json").read_text())
    assert result["score"] == 88
    assert course.gradebook()["ada"]["score"] == result["score"]
    comment = course.gradebook()["ada"]["comments"]["rnn_step_backward"][0]
    assert result["functions"][5]["diagnosis"]["sentence"] in comment
    kept = known(course.root / outcome.FOLDER / "rnn", "ada", task_of(result))
    assert kept["functions"] == result["functions"]


def test_a_bank_of_ones_own_is_used(course):
    assert outcome.bank_path(course.root / "banks", "rnn").parent.name == "rnn"
    (course.root / "banks" / "rnn.bank.npz").write_bytes(b"")
    assert outcome.bank_path(course.root / "banks", "rnn").parent.name == "banks"


def test_a_course_is_not_made_over_something_else(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CourseError, match="is not empty"):
        new.make_course(tmp_path, ["rnn"])


def test_what_is_no_course_is_said(tmp_path):
    with pytest.raises(CourseError, match="has no nbgrader_config.py"):
        record.record(tmp_path, "rnn")
    new.make_course(tmp_path / "course", ["rnn"])
    with pytest.raises(CourseError, match="names no exchange"):
        record.settings(tmp_path / "course")


def test_a_release_that_is_gone_is_said(course, monkeypatch):
    course.hand_in("ada", course.written())
    course.play("ada")
    (course.root / "release" / "rnn" / "rnn.ipynb").unlink()
    monkeypatch.setattr(record, "nbgrader", by_driver(course))
    (line,) = record.record(course.root, "rnn").trouble
    assert "nbgrader generate_assignment rnn --force" in line
