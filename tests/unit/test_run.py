"""A class run with a grader that is played: what is done stays done, whatever happens in between."""

import contextlib
import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autograder.cases.store import Bank, save
from autograder.course import run as class_run
from autograder.course.journal import Journal, JournalError
from autograder.course.run import Order, RunError, run
from autograder.course.submissions import SubmissionError
from autograder.exercises import load as load_assignment
from autograder.judge.session import KitError
from autograder.judge.submission import Graded
from autograder.judge.verdicts import FAILED, PASSED, entry_result
from autograder.report.jsonfile import results_in, validate

RNN = load_assignment("rnn")
ROOT = Path(__file__).resolve().parents[2]
ISOLATION = {"level": "filtered", "layers": ["rlimits"], "canary": {"read files": "blocked"}}


class PlayedGrader:
    """Does what the submission says: ``right``, ``wrong``, ``kit`` (a fault of ours), ``once``, ``dies``, ``slow``."""

    def grade(self, files):
        words = files["rnn"].split()
        if "log" in words:
            with open(words[-1], "a") as file:
                file.write("graded\n")
        if "kit" in words:
            raise KitError("no zygote")
        if "once" in words and not os.path.exists(words[-1]):
            Path(words[-1]).touch()
            os._exit(3)
        if "dies" in words:
            os._exit(3)
        if "rid" in words:
            shutil.rmtree(words[-1])
        if "slow" in words:
            time.sleep(0.3)
        verdict = PASSED if "right" in words else FAILED
        rows = [("runs", verdict == PASSED, "" if verdict == PASSED else "f raised ValueError: =1+1 [bold] (line 1)")]
        return Graded([entry_result(name, points, verdict, rows) for name, points in RNN.points_table()], [], {"student": 0.1})


@contextlib.contextmanager
def played(bank):
    yield PlayedGrader()


def isolation():
    return ISOLATION


def must_not_run():
    raise AssertionError("there was nothing to run")


@pytest.fixture
def bank(tmp_path):
    save(Bank("rnn", True, {}), tmp_path / "bank.npz")
    return tmp_path / "bank.npz"


@pytest.fixture
def order(tmp_path, bank):
    folder = tmp_path / "submitted"
    folder.mkdir()
    return Order(folder, "rnn", bank, tmp_path / "out")


def hand_in(order, **sources):
    for student, source in sources.items():
        (order.folder / f"{student}.py").write_text(source)


def rows(order):
    with open(order.out / "grades.csv", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def stored(order, student):
    return json.loads((order.out / "results" / f"{student}.json").read_text())


def test_a_class_is_graded_and_every_result_fits_the_schema(order):
    hand_in(order, ann="right", bob="wrong")
    (order.folder / "cyd").mkdir()
    outcome = run(order, played, isolation)
    assert [result["score"] for result in outcome.results] == [100, 0, 0]
    assert outcome.exit_code == 3
    for student in ("ann", "bob", "cyd"):
        validate(stored(order, student))
    assert rows(order)["ann"]["total"] == "100"
    assert rows(order)["cyd"]["note"] == "There is no rnn.py and no rnn.ipynb."
    assert list(rows(order)["ann"]) == ["student", *(name for name, _ in RNN.points_table()), "total", "note"]


def test_what_is_done_is_not_done_again_and_what_changed_is(order, tmp_path):
    log = tmp_path / "log"
    hand_in(order, ann=f"right log {log}", bob=f"right log {log}")
    run(order, played, isolation)
    outcome = run(order, played, must_not_run)
    assert outcome.reused == 2
    assert log.read_text().count("graded") == 2
    hand_in(order, bob=f"wrong log {log}")
    assert [result["score"] for result in run(order, played, isolation).results] == [100, 0]
    assert log.read_text().count("graded") == 3


def test_force_grades_again_those_who_are_named(order, tmp_path):
    log = tmp_path / "log"
    hand_in(order, ann=f"right log {log}", bob=f"right log {log}")
    run(order, played, isolation)
    outcome = run(Order(**{**vars(order), "force": True, "students": ("ann",)}), played, isolation)
    assert (outcome.reused, len(outcome.results)) == (1, 2)
    assert log.read_text().count("graded") == 3
    with pytest.raises(RunError, match="no submission of zoe"):
        run(Order(**{**vars(order), "students": ("zoe",)}), played, isolation)


def test_force_for_a_function_grades_again_where_it_has_not_passed(order, tmp_path):
    log = tmp_path / "log"
    hand_in(order, ann=f"right log {log}", bob=f"wrong log {log}")
    run(order, played, isolation)
    for functions, count in ((("rnn_backward",), 3), (("sample", "milestone"), 4), ((), 6)):
        outcome = run(Order(**{**vars(order), "force": True, "functions": functions}), played, isolation)
        assert [result["score"] for result in outcome.results] == [100, 0]
        assert log.read_text().count("graded") == count
    with pytest.raises(RunError, match="rnn has no lstm_forward. There are: embedding_forward"):
        run(Order(**{**vars(order), "force": True, "functions": ("lstm_forward",)}), played, isolation)
    with pytest.raises(RunError, match="use it with --force"):
        run(Order(**{**vars(order), "functions": ("sample",)}), played, isolation)


def test_results_that_are_gone_are_written_again_and_an_output_folder_that_is_gone_is_made_again(order, tmp_path):
    log = tmp_path / "log"
    hand_in(order, ann=f"right log {log}", bob=f"wrong log {log}")
    run(order, played, isolation)
    shutil.rmtree(order.out / "results")
    assert run(order, played, must_not_run).reused == 2
    assert stored(order, "ann")["score"] == 100
    shutil.rmtree(order.out)
    assert [result["score"] for result in run(order, played, isolation).results] == [100, 0]
    assert log.read_text().count("graded") == 4


@pytest.mark.parametrize("inner", ["", "results"])
@pytest.mark.parametrize("is_relative", [False, True])
def test_an_output_folder_that_is_deleted_during_the_run_is_said_in_one_line(order, tmp_path, monkeypatch, is_relative, inner):
    monkeypatch.chdir(tmp_path)
    if is_relative:
        order = Order(**{**vars(order), "out": Path("out")})
    hand_in(order, ann="right", bob=f"right rid {order.out.resolve() / inner}", cyd="right")
    with pytest.raises((RunError, JournalError), match=rf"{order.out}.* cannot be written: .*Mend that and run the same command again"):
        run(order, played, isolation)
    hand_in(order, bob="right")
    assert [result["score"] for result in run(order, played, isolation).results] == [100] * 3


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_is_really_full_is_said_in_one_line_and_loses_nothing(order, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        hand_in(order, **{f"s{i:02d}": "wrong" for i in range(60)})
        small = Order(**{**vars(order), "out": disk / "out"})
        with pytest.raises((RunError, JournalError), match="is full. Make room and run the same command again"):
            run(small, played, isolation)
        kept = len(list((disk / "out" / "results").glob("*.json")))
        assert not list(disk.rglob("*.unfinished"))
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        outcome = run(small, played, isolation)
        assert outcome.reused >= kept > 0
        assert [result["score"] for result in outcome.results] == [0] * 60
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_fault_of_the_kit_costs_no_points_and_is_tried_again_next_time(order):
    hand_in(order, ann="right", bob="kit", cyd="dies")
    outcome = run(order, played, isolation)
    assert outcome.exit_code == 4
    assert [result["score"] for result in outcome.results] == [100, None, None]
    validate(stored(order, "bob"))
    assert rows(order)["bob"]["total"] == ""
    assert "no zygote" in rows(order)["bob"]["note"]
    assert (order.out / "faults.log").read_text().count("---") == 2
    hand_in(order, bob="right", cyd="right")
    assert run(order, played, isolation).exit_code == 0


def test_another_kit_grades_again(order, monkeypatch):
    """Points that an instructor has changed, for example, make it another one."""
    hand_in(order, ann="right")
    run(order, played, isolation)
    for module in (class_run, class_run.results):
        monkeypatch.setattr(module, "engine", lambda: "0.1.0+of another course")
    assert run(order, played, isolation).reused == 0


def test_what_is_done_behind_fewer_walls_than_required_is_done_again(order, tmp_path):
    log = tmp_path / "log"
    hand_in(order, ann=f"right log {log}")
    weak = Order(**{**vars(order), "level": "process"})
    run(weak, played, lambda: {**ISOLATION, "level": "process"})
    assert run(weak, played, must_not_run).reused == 1
    assert run(order, played, isolation).reused == 0
    assert log.read_text().count("graded") == 2
    assert run(weak, played, must_not_run).reused == 1


def test_who_is_left_out_stays_in_the_table(order):
    hand_in(order, ann="right", bob="right")
    run(order, played, isolation)
    hand_in(order, bob="wrong", cyd="right")
    outcome = run(Order(**{**vars(order), "students": ("ann",)}), played, must_not_run)
    assert [(result["student"], result["score"]) for result in outcome.results] == [("ann", 100), ("bob", 100)]
    assert "leaves out ‘bob’, of whom the table has an earlier result" in outcome.notes[0]
    assert rows(order)["bob"]["total"] == "100"
    assert [result["score"] for result in run(order, played, isolation).results] == [100, 0, 100]


def test_results_of_those_who_are_gone_are_not_among_the_results(order):
    hand_in(order, ann="right", bob="wrong")
    run(order, played, isolation)
    (order.folder / "bob.py").rename(order.folder / "Bob.py")
    outcome = run(order, played, isolation)
    assert [result["student"] for result in results_in(order.out)] == list(rows(order)) == ["Bob", "ann"]
    assert "Of 1 results there is no submission any more" in outcome.notes[0]
    assert json.loads((order.out / "earlier" / "bob.json").read_text())["score"] == 0
    (order.folder / "Bob.py").rename(order.folder / "bob.py")
    assert run(order, played, must_not_run).reused == 2


def test_a_worker_that_dies_once_is_replaced(order, tmp_path):
    hand_in(order, ann="right", bob=f"right once {tmp_path / 'mark'}", cyd="right")
    outcome = run(Order(**{**vars(order), "jobs": 2}), played, isolation)
    assert [result["score"] for result in outcome.results] == [100, 100, 100]


def test_a_cell_is_no_formula(order):
    (order.folder / "=cmd|calc!A0.py").write_text("right")
    (order.folder / "-eve").mkdir()
    run(order, played, isolation)
    assert {"'=cmd|calc!A0", "'-eve"} == set(rows(order))


BACKWARD, SCORE, ANN = b'"name": "rnn_backward"', b'"score": 100,', b'"student": "ann"'


@pytest.mark.parametrize(("old", "new"), [(SCORE, b'"score": 109,'), (ANN, b'"student": "bob"'), (BACKWARD, BACKWARD[:-2] + b'\xeb"'), (b'"functions"', b'"functionz"')])
def test_a_journal_whose_rows_are_damaged_is_set_aside(order, old, new):
    """SQLite does not see it: the pages are whole, what is written in them is not."""
    hand_in(order, ann="right", bob="wrong")
    run(order, played, isolation)
    journal = order.out / "journal.sqlite"
    whole = journal.read_bytes()
    assert old in whole
    journal.write_bytes(whole.replace(old, new, 1))
    outcome = run(order, played, must_not_run)
    assert [(result["student"], result["score"]) for result in outcome.results] == [("ann", 100), ("bob", 0)]
    assert "has been damaged" in outcome.notes[0]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: os.mkfifo(path), lambda path: path.symlink_to("nowhere")])
@pytest.mark.parametrize("name", ["journal.sqlite", "journal.sqlite-wal"])
def test_what_is_no_file_is_no_journal(order, make, name):
    hand_in(order, ann="right")
    run(order, played, isolation)
    (order.out / name).unlink(missing_ok=True)
    make(order.out / name)
    outcome = run(order, played, must_not_run)
    assert "no regular file" in outcome.notes[0]
    assert outcome.results[0]["score"] == 100


@pytest.mark.parametrize("name", ["SQLITE_CANTOPEN", "SQLITE_IOERR_SHMSIZE", "SQLITE_BUSY", "SQLITE_READONLY_DIRECTORY", "SQLITE_PERM"])
def test_trouble_with_the_disk_is_no_trouble_with_the_journal(order, monkeypatch, name):
    def trouble(*_):
        error = sqlite3.OperationalError("no")
        error.sqlite_errorname = name
        raise error

    hand_in(order, ann="right")
    run(order, played, isolation)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_opened", trouble)
        with pytest.raises(JournalError, match="journal.sqlite cannot be written: no. Mend that"):
            run(order, played, must_not_run)
    assert not list(order.out.glob("*.broken*"))
    assert run(order, played, must_not_run).reused == 1


@pytest.mark.parametrize("change", [{"score": 101}, {"student": "bob"}, {"functions": []}, {"assignment": []}, {"student": {}}, {"score": None}])
def test_a_new_journal_takes_over_what_a_run_can_have_written_only(order, tmp_path, change):
    log = tmp_path / "log"
    hand_in(order, ann=f"right log {log}")
    run(order, played, isolation)
    (order.out / "journal.sqlite").unlink()
    path = order.out / "results" / "ann.json"
    path.write_text(json.dumps({**stored(order, "ann"), **change}))
    assert run(order, played, isolation).results[0]["score"] == 100
    assert log.read_text().count("graded") == 2


def test_a_new_journal_is_one_only_when_it_has_taken_over_everything(order, monkeypatch):
    hand_in(order, ann="right", bob="right")
    run(order, played, isolation)
    (order.out / "journal.sqlite").unlink()
    add = Journal.add

    def once(self, result):
        monkeypatch.setattr(Journal, "add", stop)
        add(self, result)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "add", once)
    with pytest.raises(KeyboardInterrupt):
        run(order, played, isolation)
    monkeypatch.setattr(Journal, "add", add)
    assert run(order, played, must_not_run).reused == 2


@pytest.mark.parametrize("damage", [b"", b"no database at all" * 100, None])
def test_a_broken_journal_is_set_aside_and_made_again_from_the_results(order, damage):
    hand_in(order, ann="right", bob="wrong")
    run(order, played, isolation)
    journal = order.out / "journal.sqlite"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:5000] + bytes(len(whole) - 5000) if damage is None else damage)
    outcome = run(order, played, must_not_run)
    assert [result["score"] for result in outcome.results] == [100, 0]
    if damage != b"":
        assert "kept as journal.sqlite.broken-1" in outcome.notes[0]
        assert (order.out / "journal.sqlite.broken-1").exists()


def test_a_journal_that_is_gone_is_made_again_and_so_are_results(order):
    hand_in(order, ann="right")
    run(order, played, isolation)
    (order.out / "journal.sqlite").unlink()
    assert run(order, played, must_not_run).reused == 1
    (order.out / "results" / "ann.json").unlink()
    run(order, played, must_not_run)
    assert stored(order, "ann")["score"] == 100


@pytest.mark.parametrize(("statement", "says"), [("PRAGMA user_version=99", "it has version 99"), ("CREATE TABLE bookmarks (url TEXT)", "of another program")])
def test_a_database_that_is_no_journal_of_this_kit_is_set_aside(order, statement, says):
    order.out.mkdir()
    with sqlite3.connect(order.out / "journal.sqlite") as base:
        base.execute(statement)
    base.close()
    hand_in(order, ann="right")
    assert says in run(order, played, isolation).notes[0]


def test_a_folder_has_one_run_at_a_time(order):
    order.out.mkdir()
    with Journal(order.out), pytest.raises(JournalError, match="Another run"):
        Journal(order.out)


def test_out_must_not_lie_among_the_submissions(order):
    hand_in(order, ann="right")
    with pytest.raises(RunError, match="would be taken for one"):
        run(Order(**{**vars(order), "out": order.folder / "graded"}), played, isolation)


def test_a_bank_of_another_assignment_is_refused(order, tmp_path):
    save(Bank("lstm", True, {}), tmp_path / "bank.npz")
    with pytest.raises(RunError, match="a bank of lstm, not of rnn"):
        run(order, played, isolation)


def test_an_empty_folder_is_refused(order):
    with pytest.raises(SubmissionError, match="holds no submissions"):
        run(order, played, isolation)


def test_a_full_disk_is_said_in_one_line(order, monkeypatch):
    def full(*args, **named):
        raise OSError(28, "No space left on device")

    hand_in(order, ann="right")
    monkeypatch.setattr(class_run.jsonfile, "atomic", full)
    with pytest.raises(RunError, match=r"disk of .* is full\. Make room and run the same command again"):
        run(order, played, isolation)


def test_a_full_disk_under_the_journal_is_said_in_one_line(order):
    order.out.mkdir()
    with Journal(order.out) as journal:
        journal._base.execute("PRAGMA max_page_count=3")
        with pytest.raises(JournalError, match="is full"):
            journal.add({"student": "ann", "assignment": "rnn", "submission_sha256": "", "bank": "", "engine": "", "text": "x" * 100_000})


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from autograder.course.run import Order, run
from tests.unit.test_run import played, isolation
if __name__ == "__main__":
    run(Order(Path({folder!r}), "rnn", Path({bank!r}), Path({out!r}), 2), played, isolation)
"""


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_goes_on_where_it_was(order, tmp_path, signum):
    log = tmp_path / "log"
    hand_in(order, **{f"s{i:02d}": f"right slow log {log}" for i in range(30)})
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(root=str(ROOT), folder=str(order.folder), bank=str(order.bank), out=str(order.out)))
    heard = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731  a shell's background jobs do not hear it
    process = subprocess.Popen([sys.executable, str(script)], cwd=ROOT, stderr=subprocess.DEVNULL, preexec_fn=heard)
    deadline = time.monotonic() + 60
    while len(list((order.out / "results").glob("s*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signum)
    process.wait()
    done = len(list((order.out / "results").glob("s*.json")))
    assert 3 <= done < 30
    outcome = run(order, played, isolation)
    assert outcome.reused >= done
    assert [result["score"] for result in outcome.results] == [100] * 30
    assert not list(order.out.rglob(".*.unfinished"))
    assert log.read_text().count("graded") <= 30 + 2 * 2  # at most what was under way is done twice
