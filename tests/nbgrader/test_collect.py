"""Collecting out of the exchange: nothing of what a student can do there reaches further than the student's own submission."""

import datetime as dt
import os
import time

import pytest

from autograder.course.files import SubmissionError
from autograder.course.gradebook import collect as collecting
from autograder.course.gradebook.collect import Wanted, collect

NOW = dt.datetime.now(dt.UTC)


def stamp(minutes=0):
    return f"{NOW + dt.timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S.%f} UTC"


@pytest.fixture
def inbound(tmp_path):
    (tmp_path / "inbound").mkdir()
    return tmp_path / "inbound"


def hand_in(inbound, student, minutes=0, assignment="rnn", random="+x9", **files):
    folder = inbound / f"{student}+{assignment}+{stamp(minutes)}{random}"
    folder.mkdir()
    for name, text in (files or {"rnn.ipynb": "{}"}).items():
        (folder / name).write_text(text)
    (folder / "timestamp.txt").write_text(stamp(minutes))
    (folder / "submission_secret.txt").write_text("secret")
    return folder


def run(inbound, wanted=None, owners=None):
    """Collect with owners as the folders' names say, or as ``owners`` says of a folder."""
    names = {folder.stat().st_ino: folder.name.split("+")[0] for folder in inbound.iterdir() if folder.is_dir()}
    names |= {(inbound / name).stat().st_ino: owner for name, owner in (owners or {}).items()}
    current = []
    real = os.fstat

    def fstat(fd):
        about = real(fd)
        current.append(names.get(about.st_ino))
        return about

    collecting.os = type("os", (), {**vars(os), "fstat": staticmethod(fstat)})
    try:
        found = list(collect(inbound, inbound.parent / "submitted", "rnn", wanted, lambda uid: current[-1]))
    finally:
        collecting.os = os
    return {one.student: one for one in found}


def taken(inbound, student):
    folder = inbound.parent / "submitted" / student / "rnn"
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


def test_the_latest_of_every_student_is_taken(inbound):
    hand_in(inbound, "ada", -9, **{"rnn.ipynb": "old"})
    hand_in(inbound, "ada", -5, **{"rnn.ipynb": "new", "helper.py": "", "data.csv": "1"})
    hand_in(inbound, "bob", -7, random="")
    hand_in(inbound, "c+d", -7)
    hand_in(inbound, "eve", assignment="lstm")
    found = run(inbound)
    assert set(found) == {"ada", "bob", "c+d"}
    assert taken(inbound, "ada") == {"rnn.ipynb": "new", "helper.py": "", "timestamp.txt": stamp(-5), "submission_secret.txt": "secret"}


def test_a_folder_in_anothers_name_takes_nothing_and_hides_nothing(inbound):
    own = hand_in(inbound, "ada", -5, **{"rnn.ipynb": "mine"})
    forged = hand_in(inbound, "ada", -1, **{"rnn.ipynb": "forged"})
    found = run(inbound, owners={own.name: "ada", forged.name: "bob"})
    assert taken(inbound, "ada")["rnn.ipynb"] == "mine"
    assert "belongs to ‘bob’" in found["ada"].notes[0]


def test_a_folder_in_anothers_name_alone_is_nobodys(inbound):
    forged = hand_in(inbound, "ada")
    assert run(inbound, owners={forged.name: "bob"})["ada"].problem == "Nothing was collected."
    assert taken(inbound, "ada") == {}
    assert run(inbound, Wanted(check_owner=False), owners={forged.name: "bob"})["ada"].problem == ""


def test_no_link_is_followed(inbound, tmp_path):
    (tmp_path / "secret.ipynb").write_text("ours")
    folder = hand_in(inbound, "ada", **{"other.py": "x"})
    os.symlink(tmp_path / "secret.ipynb", folder / "rnn.ipynb")
    os.symlink(tmp_path, folder / "deep.py")
    os.symlink(tmp_path, inbound / f"bob+rnn+{stamp()}")
    found = run(inbound)
    assert set(taken(inbound, "ada")) == {"other.py", "timestamp.txt", "submission_secret.txt"}
    assert "‘rnn.ipynb’ is no ordinary file. It was left out." in found["ada"].notes
    assert "symbolic link" in found["bob"].problem
    assert taken(inbound, "bob") == {}


def test_only_ordinary_files_of_ordinary_size_are_read(inbound):
    folder = hand_in(inbound, "ada", **{"good.py": "x"})
    os.mkfifo(folder / "pipe.py")
    (folder / "folder.py").mkdir()
    (folder / "bad\nname.py").write_text("x")
    with open(folder / "rnn.ipynb", "wb") as file:
        file.truncate(21 << 20)
    (folder / "submission_secret.txt").write_text("x" * 2000)
    start = time.monotonic()
    notes = run(inbound)["ada"].notes
    assert time.monotonic() - start < 60, "it waited for a pipe"
    assert set(taken(inbound, "ada")) == {"good.py", "timestamp.txt"}
    assert len(notes) == 5
    assert any("21.0 MB" in note for note in notes)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs root: somebody else's file")
def test_a_second_name_for_somebody_elses_file_is_left_out(inbound, tmp_path):
    other = tmp_path / "other.ipynb"
    other.write_text("somebody else's")
    os.chown(other, 1, 1)
    folder = hand_in(inbound, "ada", **{"x.py": ""})
    os.link(other, folder / "rnn.ipynb")
    assert "‘rnn.ipynb’ belongs to somebody else. It was left out." in run(inbound)["ada"].notes


def test_a_flood_of_files_is_one_line(inbound):
    hand_in(inbound, "ada", **{f"{n}.py": "" for n in range(60)})
    assert "It holds 62 files" in run(inbound)["ada"].problem


def test_names_that_are_no_submissions_are_passed_over(inbound):
    for name in ("x", "a+rnn", "a+rnn+yesterday", "a+rnn+2026-99-99 00:00:00 UTC", f"../b+rnn+{stamp()}".replace("/", "⁄"), f"..+rnn+{stamp()}", f"a\nb+rnn+{stamp()}"):
        (inbound / name).mkdir()
    assert run(inbound) == {}


def test_a_time_that_lies_is_told(inbound):
    hand_in(inbound, "ada", -600)
    assert "but it was last changed at" in run(inbound)["ada"].notes[0]
    hand_in(inbound, "bob", -2)
    assert run(inbound)["bob"].notes == ()


def test_what_was_collected_is_kept_unless_something_newer_is_wanted(inbound):
    hand_in(inbound, "ada", -5, **{"rnn.ipynb": "old"})
    run(inbound)
    assert run(inbound)["ada"].notes == ("This one was collected before.",)
    hand_in(inbound, "ada", -2, **{"rnn.ipynb": "new"})
    assert "--update" in run(inbound, Wanted(update=False))["ada"].notes[0]
    assert taken(inbound, "ada")["rnn.ipynb"] == "old"
    run(inbound)
    assert taken(inbound, "ada")["rnn.ipynb"] == "new"


def test_the_last_before_the_due_date_can_be_taken(inbound):
    hand_in(inbound, "ada", -9, **{"rnn.ipynb": "in time"})
    hand_in(inbound, "ada", -2, **{"rnn.ipynb": "late"})
    hand_in(inbound, "bob", -2, **{"rnn.ipynb": "late"})
    run(inbound, Wanted(due=(NOW - dt.timedelta(minutes=5)).replace(tzinfo=None)))
    assert taken(inbound, "ada")["rnn.ipynb"] == "in time"
    assert taken(inbound, "bob")["rnn.ipynb"] == "late"


def test_one_student_can_be_meant(inbound):
    hand_in(inbound, "ada")
    hand_in(inbound, "bob")
    assert set(run(inbound, Wanted(student="bob"))) == {"bob"}


def test_an_exchange_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SubmissionError, match="cannot be read"):
        list(collect(tmp_path / "none", tmp_path / "submitted", "rnn"))
