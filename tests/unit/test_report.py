"""One result, shown in a terminal, in a notebook, as JSON and as a table: the same sentences, and nothing a student writes has power."""

import csv
import io
import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from autograder.report import csvfile, jsonfile, terminal
from autograder.report.model import Check, Counterexample, FunctionResult, SubmissionResult
from autograder.report.notebook import Card, checker
from autograder.report.said import said
from autograder.report.text import cell, shown

EVIL = "[red]<script>alert(1)</script>\x1b[31m\u202e"


def entry(**changes):
    counter = Counterexample("tiny", {"T": np.int64(2)}, {"x": [[1.0]]}, "dWx", (0, np.int64(2)), np.float64("nan"), 0.5)
    wrong = Check("values", False, f"dWx[0, 2] is 0 {EVIL}", counter)
    defaults = {"name": "rnn_forward", "score": 0, "max_score": 8, "verdict": "failed", "carried_forward": False, "checks": (Check("runs", True, "", None), wrong)}
    return FunctionResult(**{**defaults, **changes})


def result(**changes):
    defaults = {"student": EVIL, "assignment": "rnn", "score": 0.0, "max_score": 100, "functions": (entry(),), "messages": (EVIL,)}
    return SubmissionResult(**{**defaults, **changes}).to_json()


def printed(thing, width=200):
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, force_terminal=False)
    console.print(thing, soft_wrap=True)
    return console.file.getvalue()


def test_a_result_fits_the_schema_and_json_has_no_nan():
    data = result()
    jsonfile.validate(data)
    text = jsonfile.dumps(data)
    assert json.loads(text) == data
    assert "NaN" not in text
    assert data["functions"][0]["checks"][1]["counterexample"]["actual"] == "nan"


@pytest.mark.parametrize(("name", "value"), [("score", "8"), ("student", ""), ("submission_sha256", "abc"), ("isolation", {"level": "steel"}), ("extra", 1)])
def test_what_does_not_fit_the_schema_is_said(name, value):
    with pytest.raises(jsonfile.ResultError, match="does not fit the schema"):
        jsonfile.validate({**result(), name: value})


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, '{"student": 1}'])
def test_a_file_without_a_result_is_refused(tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(jsonfile.ResultError):
        jsonfile.load(tmp_path / "x.json")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(ZeroDivisionError), jsonfile.atomic(tmp_path / "x") as file:
        file.write("new")
        raise ZeroDivisionError
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x", "old")]
    with jsonfile.atomic(tmp_path / "x") as file:
        file.write("new")
    assert (tmp_path / "x").read_text() == "new"


def test_what_students_write_is_shown_and_not_obeyed():
    text = printed(terminal.entry_text(result()["functions"][0]))
    assert "[red]<script>alert(1)</script>\\x1b[31m\\u202e" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_card_in_a_notebook_escapes_and_has_a_plain_form():
    card = Card((entry(),))
    assert "<script>" not in card._repr_html_()
    assert "&lt;script&gt;" in card._repr_html_()
    assert repr(card).startswith("✗ rnn_forward: failed, 0 of 8 points\n    dWx[0, 2] is 0")
    assert (card.score, card.max_score, card.passed) == (0, 8, False)
    assert "<details>" in card._repr_html_()


def test_a_verdict_is_told_once():
    twice = entry(checks=(Check("runs", False, "it raised X (T = 2)", None), Check("values", False, "it raised X", None)), remark="look")
    assert [sentence for _, sentence in said(asdict(twice))] == ["it raised X (T = 2)", "look"]
    assert list(said({**asdict(twice), "verdict": "not written yet", "remark": ""})) == []


def test_marks_that_a_terminal_cannot_show_become_letters():
    assert printed(terminal.entry_text(result()["functions"][0], "ascii")).startswith("x  rnn_forward")


def test_the_table_of_a_class_has_a_column_per_function_where_there_is_room():
    wide, narrow = terminal.class_table([result()], 100), terminal.class_table([result()], 20)
    assert (len(wide.columns), len(narrow.columns)) == (3, 2)
    assert "total" in printed(wide)


def test_a_line_per_student_says_what_matters():
    assert printed(terminal.student_line(result(student="ann", messages=()))).split() == ["ann", "0", "of", "100", "fails", "rnn_forward"]
    assert "could not be judged" in printed(terminal.student_line(result(student="ann", score=None)))


def test_the_csv_is_safe_and_complete(tmp_path):
    csvfile.write(tmp_path / "g.csv", ["rnn_forward"], [result(student="=1+1", messages=("@SUM(A1)",)), result(student="ann", score=None)])
    with open(tmp_path / "g.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["student", "rnn_forward", "total", "note"]
    assert rows[1] == ["'=1+1", "0", "0", "'@SUM(A1)"]
    assert rows[2][:3] == ["ann", "0", ""]


@pytest.mark.parametrize("text", ["=x", "+x", "-x", "@x", "\tx", "%x", "|x"])
def test_no_cell_is_a_formula(text):
    assert cell(text) == "'" + text
    assert cell(3) == 3


def test_long_text_is_cut():
    assert shown("x" * 300) == "x" * 199 + "…"


# ------------------------------------------------------------------------------------------- check in a notebook


def embedding_forward(ids, W):
    global TOUCHED
    TOUCHED = True
    return W[ids], (ids, W.shape)


def embedding_backward(dx, cache):
    ids, shape = cache
    dW = np.zeros(shape, dx.dtype)
    dW[ids] = dx
    return dW


def test_functions_are_checked_as_they_are_defined_here():
    check = checker("rnn")
    assert check("embedding_forward").passed
    assert check("embedding_forward").score == 3
    card = check("embedding_backward")
    assert (card.score, card.results[0].verdict) == (0, "failed")
    assert "TOUCHED" not in globals()


def test_a_module_can_be_given_and_everything_checked():
    card = checker("rnn", SimpleNamespace(embedding_forward=embedding_forward))()
    assert [r.name for r in card.results if r.verdict == "passed"] == ["embedding_forward"]


def test_an_unknown_function_is_answered_with_a_suggestion():
    check = checker("rnn")
    assert repr(check("rnn_froward")) == "rnn has no function rnn_froward. Did you mean rnn_forward?"
    assert "It has: embedding_forward" in repr(check("zzz"))
    assert "<b>" not in check("<b>")._repr_html_()
