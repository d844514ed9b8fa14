"""Every export, read as its consumer reads it: by a parser of its format, or by the rules of its importer, told in the test's own words."""

import base64
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
from junitparser import Error, Failure, JUnitXml, Skipped

from autograder import cli, exercises
from autograder.course import gradescope as kit
from autograder.report import exports, jsonfile
from autograder.report.exports import classroom, gradescope, junit, prairielearn
from autograder.report.exports.gradebooks import RosterError
from autograder.report.exports.words import NoScore
from autograder.report.model import Check, FunctionResult, SubmissionResult, total

ROOT = Path(__file__).resolve().parents[2]
EVIL = '=HYPERLINK("http://x.invalid") <script>alert(1)</script> ]]> \x1b[31m \x00'


def entry(name, points, verdict="passed", sentence="", **more):
    score = {"passed": points, "could not judge": points}.get(verdict, 0)
    return FunctionResult(name, score, points, verdict, False, (Check("values", verdict == "passed", sentence, None),), **more)


def made(student, *entries, **more):
    functions = entries or (entry("f", 40), entry("g", 50, "failed", "dWx[0, 2] is 0, but should be 0.0625"), entry("milestone", 10, "not written yet"))
    defaults = {"score": total(functions), "max_score": 100, "submission_sha256": "0" * 64, "engine": "1", "bank": "b", "timing": {"student": 1.6}}
    return SubmissionResult(student, "rnn", functions=functions, **{**defaults, **more}).to_json()


RIGHT = made("ada", entry("f", 40), entry("g", 50), entry("milestone", 10), entry("bonus: gru", 10))
WRONG = made("bob")
HOSTILE = made("eve", entry("f", 90, "failed", EVIL), entry("milestone", 10), messages=(EVIL,))
UNREADABLE = made("cyd", entry("f", 100, "failed", "rnn.ipynb is not a notebook."), submission_sha256="", messages=("rnn.ipynb is not a notebook.",))
UNJUDGED = {**made("dan", entry("f", 90, "could not judge"), messages=("The grader itself failed.",)), "score": None}
NO_BONUS = made("fay", entry("f", 100), entry("bonus: gru", 10, "not written yet"))
CLASS = [RIGHT, WRONG, HOSTILE, UNREADABLE, UNJUDGED, NO_BONUS]


# ------------------------------------------------------------------------------------------------------ Gradescope

#: The fields of https://gradescope-autograders.readthedocs.io/en/latest/specs/, and their types and values as given there.
VISIBILITY = {"enum": ["hidden", "after_due_date", "after_published", "visible"]}
TEXT = {"enum": ["text", "html", "simple_format", "md", "ansi"]}
GRADESCOPE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "score": {"type": "number"}, "execution_time": {"type": "number"}, "output": {"type": "string"}, "output_format": TEXT, "test_output_format": TEXT,
        "test_name_format": TEXT, "visibility": VISIBILITY, "stdout_visibility": VISIBILITY, "extra_data": {"type": "object"},
        "leaderboard": {"type": "array", "items": {"required": ["name", "value"]}},
        "tests": {"type": "array", "items": {"$ref": "#/$defs/test"}},
    },
    "anyOf": [{"required": ["score"]}, {"required": ["tests"]}],
    "$defs": {
        "test": {
            "type": "object",
            "additionalProperties": False,
            "required": ["score"],
            "properties": {
                "score": {"type": "number"}, "max_score": {"type": "number"}, "status": {"enum": ["passed", "failed"]}, "name": {"type": "string"},
                "name_format": TEXT, "number": {"type": "string"}, "output": {"type": "string"}, "output_format": TEXT,
                "tags": {"type": "array", "items": {"type": "string"}}, "visibility": VISIBILITY, "extra_data": {"type": "object"},
            },
        },
    },
}  # fmt: skip


def sample(text):
    """The sample of the page, in this course's words."""
    return json.loads(text)


def test_the_schema_takes_a_sample_as_the_page_has_it():
    page = '{"score": 44.0, "execution_time": 136, "output": "x", "visibility": "after_due_date", "stdout_visibility": "visible", "extra_data": {}, "tests": [{"score": 2.0, "max_score": 2.0, "name": "n", "number": "1.1", "output": "o", "tags": ["t"], "visibility": "visible", "extra_data": {}}], "leaderboard": [{"name": "Accuracy", "value": 0.926}]}'
    jsonschema.validate(sample(page), GRADESCOPE)


@pytest.mark.parametrize("result", [RIGHT, WRONG, HOSTILE, UNREADABLE, NO_BONUS], ids=lambda result: result["student"])
def test_gradescope(result):
    found = json.loads(gradescope.text(result))
    jsonschema.validate(found, GRADESCOPE)
    assert found["score"] == result["score"] == sum(test["score"] for test in found["tests"])
    assert [test["name"] for test in found["tests"]] == [one["name"] for one in result["functions"]]
    assert "\x1b" not in gradescope.text(result)


def test_gradescope_gets_no_zero_where_the_grader_failed():
    with pytest.raises(NoScore, match="dan has no score"):
        gradescope.document(UNJUDGED)


# ---------------------------------------------------------------------------------------------------- PrairieLearn


def read_by_prairielearn(text):
    """What https://prairielearn.readthedocs.io/en/latest/externalGrading/ asks of results.json."""
    assert len(text.encode()) < 2**20
    found = json.loads(text)
    if not found.get("gradable", True):
        assert all(isinstance(line, str) for line in found["format_errors"])
        return None, []
    assert 0.0 <= found["score"] <= 1.0
    for test in found["tests"]:
        assert test["points"] is not None
        assert test["max_points"] is not None, "one test without them, and the page shows no points at all"
        assert isinstance(test["name"], str)
        assert isinstance(test["message"], str)
    return found["score"], found["tests"]


def test_prairielearn():
    assert read_by_prairielearn(prairielearn.text(RIGHT))[0] == 1.0
    score, tests = read_by_prairielearn(prairielearn.text(WRONG))
    assert score == 0.4
    assert "dWx[0, 2] is 0" in tests[1]["message"]
    read_by_prairielearn(prairielearn.text(HOSTILE))


@pytest.mark.parametrize("result", [UNREADABLE, UNJUDGED], ids=lambda result: result["student"])
def test_prairielearn_takes_no_attempt_for_what_could_not_be_judged(result):
    assert read_by_prairielearn(prairielearn.text(result))[0] is None


def test_prairielearn_takes_a_megabyte():
    long = made("ann", *(entry(f"f{n}", 5, "failed", "x" * 10**6) for n in range(20)))
    read_by_prairielearn(prairielearn.text(long))


# -------------------------------------------------------------------------------------------------- GitHub Classroom


def read_by_reporter(line):
    """What src/main.js, console-results.js and notify-classroom.js of classroom-resources/autograding-grading-reporter read."""
    name, _, encoded = line.strip().partition("=")
    assert (name, "\n" in line.strip()) == ("result", False)
    found = json.loads(base64.b64decode(encoded, validate=True))
    assert found["status"] in ("pass", "fail", "error")
    for test in found["tests"]:
        assert test["status"] in ("pass", "fail", "error")
        assert isinstance(test["name"], str)
    points = sum(test["score"] for test in found["tests"]) if found["max_score"] else None
    return found["status"], points, found["max_score"]


@pytest.mark.parametrize(
    ("result", "expected"),
    [(RIGHT, ("pass", 110, 100)), (WRONG, ("fail", 40, 100)), (NO_BONUS, ("pass", 100, 100)), (UNREADABLE, ("fail", 0, 100)), (UNJUDGED, ("error", 90, 100))],
    ids=lambda value: value["student"] if isinstance(value, dict) else "",
)
def test_github(result, expected):
    assert read_by_reporter(classroom.output_line(result)) == expected


# ---------------------------------------------------------------------------------------------------------- JUnit


def test_junit_is_read_by_a_parser_of_its_own():
    suites = list(JUnitXml.fromstring(junit.text(CLASS).encode()))
    assert [suite.name for suite in suites] == [result["student"] for result in CLASS]
    for suite, result in zip(suites, CLASS, strict=True):
        properties = {one.name: one.value for one in suite.properties()}
        assert properties["score"] == ("" if result["score"] is None else str(result["score"]))
        kinds = {"failed": [Failure], "not written yet": [Skipped], "could not judge": [Error], "passed": []}
        assert [[type(one) for one in case.result] for case in suite] == [kinds[one["verdict"]] for one in result["functions"]]
        assert [case.name for case in suite] == [one["name"] for one in result["functions"]]
    (failure,) = list(suites[1])[1].result
    assert failure.message == "dWx[0, 2] is 0, but should be 0.0625"
    whole = JUnitXml.fromstring(junit.text(CLASS).encode())
    assert (whole.tests, whole.failures, whole.errors, whole.skipped) == (13, 3, 1, 2)


# ---------------------------------------------------------------------------------------------------------- Canvas

CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,rnn (4711),other (4712),Final Score
    Points Possible,,,,,100,20,(read only)
"Lovelace, Ada",101,s1,ada,"A, B",,17,"=1+1"
"Babbage, Bob",102,s2,bob@x.invalid,A,3,18,
"Somebody, Else",103,s3,zed,A,5,19,
"""


def read_by_canvas(text):
    """Grades by student id, as lib/gradebook_importer.rb of Canvas finds them: delimiter, header, the row of points, the id in the column's name."""
    lines = text.removeprefix("\ufeff").splitlines()
    counts = {sign: {len(next(csv.reader([line], delimiter=sign))) for line in lines[:3]} for sign in ";,"}
    width = {sign: found.pop() if len(found) == 1 else 0 for sign, found in counts.items()}
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";" if width[";"] > width[","] else ","))
    header = rows[0]
    assert "Student" in header[0]
    assert "ID" in header[1]
    assert "Section" in header[4]
    at = next(n for n, name in enumerate(header) if name.endswith("(4711)"))
    students = [row for row in rows[1:] if "Points Possible" not in row[0] and any(row)]
    return {row[1]: row[at].strip() for row in students}


@pytest.fixture
def roster(tmp_path):
    def write(text, encoding="utf-8"):
        (tmp_path / "roster.csv").write_bytes(text.encode(encoding))
        return tmp_path / "roster.csv"

    return write


def cells(text, delimiter=","):
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=delimiter))


@pytest.mark.parametrize("dialect", ["plain", "bom and crlf", "semicolons"])
def test_canvas(roster, tmp_path, dialect):
    text = {"plain": CANVAS, "bom and crlf": "\ufeff" + CANVAS.replace("\n", "\r\n"), "semicolons": CANVAS.replace(",", ";").replace("; ", ", ")}[dialect]
    notes = exports.export([RIGHT, WRONG, UNJUDGED], "canvas", tmp_path / "out.csv", roster(text))
    written = (tmp_path / "out.csv").read_bytes().decode()
    assert read_by_canvas(written) == {"101": "110", "102": "40", "103": "5"}
    delimiter = ";" if dialect == "semicolons" else ","
    before, after = cells(text, delimiter), cells(written, delimiter)
    assert [row[:5] + row[6:] for row in before] == [row[:5] + row[6:] for row in after], "nothing else has changed"
    assert written.startswith("\ufeff") == text.startswith("\ufeff")
    assert ("\r\n" in written) == ("\r\n" in text)
    assert notes == ["ada has 110 points, more than the 100 of the column.", "dan is in no row, or in several: not filled in."]


def test_canvas_names_of_downloaded_files_lead_to_the_id(roster, tmp_path):
    results = [{**RIGHT, "student": "lovelaceada_101_9876_rnn"}, {**WRONG, "student": "babbagebob_LATE_102_9877_rnn-1"}]
    exports.export(results, "canvas", tmp_path / "out.csv", roster(CANVAS))
    assert read_by_canvas((tmp_path / "out.csv").read_text()) == {"101": "110", "102": "40", "103": "5"}


def test_a_student_who_may_be_two_is_not_guessed(roster, tmp_path):
    text = CANVAS + '"Other, Bob",104,s4,bob@y.invalid,A,,,\n'
    (note,) = exports.export([WRONG], "canvas", tmp_path / "out.csv", roster(text))
    assert note == "bob is in no row, or in several: not filled in."
    twice = [WRONG, {**RIGHT, "student": "s2"}]
    assert len(exports.export([*twice, {**WRONG, "student": "102"}], "canvas", tmp_path / "out.csv", roster(CANVAS))) == 3


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        (CANVAS.replace("rnn (4711)", "recurrent (4711)"), "", "has no column 'rnn'.*there are: Student, .*recurrent"),
        (CANVAS.replace("other", "rnn"), "", "has 2 columns 'rnn'"),
        (CANVAS, "Final Score", "read only"),
        ("a,b\n1,2\n", "", "no table of Canvas"),
        ("", "", "no table of Canvas"),
    ],
)
def test_a_table_that_does_not_fit_is_said(roster, tmp_path, text, column, said):
    with pytest.raises(RosterError, match=said):
        exports.export([RIGHT], "canvas", tmp_path / "out.csv", roster(text), column)
    assert not (tmp_path / "out.csv").exists()


def test_a_column_can_be_named_and_its_points_are_looked_at(roster, tmp_path):
    notes = exports.export([WRONG], "canvas", tmp_path / "out.csv", roster(CANVAS), "other (4712)")
    assert notes[-1] == "The column is worth 20 points, the assignment 100. Nothing was scaled."


def test_another_encoding_is_said(roster, tmp_path):
    with pytest.raises(RosterError, match="Save it as CSV in UTF-8"):
        exports.export([WRONG], "canvas", tmp_path / "out.csv", roster(CANVAS.replace("Ada", "Zoé"), "latin-1"))


# ---------------------------------------------------------------------------------------------------------- Moodle

MOODLE = """Identifier,"Full name","ID number","Email address",Status,Grade,"Maximum grade","Grade can be changed","Last modified (submission)","Last modified (grade)","Feedback comments"
"Participant 501","Ada Lovelace",s1,ada@x.invalid,"Submitted for grading",,100.00,Yes,"Monday, 2 March 2026, 10:00 AM",-,
"Participant 502","Bob Babbage",s2,bob@x.invalid,"Submitted for grading",3.00,100.00,Yes,"Monday, 2 March 2026, 10:00 AM",-,"<p>old</p>"
"Participant 503","Eve E",s3,eve@x.invalid,"Submitted for grading",,100.00,Yes,"Monday, 2 March 2026, 10:00 AM",-,
"Participant 504","Else",s4,else@x.invalid,"No submission",,100.00,Yes,-,-,
"""


def read_by_moodle(text, highest=100.0):
    """Grade and feedback by participant, as mod/assign/feedback/offline of Moodle takes them: three columns needed, grades in range."""
    rows = list(csv.DictReader(io.StringIO(text)))
    found = {}
    for row in rows:
        assert {"Identifier", "Grade", "Last modified (grade)"} <= set(row)
        number = int(row["Identifier"].removeprefix("Participant "))
        grade = float(row["Grade"]) if row["Grade"] else None
        found[number] = (grade if grade is not None and 0 <= grade <= highest else None, row["Feedback comments"])
    return found


def test_moodle(roster, tmp_path):
    results = [NO_BONUS | {"student": "Ada Lovelace_501_assignsubmission_file"}, WRONG, HOSTILE]
    assert exports.export(results, "moodle", tmp_path / "out.csv", roster(MOODLE)) == []
    written = (tmp_path / "out.csv").read_text()
    found = read_by_moodle(written)
    assert found[501] == (100, "<p>Everything passed.</p>")
    assert found[502][0] == 40
    assert "<li><b>g</b> 0 of 50: failed<br>dWx[0, 2] is 0, but should be 0.0625</li>" in found[502][1]
    assert found[503][0] == 10
    assert "<script>" not in found[503][1]
    assert "&lt;script&gt;" in found[503][1]
    assert found[504] == (None, "")
    before, after = cells(MOODLE), cells(written)
    assert [[value for n, value in enumerate(row) if n not in (5, 10)] for row in before] == [[v for n, v in enumerate(row) if n not in (5, 10)] for row in after]


def test_moodle_skips_what_is_above_the_maximum_so_it_is_said(roster, tmp_path):
    assert exports.export([RIGHT], "moodle", tmp_path / "out.csv", roster(MOODLE)) == ["ada has 110 points, more than the 100 of the column."]


def test_without_a_table_it_says_what_to_download(tmp_path):
    with pytest.raises(RosterError, match="downloaded from Moodle with --roster"):
        exports.export([RIGHT], "moodle", tmp_path / "out.csv")


# ------------------------------------------------------------------------------------------------------ CSV, command


def test_csv_holds_no_formula(tmp_path):
    exports.export([{**HOSTILE, "student": "=1+1"}, RIGHT], "csv", tmp_path / "out.csv")
    rows = cells((tmp_path / "out.csv").read_text())
    assert rows[0][:2] == ["student", "f"]
    assert not [text for row in rows for text in row if text.startswith(("=", "+", "-", "@", "\t"))]


@pytest.fixture
def graded(tmp_path):
    folder = tmp_path / "graded" / "results"
    folder.mkdir(parents=True)
    for result in CLASS:
        (folder / f"{result['student']}.json").write_text(jsonfile.dumps(result))
    return tmp_path / "graded"


def command(monkeypatch, *argv):
    monkeypatch.setattr(sys, "argv", ["handgrad", *map(str, argv)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


@pytest.mark.parametrize("form", exports.FORMATS)
def test_every_format_is_one_command(graded, tmp_path, monkeypatch, capsys, roster, form):
    more = ["--roster", roster({"canvas": CANVAS, "moodle": MOODLE}[form])] if form in exports.ROSTERS else []
    code = command(monkeypatch, "export", graded, "--format", form, "--out", tmp_path / "out", *more)
    said = capsys.readouterr()
    assert f"{form}: 6 results" in said.out
    assert code == (3 if form in ("canvas", "moodle", "gradescope") else 0), said.err
    assert (tmp_path / "out").exists()
    if form in exports.PER_STUDENT:
        names = {path.name for path in (tmp_path / "out").iterdir()}
        students = [one["student"] for one in CLASS if form != "gradescope" or one["score"] is not None]
        assert names == {f"{student}{suffix}" for student in students for suffix in exports.PER_STUDENT[form]}


def test_one_result_becomes_one_file(graded, tmp_path, monkeypatch):
    assert command(monkeypatch, "export", graded / "results" / "bob.json", "--format", "gradescope", "--out", tmp_path / "results.json") == 0
    jsonschema.validate(json.loads((tmp_path / "results.json").read_text()), GRADESCOPE)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--format", "xml", "--out", "x"], "There are: csv, canvas, moodle"),
        (["--format", "csv"], "say with --out"),
        (["--kit", "other", "--out", "x", "--assignment", "rnn"], "no kit 'other'"),
        (["--kit", "gradescope", "--out", "x"], "there is no assignment ''"),
    ],
)
def test_wrong_usage_is_one_line(graded, monkeypatch, capsys, argv, said):
    assert command(monkeypatch, "export", graded, *argv) == 2
    assert said in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- Gradescope's kit


@pytest.fixture
def unpacked(tmp_path):
    """The kit as Gradescope unpacks it."""
    kit.write_kit(exercises.load("rnn"), None, "filtered", tmp_path / "autograder.zip")
    root = tmp_path / "autograder"
    with zipfile.ZipFile(tmp_path / "autograder.zip") as file:
        file.extractall(root / "source")
        modes = {info.filename: info.external_attr >> 16 for info in file.infolist()}
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    (root / "submission").mkdir()
    return root


def test_the_kit_holds_what_is_needed_and_nothing_else(unpacked):
    top = {path.name for path in (unpacked / "source" / "handgrad").iterdir()}
    assert top == {"autograder", "reference", "solutions", "assignments", "banks", *kit.BUILD}
    assert {path.name for path in (unpacked / "source" / "handgrad" / "solutions").iterdir()} == {"rnn"}
    for script in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n", unpacked / "source" / script], check=True)


def run_kit(root):
    environment = {**os.environ, "AUTOGRADER_ROOT": str(root), "HANDGRAD": str(root / "handgrad")}
    (root / "handgrad").write_text(f'#!/bin/sh\nPYTHONPATH={root}/source/handgrad exec {sys.executable} -m autograder "$@"\n')
    (root / "handgrad").chmod(0o755)
    done = subprocess.run(["bash", root / "run_autograder"], cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((root / "results" / "results.json").read_text())
    jsonschema.validate(found, GRADESCOPE)
    return found


def test_the_kit_grades_a_submission(unpacked):
    stub = (ROOT / "assignments" / "rnn" / "rnn.py").read_text()
    (unpacked / "submission" / "rnn.py").write_text(stub)
    assert run_kit(unpacked)["score"] == 0


def test_the_kit_says_what_cannot_be_graded(unpacked):
    os.symlink(ROOT / "solutions" / "rnn" / "rnn.py", unpacked / "submission" / "rnn.py")
    found = run_kit(unpacked)
    assert found["score"] == 0
    assert "symbolic link" in found["output"]
