"""What students hand in: every kind of it ends in a source or in one clear line, and nothing is followed or run."""

import hashlib
import json
import os

import pytest

from autograder.course import submissions
from autograder.course.submissions import SubmissionError, find, in_cells, read
from autograder.exercises import load
from autograder.report.text import file_name, shown

RNN = load("rnn")
NOTEBOOK = '{"cells": [{"cell_type": "code", "source": ["def sample():\\n", "    return 1"]}]}'


def put(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def found(folder, assignment=RNN):
    return {submission.student: submission for submission in find(folder, assignment).submissions}


def problem(folder, student="ann"):
    text = found(folder)[student].problem
    assert text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("path", ["ann/rnn.py", "ann/rnn/rnn.py", "ann.py"])
def test_a_module_is_found_in_every_layout(tmp_path, path):
    put(tmp_path, {path: "x = 1\n"})
    assert found(tmp_path)["ann"].files == {"rnn": "x = 1\n"}


@pytest.mark.parametrize("path", ["ann/rnn.ipynb", "ann/rnn/rnn.ipynb", "ann.ipynb"])
def test_a_notebook_is_found_in_every_layout(tmp_path, path):
    put(tmp_path, {path: NOTEBOOK})
    assert found(tmp_path)["ann"].files == {"rnn": "def sample():\n    return 1\n"}


def test_one_bad_student_does_not_hurt_the_others(tmp_path):
    put(tmp_path, {"ann/rnn.py": "x = 1", "bob/rnn.py": b"\xff\xfe\x00", "cyd/other.txt": "", "dan.py": "y = 2"})
    assert [bool(s.problem) for s in found(tmp_path).values()] == [False, True, True, False]


def test_a_script_may_declare_its_encoding(tmp_path):
    put(tmp_path, {"ann/rnn.py": b"#!/usr/bin/python\n# -*- coding: latin-1 -*-\nname = 'L\xf6sung'"})
    assert found(tmp_path)["ann"].files["rnn"].endswith("name = 'Lösung'")


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"ann/readme.txt": ""}, "There is no rnn.py and no rnn.ipynb."),
        ({"ann/RNN (1).py": ""}, "There is no rnn.py and no rnn.ipynb. There is ‘RNN (1).py’: was that meant? Then rename it."),
        ({"ann/rnn.py": "", "ann/rnn.ipynb": ""}, "There are 2 files, ‘rnn.py’ and ‘rnn.ipynb’, and only one can be graded. Keep one."),
        ({"ann/rnn.py": "", "ann/rnn/rnn.py": ""}, "There are 2 files, ‘rnn.py’ and ‘rnn/rnn.py’, and only one can be graded. Keep one."),
        ({"ann.py": "", "ann/rnn.py": ""}, "There are 2 submissions of this student: ‘ann’ and ‘ann.py’. Keep one."),
        ({"ann/rnn.py": b"a = 1\n# L\xf6sung"}, "‘rnn.py’ is not UTF-8 text (line 2). Save it as UTF-8."),
        ({"ann/rnn.py": b"# coding: utf-7\n# L\xf6sung"}, "‘rnn.py’ is not UTF-8 text (line 2). Save it as UTF-8."),
        ({"ann/rnn.py": "a = 1".encode("utf-16")}, "‘rnn.py’ is encoded as UTF-16. Save it as UTF-8."),
        ({"ann/rnn.py": b"a = 1\0"}, "‘rnn.py’ holds NUL bytes: it is not a text file."),
        ({"ann/rnn.ipynb": "%PDF"}, "‘rnn.ipynb’ is not a notebook: it is not JSON (line 1: Expecting value). Save it again from Jupyter."),
        ({"ann/rnn.ipynb": "[1]"}, "‘rnn.ipynb’ is not a notebook: it holds no list of cells. Save it again from Jupyter."),
        ({"ann/rnn.ipynb": ""}, "‘rnn.ipynb’ is not a notebook: it is not JSON (line 1: Expecting value). Save it again from Jupyter."),
    ],
)
def test_what_cannot_be_graded_gets_one_clear_line(tmp_path, files, line):
    put(tmp_path, files)
    assert problem(tmp_path) == line


def test_a_file_of_50_mb_is_not_read(tmp_path):
    put(tmp_path, {"ann/rnn.py": ""})
    with open(tmp_path / "ann/rnn.py", "wb") as file:
        file.truncate(50 << 20)
    assert problem(tmp_path) == "‘rnn.py’ has 50.0 MB; more than 1 MB are not read. Clear its outputs, or leave data out."


def test_a_file_that_grows_is_not_read_beyond_the_cap(tmp_path, monkeypatch):
    put(tmp_path, {"ann/rnn.py": "x = 1\n" * 100})
    monkeypatch.setitem(submissions.CAPS, ".py", 10)
    assert "more than 0 MB are not read" in problem(tmp_path)


def test_links_are_not_followed_at_any_level(tmp_path):
    put(tmp_path, {"secret/rnn.py": "secret = 1", "folder/ann/keep": "", "folder/eve/keep": ""})
    folder = tmp_path / "folder"
    (folder / "ann/rnn.py").symlink_to("../../secret/rnn.py")
    (folder / "bob").symlink_to("../secret")
    (folder / "cyd.py").symlink_to("../secret/rnn.py")
    (folder / "dan.ipynb").symlink_to("nowhere")
    (folder / "eve/rnn").symlink_to("../../secret")
    for student in ("ann", "bob", "cyd", "dan", "eve"):
        assert "is a symbolic link. Links are not followed: hand in the file itself." in problem(folder, student)


def test_a_pipe_and_a_folder_are_no_files(tmp_path):
    put(tmp_path, {"ann/x": "", "bob/rnn.py/x": ""})
    os.mkfifo(tmp_path / "ann/rnn.py")
    assert problem(tmp_path) == "‘rnn.py’ is not a regular file."
    assert problem(tmp_path, "bob") == "There is no rnn.py and no rnn.ipynb."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_said_to_be_unreadable(tmp_path):
    put(tmp_path, {"ann/rnn.py": ""})
    (tmp_path / "ann/rnn.py").chmod(0)
    assert problem(tmp_path) == "‘rnn.py’ cannot be read: Permission denied."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o400, 0o600])
def test_a_folder_that_may_be_listed_only_is_said_to_be_unreadable(tmp_path, mode):
    put(tmp_path, {"ann/rnn.py": ""})
    (tmp_path / "ann").chmod(mode)
    try:
        assert problem(tmp_path) == "‘rnn.py’ cannot be read: Permission denied."
        tmp_path.chmod(mode)
        with pytest.raises(SubmissionError, match="cannot be read: Permission denied"):
            find(tmp_path, RNN)
    finally:
        tmp_path.chmod(0o700)
        (tmp_path / "ann").chmod(0o700)


def test_hidden_characters_in_names_are_shown(tmp_path):
    put(tmp_path, {"a\nb\x1b[31m/rnn.py": "", "c\u202egnp.py": "", os.fsdecode(b"d\xff/rnn.py"): ""})
    assert set(found(tmp_path)) == {"a\\x0ab\\x1b[31m", "c\\u202egnp", "d\\udcff"}


def test_two_spellings_of_one_name_are_one_student(tmp_path):
    put(tmp_path, {"jose\u0301/rnn.py": "", "jos\u00e9/rnn.py": "", "Ann.py": "", "ann.py": ""})
    assert [s.problem[:36] for s in found(tmp_path).values()] == ["There are 2 submissions of this stud"] * 2


def test_huge_folders_are_no_burden(tmp_path, monkeypatch):
    put(tmp_path, {f"ann/data/{i}.txt": "" for i in range(300)} | {"ann/rnn.py": "x = 1"} | {f"bob/{i}.py": "" for i in range(1200)})
    assert found(tmp_path)["ann"].files
    assert "There is no rnn.py" in problem(tmp_path, "bob")
    monkeypatch.setattr(submissions, "MOST_ENTRIES", 1)
    with pytest.raises(SubmissionError, match="more than 1 entries"):
        find(tmp_path, RNN)


def test_a_folder_without_submissions_is_refused(tmp_path):
    with pytest.raises(SubmissionError, match="holds no submissions: one folder per student"):
        find(tmp_path, RNN)
    with pytest.raises(SubmissionError, match="There is no folder"):
        find(tmp_path / "nowhere", RNN)
    put(tmp_path, {"rnn.py": ""})
    with pytest.raises(SubmissionError, match="holds rnn.py itself"):
        find(tmp_path, RNN)
    with pytest.raises(SubmissionError, match="is a file"):
        find(tmp_path / "rnn.py", RNN)


def test_entries_that_are_no_submissions_are_named(tmp_path):
    put(tmp_path, {"ann.py": "", "grades.csv": "", ".git/config": "", "__pycache__/x": ""})
    assert find(tmp_path, RNN).ignored == ["__pycache__", "grades.csv"]


@pytest.mark.parametrize("path", ["ann/lstm.py", "ann/seq2seq/lstm.py", "ann/lstm/lstm.py"])
def test_a_required_module_is_found_beside_or_in_its_own_folder(tmp_path, path):
    put(tmp_path, {"ann/seq2seq/seq2seq.py": "x = 1", path: "y = 2"})
    submission = found(tmp_path, load("seq2seq"))["ann"]
    assert list(submission.files.items()) == [("lstm", "y = 2"), ("seq2seq", "x = 1")]


def test_trouble_with_a_required_module_costs_nothing_by_itself(tmp_path):
    put(tmp_path, {"ann/seq2seq.py": "x = 1", "ann/lstm.py": b"\xff"})
    submission = found(tmp_path, load("seq2seq"))["ann"]
    assert list(submission.files) == ["seq2seq"]
    assert submission.notes == ("‘lstm.py’ is not UTF-8 text (line 1). Save it as UTF-8. It was left out.",)


def test_the_hash_of_one_file_is_that_of_its_bytes(tmp_path):
    put(tmp_path, {"ann.py": b"\xef\xbb\xbfx = 1"})
    assert found(tmp_path)["ann"].sha256 == hashlib.sha256(b"\xef\xbb\xbfx = 1").hexdigest()
    assert found(tmp_path)["ann"].files["rnn"] == "x = 1"


def test_a_students_own_file_is_read_by_path(tmp_path):
    put(tmp_path, {"my.ipynb": NOTEBOOK, "my.txt": ""})
    submission = read(tmp_path / "my.ipynb", RNN)
    assert in_cells(submission, "rnn")("raised X (line 2)") == "raised X (cell 1, line 2)"
    with pytest.raises(SubmissionError, match="neither a .py nor an .ipynb"):
        read(tmp_path / "my.txt", RNN)


@pytest.mark.parametrize("name", ["ann", "Jörg", "a b", "o'neil", "x" * 300, "../../etc", "a/b", ".hidden", "-rf", "con.", "a\\u202eb"])
def test_file_names_of_students_are_harmless_and_distinct(name):
    safe = file_name(shown(name))
    assert "/" not in safe
    assert not safe.startswith((".", "-"))
    assert len(safe.encode()) < 240
    assert safe == file_name(shown(name)) != file_name(shown(name) + "_")


def test_nobody_can_choose_the_file_name_of_somebody_else():
    theirs = file_name("X!")
    assert theirs.startswith("X_-")
    assert len({name.casefold() for name in (theirs, file_name(theirs), file_name(theirs.upper()), file_name(file_name(theirs)))}) == 4


@pytest.mark.parametrize("name", ["ann", "Ann Lee", "a.b", "X_-61d6ea9c", "group-7_b"])
def test_ordinary_names_are_file_names_as_they_are(name):
    assert file_name(name) == name


def test_names_that_differ_in_capitals_only_are_one_student(tmp_path):
    put(tmp_path, {"ann/rnn.py": "x = 1", "Ann.py": "x = 2"})
    assert "There are 2 submissions of this student" in problem(tmp_path, "Ann")


def test_names_that_are_not_the_same_are_two_students(tmp_path):
    long = "a" * 210
    put(tmp_path, dict.fromkeys(("Weiß/rnn.py", "Weiss/rnn.py", f"{long}b/rnn.py", f"{long}c/rnn.py"), "x = 1"))
    assert [submission.problem for submission in found(tmp_path).values()] == [""] * 4


def test_a_notebook_that_crashes_the_compiler_does_not_hurt_the_others(tmp_path):
    deep = json.dumps({"cells": [{"cell_type": "code", "source": "x = [a " + "for a in a " * 60_000 + "]"}]})
    put(tmp_path, {"ann/rnn.ipynb": deep, "bob/rnn.ipynb": NOTEBOOK})
    assert found(tmp_path)["bob"].files == {"rnn": "def sample():\n    return 1\n"}
    assert "nested too deeply" in read(tmp_path / "ann" / "rnn.ipynb", RNN).notes[0]
