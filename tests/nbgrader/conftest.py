"""A course for nbgrader, students who hand something in, and nbgrader's own command."""

import contextlib
import csv
import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder import exercises, paths
from autograder.cases import store
from autograder.course import results, submissions
from autograder.course.gradebook import new, outcome
from autograder.course.journal import Journal
from autograder.judge.submission import Graded
from autograder.judge.verdicts import FAILED, NOT_WRITTEN, PASSED, entry_result
from autograder.release.notebook import notebook_of
from autograder.release.percent import read

HERE = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
ISOLATION = {"level": "filtered", "layers": ["rlimits"], "canary": {"read files": "blocked"}}
HAS_NBGRADER = importlib.util.find_spec("nbgrader") is not None

#: What a grader wants to know of a gradebook.
LOOK = """
import json
found = {}
with Gradebook(%r, "") as gradebook:
    for submission in gradebook.assignment_submissions(%r):
        for notebook in submission.notebooks:
            comments = {c.name: (c.auto_comment, c.manual_comment) for c in notebook.comments}
            grades = {g.name: (g.auto_score, g.manual_score, g.extra_credit, bool(g.needs_manual_grade)) for g in notebook.grades}
            found[submission.student.id] = {"score": submission.score, "penalty": notebook.late_submission_penalty, "grades": grades, "comments": comments}
print(json.dumps(found))
"""


class Nbgrader:
    """nbgrader's command."""

    def __init__(self):
        self.home = Path(tempfile.mkdtemp(prefix="handgrad-home-"))
        self.home.chmod(0o777)
        environment = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}", "HANDGRAD_COURSE": str(paths.course()), "HOME": str(self.home)}
        environment |= {"JUPYTER_DATA_DIR": str(self.home / "data"), "JUPYTER_CONFIG_DIR": str(self.home / "config"), "PYTHONWARNINGS": "ignore"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen([sys.executable, str(HERE / "driver.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, **order):
        self.process.stdin.write(json.dumps({name: value for name, value in order.items() if value is not None}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __call__(self, folder, *argv, fails=False, **more):
        answer = self.ask(argv=list(map(str, argv)), cwd=str(folder), **more)
        assert (answer["code"] != 0) == fails, answer["output"][-4000:]
        return answer["output"]

    def python(self, folder, code):
        answer = self.ask(python=code, cwd=str(folder))
        assert answer["code"] == 0, answer["output"][-4000:]
        return answer["output"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.home, ignore_errors=True)


@dataclass
class Course:
    """A course folder with submissions.

    Parameters
    ----------
    root : Path
    nbgrader : Nbgrader
    """

    root: Path
    nbgrader: Nbgrader

    def run(self, *argv, **more):
        return self.nbgrader(self.root, *argv, **more)

    def released(self, assignment="rnn"):
        return json.loads((self.root / "release" / assignment / f"{assignment}.ipynb").read_text())

    def written(self, assignment="rnn", answers=None):
        """Return the released notebook with answers in it, by default all of ours."""
        return fill(self.released(assignment), solved(assignment) if answers is None else answers)

    def hand_in(self, student, book, assignment="rnn", **files):
        folder = self.root / "submitted" / student / assignment
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{assignment}.ipynb").write_text(book if isinstance(book, str) else json.dumps(book))
        for name, text in files.items():
            (folder / name.replace("_ipynb", ".ipynb").replace("_txt", ".txt")).write_text(text)
        return folder

    def play(self, student, assignment="rnn", scores=None, failed=(), bonus=0, without=(), undecided=False):
        """Put a result into the journal, so that nothing has to be run."""
        declared = exercises.load(assignment)
        bank = store.load(paths.public_bank(assignment))
        submission = submissions.of_student(self.root / "submitted", student, declared)
        entries = [_entry(name, points, failed, bonus) for name, points in declared.points_table() if name not in without]
        made = results.judged(submission, Graded(entries, [], {"student": 0.1}), declared, bank.sha256, ISOLATION).to_json()
        for entry in made["functions"]:
            entry["score"] = (scores or {}).get(entry["name"], entry["score"])
        if undecided:
            made = {**results.undecided(submission, declared, bank.sha256, "no zygote").to_json(), "isolation": ISOLATION}
        folder = self.root / outcome.FOLDER / assignment
        folder.mkdir(parents=True, exist_ok=True)
        with Journal(folder) as journal:
            journal.add(made)
        return made

    def gradebook(self, assignment="rnn", url=None):
        return json.loads(self.nbgrader.python(self.root, LOOK % (url or f"sqlite:///{self.root}/gradebook.db", assignment)))

    def exported(self):
        self.run("export", "--to", "grades.csv")
        with open(self.root / "grades.csv", newline="") as file:
            return {(row["student_id"], row["assignment"]): row for row in csv.DictReader(file)}

    def feedback(self, student, assignment="rnn"):
        return (self.root / "feedback" / student / assignment / f"{assignment}.html").read_text()


def _entry(name, points, failed, bonus):
    if name.startswith("bonus"):
        return entry_result(name, points, PASSED if bonus else NOT_WRITTEN, [("runs", bool(bonus), "")])
    verdict = FAILED if name in failed else PASSED
    return entry_result(name, points, verdict, [("values", verdict == PASSED, "" if verdict == PASSED else f"{name}: <b>dWx</b> is 0, but should be 1")])


def solved(assignment):
    """Return cell -> code of our solution; cells that the release does not have are helpers of it."""
    parts = read(paths.solution(assignment).read_text(encoding="utf-8"), assignment)
    stub = {made["id"]: made["source"] for made in notebook_of(parts)["cells"]}
    return {made["id"]: "".join(made["source"]) for made in notebook_of(parts, solved=True)["cells"] if made["source"] != stub.get(made["id"])}


def fill(book, answers):
    """Write answers into a notebook; for helpers there is a new cell at the end."""
    names = {made["metadata"].get("nbgrader", {}).get("grade_id") for made in book["cells"]}
    for name, source in answers.items():
        if name in names:
            cell(book, name)["source"] = source
        else:
            book["cells"].append({"cell_type": "code", "id": name, "metadata": {}, "source": source, "outputs": [], "execution_count": None})
    return book


def cell(book, name):
    """Return the cell of a notebook that nbgrader knows by this name."""
    return next(one for one in book["cells"] if one["metadata"].get("nbgrader", {}).get("grade_id") == name)


def users(count):
    """Return names and numbers of ordinary users of this machine, none of them root."""
    return sorted((user.pw_name, user.pw_uid) for user in pwd.getpwall() if user.pw_uid and user.pw_name.isalpha())[:count]


@pytest.fixture(scope="session")
def nbgrader():
    if not HAS_NBGRADER:
        pytest.skip("nbgrader is not installed: pip install 'handgrad[instructor]'")
    command = Nbgrader()
    yield command
    command.close()


@pytest.fixture(scope="session")
def template(nbgrader, tmp_path_factory):
    """A course of which two assignments have been released; tests work on copies."""
    root = tmp_path_factory.mktemp("template") / "course"
    new.make_course(root, ["rnn", "lstm", "seq2seq"], question_points=5)
    for assignment in ("rnn", "lstm", "seq2seq"):
        nbgrader(root, "generate_assignment", assignment)
    return root


@pytest.fixture(scope="module")
def module_course(template, nbgrader, tmp_path_factory):
    root = tmp_path_factory.mktemp("course") / "course"
    shutil.copytree(template, root)
    return Course(root, nbgrader)


@pytest.fixture
def course(template, nbgrader, tmp_path):
    shutil.copytree(template, tmp_path / "course")
    return Course(tmp_path / "course", nbgrader)


@pytest.fixture(scope="session")
def tools():
    """What a test makes notebooks and users with."""
    return {"solved": solved, "fill": fill, "cell": cell, "users": users}


@contextlib.contextmanager
def open_folder_for_all():
    """A folder that every user of the machine can reach."""
    folder = Path(tempfile.mkdtemp(prefix="handgrad-nbgrader-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shared():
    with open_folder_for_all() as folder:
        yield folder
