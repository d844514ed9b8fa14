"""What honest and other students hand in, in one class: nobody stops the others, and nothing but the verdict makes points.

The verdicts are played (see ``Course.play``); what is tested is what nbgrader makes of them.
"""

import copy
import html.parser
import json
import os

import pytest

from autograder import exercises
from autograder.course import submissions

RNN = exercises.load("rnn")
MAX = 105  # 100 and the question
FULL = 100
EVIL = "<img src=x onerror=alert(1)> <script>alert(2)</script> [a](javascript:alert(3)) ![b](http://x.invalid/p.png) $\\href{javascript:alert(4)}{x}$"
LATE = """
from nbgrader.plugins import LateSubmissionPlugin

class Late(LateSubmissionPlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 0.25 * score
"""


def everywhere(book, **metadata):
    for one in book["cells"]:
        one["metadata"].get("nbgrader", {}).update(metadata)
    return book


def duplicate(book, name):
    at = next(n for n, one in enumerate(book["cells"]) if one["metadata"].get("nbgrader", {}).get("grade_id") == name)
    book["cells"].insert(at + 1, copy.deepcopy(book["cells"][at]))
    return book


def stripped(book):
    for one in book["cells"]:
        one["metadata"] = {}
    return book


def tagged(book):
    for one in book["cells"]:
        one["metadata"]["tags"] = ["skip-execution", "raises-exception"]
    return book


def noisy(book):
    """Locked cells with a warning and with full points as their outputs, as a student's own run or an editor may leave them."""
    for one in book["cells"]:
        if one["cell_type"] == "code":
            one["outputs"] = [
                {"output_type": "stream", "name": "stderr", "text": "RuntimeWarning: overflow encountered in exp"},
                {"output_type": "execute_result", "data": {"text/plain": "1000"}, "metadata": {}, "execution_count": 1},
            ]
    return book


def rewritten(book):
    """Every locked cell says something else, and is worth something else."""
    for one in book["cells"]:
        about = one["metadata"].get("nbgrader", {})
        if about.get("grade") and not about.get("solution"):
            about["points"] = 1000
            one["source"] = "1000"
    return book


def shown_off(book, tools):
    """Markup in an answer, in a cell of one's own, in place of the handout, and in what looks like a name."""
    tools["cell"](book, "question")["source"] = EVIL
    book["cells"].insert(3, {"cell_type": "markdown", "metadata": {}, "source": EVIL, "id": "own"})
    book["cells"].append({"cell_type": "raw", "metadata": {}, "source": EVIL, "id": "raw"})
    book["cells"][0]["source"] = EVIL
    return book


@pytest.fixture(scope="module")
def graded(module_course, tools):
    """A class in which everybody did something else."""
    course = module_course
    book = course.written
    deleted = book()
    deleted["cells"] = [one for one in deleted["cells"] if not one["metadata"].get("nbgrader", {}).get("locked")]
    handed_in = {
        "honest": book(),
        "blank": course.released(),
        "duplicate": duplicate(book(), "affine_forward"),
        "all-twice": duplicate(duplicate(book(), "points-rnn_forward"), "question"),
        "stripped": stripped(book()),
        "tagged": tagged(book()),
        "new-schema": everywhere(book(), schema_version=99),
        "old-schema": everywhere(book(), schema_version=1),
        "flipped": everywhere(book(), solution=True, grade=True, locked=False, points=50),
        "odd-names": everywhere(book(), grade_id=["a", {}]),
        "noisy": noisy(book()),
        "rewritten": rewritten(book()),
        "deleted": deleted,
        "markup": shown_off(book(), tools),
        "late": book(),
        "above": book(),
        "answered": book(),
    }
    for student, made in handed_in.items():
        course.hand_in(student, made)
    tools["cell"](handed_in["answered"], "question")["source"] = "I forgot a transpose: $a < b$."
    course.hand_in("answered", handed_in["answered"])
    course.hand_in("late", handed_in["late"], timestamp_txt="2026-03-02 12:00:00 UTC")
    course.hand_in("second", book(), scratch_ipynb=json.dumps(course.released()))
    for student in (*handed_in, "second"):
        course.play(student, failed=() if student != "blank" else [name for name, _ in RNN.points_table()])
    course.play("above", scores={"rnn_forward": 1000})
    course.hand_in("no-json", "{")
    course.hand_in("a-list", "[1, 2]")
    course.hand_in("deep", "[" * 100_000)
    link = course.root / "submitted" / "link" / "rnn"
    link.mkdir(parents=True)
    os.symlink(course.root / "source" / "rnn" / "rnn.ipynb", link / "rnn.ipynb")
    course.hand_in("unjudged", book())
    course.play("unjudged", undecided=True)
    course.hand_in("incomplete", book())
    course.play("incomplete", without=("rnn_backward",))
    (course.root / "late.py").write_text(LATE)
    with open(course.root / "nbgrader_config.py", "a") as file:
        file.write("import sys\n\nsys.path.insert(0, str(HERE))\nfrom late import Late\n\nc.AssignLatePenalties.plugin_class = Late\n")
    course.run("db", "assignment", "add", "rnn", "--duedate=2026-03-01 12:00:00 UTC")
    course.log = course.run("autograde", "rnn", fails=True)
    course.run("generate_feedback", "rnn")
    course.grades = course.exported()
    course.book = course.gradebook()
    return course


def test_only_those_without_a_verdict_are_not_graded(graded):
    students = {path.name for path in (graded.root / "submitted").iterdir()}
    assert {path.name for path in (graded.root / "autograded").iterdir() if any(path.rglob("*.ipynb"))} == students - {"unjudged", "incomplete"}


HONEST = ["honest", "duplicate", "all-twice", "stripped", "tagged", "new-schema", "old-schema", "flipped", "odd-names", "noisy", "rewritten", "deleted", "second"]


@pytest.mark.parametrize("student", [*HONEST, "markup", "answered", "above"])
def test_points_are_those_of_the_verdict(graded, student):
    row = graded.grades[student, "rnn"]
    assert (float(row["score"]), float(row["max_score"])) == (FULL, MAX)


@pytest.mark.parametrize("student", ["blank", "no-json", "a-list", "deep", "link"])
def test_what_cannot_be_graded_has_no_points_and_a_reason(graded, student):
    assert float(graded.grades[student, "rnn"]["score"]) == 0
    reason = {"no-json": "not a notebook", "link": "symbolic link", "blank": "is 0, but should be 1"}.get(student, "")
    assert reason in graded.feedback(student)


@pytest.mark.parametrize("student", ["unjudged", "incomplete"])
def test_a_missing_verdict_is_no_verdict(graded, student):
    """No points by accident, and no zero either: nbgrader lists the submission as not graded."""
    assert not any(auto for name, (auto, *_) in graded.book[student]["grades"].items() if name != "question")
    assert not (graded.root / "autograded" / student / "rnn" / "rnn.ipynb").exists()


def test_no_cell_runs(graded):
    assert "Executing" not in graded.log
    assert "kernel" not in graded.log.lower().replace("kernelspec", "")


def test_every_cell_that_carries_points_has_one_verdict(graded):
    book = json.loads((graded.root / "autograded" / "noisy" / "rnn" / "rnn.ipynb").read_text())
    for one in book["cells"]:
        about = one["metadata"].get("nbgrader", {})
        if one["cell_type"] == "code":
            points = about.get("grade") and not about.get("solution")
            assert [out["output_type"] for out in one["outputs"]] == (["execute_result"] if points else []), about
            assert "tags" not in one["metadata"] or "skip-execution" not in one["metadata"]["tags"] or not about


def test_the_engine_sees_the_same_functions_in_all_of_them(graded):
    """Whatever happened to the metadata; the judge itself is tested elsewhere."""
    modules = {student: submissions.of_student(graded.root / "submitted", student, RNN) for student in HONEST}
    assert {student: made.problem for student, made in modules.items() if made.problem} == {}
    assert len({made.files["rnn"] for made in modules.values()} - {modules["duplicate"].files["rnn"]}) == 1
    assert modules["duplicate"].files["rnn"].count("def affine_forward") == 2


def test_a_copied_cell_stays_where_it_stood(graded):
    book = json.loads((graded.root / "autograded" / "duplicate" / "rnn" / "rnn.ipynb").read_text())
    found = [one["metadata"].get("nbgrader", {}).get("grade_id") for one in book["cells"] if "def affine_forward" in "".join(one["source"])]
    assert found == ["affine_forward", None]


def test_late_work_costs_what_the_course_says(graded):
    row = graded.grades["late", "rnn"]
    assert (float(row["raw_score"]), float(row["late_submission_penalty"]), float(row["score"])) == (100, 25, 75)


def test_a_question_waits_for_a_human(graded):
    auto, manual, _, needs = graded.book["answered"]["grades"]["question"]
    assert (auto, manual, needs) == (None, None, True)
    assert graded.book["honest"]["grades"]["question"][0] == 0, "an answer that was not touched is none"


def test_the_reason_stands_under_the_students_own_cell(graded):
    auto, _ = graded.book["blank"]["comments"]["rnn_forward"]
    assert auto.startswith("rnn_forward: <b>dWx</b> is 0")
    assert graded.book["honest"]["comments"]["rnn_forward"][0] is None


class Page(html.parser.HTMLParser):
    """Collects what of a page could run or load something."""

    def __init__(self, text):
        super().__init__()
        self.risky = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name.startswith("on") or "javascript:" in (value or "").lower() or (tag == "img" and "x.invalid" in (value or "")):
                self.risky.append((tag, name, value))
        if tag == "script" and dict(attributes).get("src", "").startswith("x"):
            self.risky.append((tag, attributes))


def test_markup_in_student_text_is_only_text(graded):
    """Formgrader shows the same notebook through the same filter; see also browser.py."""
    page = graded.feedback("markup")
    assert Page(page).risky == []
    for piece in ("alert(2)</script>", "<img src=x", "\\href"):
        assert piece not in page
    assert "alert(1)" in page, "the text itself is still there"
    assert EVIL not in (graded.root / "autograded" / "markup" / "rnn" / "rnn.ipynb").read_text()


def test_no_solution_reaches_a_student(graded, tools):
    """There are no hidden tests that could; and a link to ours shows nothing of it."""
    stub = tools["cell"](graded.released(), "rnn_backward")["source"]
    line = max((line for line in tools["solved"]("rnn")["rnn_backward"].splitlines() if line not in "".join(stub)), key=len).strip()
    for path in (*(graded.root / "release").rglob("*.ipynb"), graded.root / "feedback" / "link" / "rnn" / "rnn.html"):
        text = path.read_text()
        assert "SOLUTION" not in text
        assert "HIDDEN" not in text
        assert line not in text


def test_what_a_human_wrote_stays_when_it_is_recorded_again(graded):
    graded.nbgrader.python(
        graded.root,
        f"""
with Gradebook("sqlite:///{graded.root}/gradebook.db", "") as gradebook:
    gradebook.find_grade("question", "rnn", "rnn", "answered").manual_score = 4.5
    gradebook.find_grade("points-rnn_forward", "rnn", "rnn", "blank").manual_score = 3
    gradebook.find_comment("rnn_forward", "rnn", "rnn", "blank").manual_comment = "Come and see me."
    gradebook.db.commit()
""",
    )
    graded.run("autograde", "rnn", "--force", "--student", "answered")
    graded.run("autograde", "rnn", "--force", "--student", "blank")
    book = graded.gradebook()
    assert book["answered"]["score"] == FULL + 4.5
    assert book["blank"]["score"] == 3
    assert book["blank"]["comments"]["rnn_forward"][1] == "Come and see me."
